"""What `netlab up --dry-run` prints: the network as commands, the objects as kubectl's lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
        kind = BY_KIND[obj["kind"]]
        group = f".{kind.group}" if kind.group else ""
        space = f" in {meta.namespace(obj) or 'default'}" if kind.namespaced else ""
        yield f"{kind.singular}{group}/{meta.name(obj)}{space}"
