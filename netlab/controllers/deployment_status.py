"""A Deployment's status and conditions, in the words `kubectl rollout status` waits for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from netlab.controllers import rollout
from netlab.controllers.conditions import Condition, conditions_with, find
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.objects.times import seconds, timestamp

NO_DEADLINE = 2**31 - 1
AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"


class Rollout(Struct, frozen=True):
    """A Deployment, its ReplicaSet of the present template (if any), the older ones, the time."""

    deployment: Object
    new: Object | None
    old: Sequence[Object]
    now: float
    created: bool = False

    @property
    def sets(self) -> list[Object]:
        """All its ReplicaSets."""
        return [*self.old, *([self.new] if self.new else [])]

    def condition(self, status: str, reason: str, message: str) -> Condition:
        """A fresh condition of the present time."""
        now = timestamp(self.now)
        return {
            "status": status,
            "lastUpdateTime": now,
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }


def status_of(roll: Rollout) -> dict[str, Any]:
    """The status as a merge patch: a field that is zero is None, as Kubernetes leaves it out."""
    counts = counts_of(roll)
    conditions: list[Condition] = list(meta.status(roll.deployment).get("conditions") or [])
    conditions = conditions_with(conditions, "Available", _availability(roll, counts))
    conditions = _progress(roll, counts, conditions)
    conditions = conditions_with(conditions, "ReplicaFailure", _failure(roll))
    return {
        **{field: count or None for field, count in counts.items()},
        "observedGeneration": roll.deployment["metadata"].get("generation"),
        "conditions": conditions or None,
    }


def counts_of(roll: Rollout) -> dict[str, int]:
    """How many pods there are, of the new template, ready, available, unavailable."""
    total = sum(map(rollout.replicas, roll.sets))
    available = sum(map(rollout.available, roll.sets))
    return {
        "replicas": _sum(roll.sets, "replicas"),
        "updatedReplicas": _sum([roll.new] if roll.new else [], "replicas"),
        "readyReplicas": _sum(roll.sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total - available),
    }


def is_complete(roll: Rollout, counts: dict[str, int]) -> bool:
    """Every pod is of the new template and available, and no other is left."""
    wanted = rollout.replicas(roll.deployment)
    fields = ("replicas", "updatedReplicas", "availableReplicas")
    return roll.new is not None and all(counts[field] == wanted for field in fields)


def seconds_to_deadline(deployment: Object, now: float) -> float | None:
    """Seconds until a rollout that makes no progress counts as failed; None if it cannot."""
    deadline = _deadline(deployment)
    current = meta.condition(deployment, "Progressing")
    if deadline is None or current is None or current["reason"] in (AVAILABLE, TIMED_OUT, PAUSED):
        return None
    return max(0.0, seconds(current.get("lastUpdateTime")) + deadline - now) + 1


def _sum(sets: Sequence[Object], field: str) -> int:
    return sum(int(meta.status(s).get(field) or 0) for s in sets)


def _deadline(deployment: Object) -> int | None:
    value = meta.spec(deployment).get("progressDeadlineSeconds", 600)
    return None if value in (None, NO_DEADLINE) else int(value)


def _availability(roll: Rollout, counts: dict[str, int]) -> Condition:
    floor = rollout.replicas(roll.deployment) - rollout.fenceposts(roll.deployment)[1]
    if counts["availableReplicas"] >= floor:
        return roll.condition(
            "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
        )
    return roll.condition(
        "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    )


def _progress(
    roll: Rollout, counts: dict[str, int], conditions: list[Condition]
) -> list[Condition]:
    """The conditions with Progressing brought up to date."""
    if _deadline(roll.deployment) is None:
        return conditions_with(conditions, "Progressing", None)
    if meta.spec(roll.deployment).get("paused"):
        return _paused(roll, conditions)
    conditions = _begun(roll, conditions)
    current = find(conditions, "Progressing")
    settled = counts["replicas"] == counts["updatedReplicas"]
    if current and current["reason"] == AVAILABLE and settled:
        return conditions
    if is_complete(roll, counts):
        done = roll.condition("True", AVAILABLE, f"{_subject(roll)} has successfully progressed.")
        return conditions_with(conditions, "Progressing", done)
    if _has_progressed(roll, counts):
        going = roll.condition("True", "ReplicaSetUpdated", f"{_subject(roll)} is progressing.")
        return conditions_with(conditions, "Progressing", going, touch=True)
    if current and _is_overdue(roll, current):
        late = roll.condition("False", TIMED_OUT, f"{_subject(roll)} has timed out progressing.")
        return conditions_with(conditions, "Progressing", late)
    return conditions


def _paused(roll: Rollout, conditions: list[Condition]) -> list[Condition]:
    current = find(conditions, "Progressing")
    if current and current["reason"] == TIMED_OUT:
        return conditions
    paused = roll.condition("Unknown", PAUSED, "Deployment is paused")
    return conditions_with(conditions, "Progressing", paused)


def _begun(roll: Rollout, conditions: list[Condition]) -> list[Condition]:
    """Progressing as it starts out: a set was created, found, or the pause is over."""
    current = find(conditions, "Progressing")
    if roll.new is not None and roll.created:
        text = f'Created new replica set "{meta.name(roll.new)}"'
        fresh = roll.condition("True", "NewReplicaSetCreated", text)
    elif current and current["reason"] == PAUSED:
        fresh = roll.condition("Unknown", "DeploymentResumed", "Deployment is resumed")
    elif roll.new is not None and current is None:
        text = f'Found new replica set "{meta.name(roll.new)}"'
        fresh = roll.condition("True", "FoundNewReplicaSet", text)
    else:
        return conditions
    return conditions_with(conditions, "Progressing", fresh, touch=True)


def _subject(roll: Rollout) -> str:
    if roll.new is None:
        return f'Deployment "{meta.name(roll.deployment)}"'
    return f'ReplicaSet "{meta.name(roll.new)}"'


def _has_progressed(roll: Rollout, counts: dict[str, int]) -> bool:
    before = meta.status(roll.deployment)
    old = {field: int(before.get(field) or 0) for field in counts}
    outdated = counts["replicas"] - counts["updatedReplicas"]
    return outdated < old["replicas"] - old["updatedReplicas"] or any(
        counts[field] > old[field]
        for field in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )


def _is_overdue(roll: Rollout, current: Condition) -> bool:
    if current["reason"] == AVAILABLE:
        return False
    deadline = _deadline(roll.deployment) or 0
    started = seconds(current.get("lastUpdateTime"))
    return current["reason"] == TIMED_OUT or started + deadline < roll.now


def _failure(roll: Rollout) -> Condition | None:
    for replica_set in reversed(roll.sets):
        entry = meta.condition(replica_set, "ReplicaFailure")
        if entry:
            return roll.condition(entry["status"], entry["reason"], entry["message"])
    return None
