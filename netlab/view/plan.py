"""What `netlab up --dry-run` prints: the network as commands, the objects as kubectl's lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from netlab.network import apply, plan
from netlab.objects import meta
from netlab.objects.kinds import BY_KIND
from netlab.objects.lab import Lab
from netlab.objects.meta import Object


def describe(lab: Lab, objects: Iterable[Object]) -> Iterator[str]:
    """The lines, in the order in which things would be made."""
    yield f"# the network of lab {lab.name}"
    yield from apply.describe_cluster(plan.cluster(lab))
    yield "# its objects; pods get their namespaces as they are scheduled"
    for obj in objects:
        resource, space = _resource(obj), _space(obj)
        yield f"{resource}/{meta.name(obj)}" + (f" in {space}" if space else "")


def as_json(lab: Lab, objects: Iterable[Object]) -> dict[str, Any]:
    """The same as data: `{lab, commands: […], objects: [{resource, name, namespace}]}`."""
    return {
        "lab": lab.name,
        "commands": list(apply.describe_cluster(plan.cluster(lab))),
        "objects": [
            {"resource": _resource(obj), "name": meta.name(obj), "namespace": _space(obj)}
            for obj in objects
        ],
    }


def _resource(obj: Object) -> str:
    kind = BY_KIND[obj["kind"]]
    return kind.singular + (f".{kind.group}" if kind.group else "")


def _space(obj: Object) -> str | None:
    return (meta.namespace(obj) or "default") if BY_KIND[obj["kind"]].namespaced else None
