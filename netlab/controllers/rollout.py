"""How large each ReplicaSet of a Deployment should be: arithmetic only, no API.

The numbers are Kubernetes': maxSurge rounds up, maxUnavailable down, both 0 become
maxUnavailable 1; unhealthy old pods go first; scaling while rolling is shared in proportion.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from netlab.objects import meta
from netlab.objects.meta import AnyObject
from netlab.objects.numbers import whole
from netlab.objects.types import Deployment, PodTemplateSpec, ReplicaSet, ReplicationController

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"

Sizes = list[tuple[ReplicaSet, int]]
"""ReplicaSets with the number of replicas each should have; only those that change."""


def replicas(obj: Deployment | ReplicaSet | ReplicationController) -> int:
    """`spec.replicas`, 1 when unset."""
    return int(meta.spec(obj).get("replicas", 1))


def available(replica_set: ReplicaSet) -> int:
    """`status.availableReplicas`."""
    return int(meta.status(replica_set).get("availableReplicas") or 0)


def revision(obj: AnyObject) -> int:
    """The revision annotation as a number, 0 when there is none."""
    return max(whole(meta.annotations(obj).get(REVISION, "")) or 0, 0)


def is_recreate(deployment: Deployment) -> bool:
    """Whether the strategy is Recreate."""
    return bool((meta.spec(deployment).get("strategy") or {}).get("type") == "Recreate")


def fenceposts(deployment: Deployment) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) as numbers of pods; (0, 0) unless it is a rolling update."""
    if is_recreate(deployment):
        return 0, 0
    rolling = (meta.spec(deployment).get("strategy") or {}).get("rollingUpdate") or {}
    total = replicas(deployment)
    surge = resolve(rolling.get("maxSurge", "25%"), total, up=True)
    unavailable = resolve(rolling.get("maxUnavailable", "25%"), total, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, total)


def resolve(value: int | str, total: int, *, up: bool) -> int:
    """A number, or a percentage of `total` rounded up or down."""
    text = str(value)
    if not text.endswith("%"):
        return int(text)
    exact = int(text[:-1]) * total / 100
    return math.ceil(exact) if up else math.floor(exact)


def by_age(sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Oldest first."""
    return sorted(sets, key=meta.by_creation)


def find_new(deployment: Deployment, sets: Iterable[ReplicaSet]) -> ReplicaSet | None:
    """The (oldest) ReplicaSet with the Deployment's present template."""
    wanted = _comparable(meta.spec(deployment)["template"])
    for replica_set in by_age(sets):
        if _comparable(meta.spec(replica_set)["template"]) == wanted:
            return replica_set
    return None


def _comparable(template: PodTemplateSpec) -> dict[str, Any]:
    """A template without the hash label, and with nothing told apart from empty."""
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    rest = {k: v for k, v in metadata.items() if k != "labels" and v}
    return {**template, "metadata": {**rest, "labels": labels}}


def new_size(deployment: Deployment, new_replicas: int, sets: Iterable[ReplicaSet]) -> int:
    """Replicas for the new set, which has `new_replicas` and may be among `sets` or yet to come."""
    wanted = replicas(deployment)
    if new_replicas >= wanted or is_recreate(deployment):
        return wanted
    room = wanted + fenceposts(deployment)[0] - sum(map(replicas, sets))
    return new_replicas + max(0, min(room, wanted - new_replicas))


def old_sizes(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Sizes:
    """What a rolling update may take from the old sets now: the unhealthy, then the healthy."""
    floor = replicas(deployment) - fenceposts(deployment)[1]
    total = replicas(new) + sum(map(replicas, old))
    new_unavailable = replicas(new) - available(new)
    spare = total - floor - new_unavailable
    if spare <= 0:
        return []
    sizes = {meta.uid(s): replicas(s) for s in old}
    _take_unhealthy(sizes, old, spare)
    _take_healthy(sizes, old, sum(map(_lasting, [new, *old])) - floor)
    return [(s, sizes[meta.uid(s)]) for s in by_age(old) if sizes[meta.uid(s)] != replicas(s)]


def _lasting(replica_set: ReplicaSet) -> int:
    """Available pods that will stay: a status may still count some just scaled away."""
    return min(available(replica_set), replicas(replica_set))


def _take_unhealthy(sizes: dict[str, int], old: Iterable[ReplicaSet], spare: int) -> None:
    for replica_set in by_age(old):
        unhealthy = max(0, replicas(replica_set) - available(replica_set))
        taken = min(spare, unhealthy)
        sizes[meta.uid(replica_set)] -= taken
        spare -= taken


def _take_healthy(sizes: dict[str, int], old: Iterable[ReplicaSet], spare: int) -> None:
    for replica_set in by_age(old):
        taken = max(0, min(spare, sizes[meta.uid(replica_set)]))
        sizes[meta.uid(replica_set)] -= taken
        spare -= taken


def is_scaling(deployment: Deployment, sets: Iterable[ReplicaSet]) -> bool:
    """True when the Deployment's size changed since its ReplicaSets were last sized."""
    wanted = str(replicas(deployment))
    return any(
        meta.annotations(s).get(DESIRED_REPLICAS, wanted) != wanted for s in sets if replicas(s)
    )


def scaled_sizes(
    deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]
) -> Sizes:
    """Sizes after the Deployment's own size changed; also sets whose annotations must follow."""
    lone = _active_or_latest(new, old)
    if lone is not None:
        return [(lone, replicas(deployment))]
    if new is not None and _is_saturated(deployment, new):
        return [(s, 0) for s in old if replicas(s)]
    active = [s for s in [*old, *([new] if new else [])] if replicas(s)]
    if is_recreate(deployment):
        return [(s, replicas(s)) for s in active]
    return _in_proportion(deployment, active)


def _active_or_latest(new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The only active set, or when none is, the newest; None while several are active."""
    active = [s for s in [*old, *([new] if new else [])] if replicas(s)]
    if len(active) == 1:
        return active[0]
    if active:
        return None
    return new or (by_age(old)[-1] if old else None)


def _is_saturated(deployment: Deployment, new: ReplicaSet) -> bool:
    wanted = replicas(deployment)
    annotated = meta.annotations(new).get(DESIRED_REPLICAS)
    return replicas(new) == wanted == available(new) and annotated == str(wanted)


def _in_proportion(deployment: Deployment, active: list[ReplicaSet]) -> Sizes:
    """Share what is to be added or removed among the active sets by their sizes.

    The largest set is first and takes what rounding leaves over; among equals the newest when
    growing, the oldest when shrinking.
    """
    wanted = replicas(deployment)
    allowed = wanted + fenceposts(deployment)[0] if wanted else 0
    to_add = allowed - sum(map(replicas, active))
    aged = by_age(active)
    ordered = sorted(aged[::-1] if to_add > 0 else aged, key=replicas, reverse=True)
    sizes, added = [], 0
    for replica_set in ordered:
        share = _share(deployment, replica_set, to_add, added)
        added += share
        sizes.append(replicas(replica_set) + share)
    if sizes and to_add:
        sizes[0] = max(0, sizes[0] + to_add - added)
    return list(zip(ordered, sizes, strict=True))


def _share(deployment: Deployment, replica_set: ReplicaSet, to_add: int, added: int) -> int:
    left = to_add - added
    if not left:
        return 0
    share = _fraction(deployment, replica_set)
    return min(share, left) if to_add > 0 else max(share, left)


def _fraction(deployment: Deployment, replica_set: ReplicaSet) -> int:
    """How much this set would change if it kept its part of the whole."""
    size, wanted = replicas(replica_set), replicas(deployment)
    if not wanted:
        return -size
    noted = whole(meta.annotations(replica_set).get(MAX_REPLICAS, "")) or 0
    before = noted if noted > 0 else int(meta.status(deployment).get("replicas") or wanted)
    after = size * (wanted + fenceposts(deployment)[0]) / before
    return math.floor(after + 0.5) - size


def surplus_history(deployment: Deployment, old: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    """The old ReplicaSets beyond revisionHistoryLimit that are empty, the oldest revisions."""
    limit = meta.spec(deployment).get("revisionHistoryLimit", 10)
    kept = [s for s in old if not meta.is_terminating(s)]
    surplus = sorted(kept, key=revision)[: max(0, len(kept) - int(limit))]
    return [s for s in surplus if not replicas(s) and _is_settled_empty(s)]


def _is_settled_empty(replica_set: ReplicaSet) -> bool:
    status = meta.status(replica_set)
    observed = int(status.get("observedGeneration") or 0)
    return not status.get("replicas") and observed >= int(
        replica_set["metadata"].get("generation") or 0
    )
