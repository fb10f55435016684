"""The history of a StatefulSet or DaemonSet: a ControllerRevision for each template it had.

A revision is named `<owner>-<hash of the template>` and holds the patch that brings the template
back. The highest number is the present template's: one that comes back is numbered anew rather
than kept twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from netlab.client.informer import Informers
from netlab.errors import AlreadyExists, NotFound
from netlab.objects import meta, names
from netlab.objects.kinds.workloads import CONTROLLER_REVISION
from netlab.objects.schema import strip_nulls
from netlab.objects.types import ControllerRevision, DaemonSet, Pod, PodTemplateSpec, StatefulSet

KIND = CONTROLLER_REVISION.kind
Keeper = StatefulSet | DaemonSet
LABEL = "controller-revision-hash"
"""On pods: which revision's template they were made from. DaemonSets' revisions have it too."""

HASH_LABEL = "controller.kubernetes.io/hash"
"""On StatefulSets' revisions."""

_OWNER_NAME_MAX = 223


def of(pod: Pod) -> str:
    """What the pod's label says, "" for a pod without."""
    return meta.labels(pod).get(LABEL, "")


def number(revision: ControllerRevision) -> int:
    """`revision`, 0 when unset."""
    return revision.get("revision") or 0


def by_number(revisions: Iterable[ControllerRevision]) -> list[ControllerRevision]:
    """The oldest first."""

    def place(one: ControllerRevision) -> tuple[int, str, str]:
        return number(one), one["metadata"].get("creationTimestamp") or "", meta.name(one)

    return sorted(revisions, key=place)


def data_of(owner: Keeper) -> dict[str, Any]:
    """The strategic merge patch that gives an owner the template that this one has.

    It is what Go makes of it, null and order of keys included: kubectl compares the two as text.
    (Go would also leave out zeros and write quantities in one way. Where a template has such,
    kubectl does not notice that a rollback changes nothing.)
    """
    template = owner["spec"]["template"]
    metadata = {"creationTimestamp": None, **(template.get("metadata") or {})}
    return {"spec": {"template": _sorted({**template, "metadata": metadata, "$patch": "replace"})}}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def template_of(revision: ControllerRevision) -> PodTemplateSpec:
    """The template that a revision keeps, as a copy; {} if somebody made one without."""
    kept = (revision["data"].get("spec") or {}).get("template") or {}
    template: PodTemplateSpec = strip_nulls({k: v for k, v in kept.items() if k != "$patch"})
    return template


def new_revision(owner: Keeper, revision: int, label: str) -> ControllerRevision:
    """The owner's present template as its revision of that number, `label` telling its hash."""
    template = owner["spec"]["template"]
    digest = names.template_hash(template, _collisions(owner))
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{meta.name(owner)[:_OWNER_NAME_MAX]}-{digest}",
            "namespace": meta.namespace(owner),
            "labels": {**((template.get("metadata") or {}).get("labels") or {}), label: digest},
            **({"annotations": dict(own)} if (own := meta.annotations(owner)) else {}),
            "ownerReferences": [meta.owner_reference(owner)],
        },
        "data": data_of(owner),
        "revision": revision,
    }


def _collisions(owner: Keeper) -> int:
    return owner.get("status", {}).get("collisionCount") or 0


async def present(
    informers: Informers,
    owner: Keeper,
    revisions: Sequence[ControllerRevision],
    label: str,
) -> ControllerRevision | None:
    """The revision of the owner's present template: found, numbered anew, or created.

    None when another object has its name. The owner's collisionCount was raised then, and that
    change brings the owner back, to try another name.
    """
    ordered = by_number(revisions)
    following = number(ordered[-1]) + 1 if ordered else 1
    wanted = new_revision(owner, following, label)
    equal = [one for one in ordered if one["data"] == wanted["data"]]
    if not equal:
        return await _create(informers, owner, wanted)
    if equal[-1] is ordered[-1]:
        return equal[-1]
    return await informers.patch(equal[-1], {"revision": following})


async def _create(
    informers: Informers, owner: Keeper, wanted: ControllerRevision
) -> ControllerRevision | None:
    try:
        return await informers.create(wanted)
    except AlreadyExists:
        taken: ControllerRevision = await informers.api.get(
            KIND, meta.namespace(wanted), meta.name(wanted)
        )
    if taken["data"] == wanted["data"] and _may_be_of(taken, owner):
        return taken
    await informers.patch_status(owner, {"collisionCount": _collisions(owner) + 1})
    return None


def _may_be_of(revision: ControllerRevision, owner: Keeper) -> bool:
    """Whether it is nobody's, the owner's, or was its namesake's, with whom it will go."""
    controller = meta.controller_of(revision)
    return controller is None or controller["kind"] == owner["kind"]


def limit(owner: Keeper) -> int:
    """How many revisions to keep that are out of use."""
    return owner["spec"].get("revisionHistoryLimit", 10)


async def forget(informers: Informers, revisions: Iterable[ControllerRevision]) -> None:
    """Delete revisions; any may be gone already."""
    for revision in revisions:
        try:
            await informers.delete(revision)
        except NotFound:
            continue
