"""A Deployment's status and conditions, in the words `kubectl rollout status` waits for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from netlab.controllers import rollout
from netlab.controllers.conditions import conditions_with, conditions_without, find
from netlab.controllers.controller import omit_empty
from netlab.objects import meta
from netlab.objects.times import seconds, timestamp
from netlab.objects.types import Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet

NO_DEADLINE = 2**31 - 1
AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"


class Rollout(Struct, frozen=True):
    """A Deployment, its ReplicaSet of the present template (if any), the older ones, the time."""

    deployment: Deployment
    new: ReplicaSet | None
    old: Sequence[ReplicaSet]
    now: float
    created: bool = False

    @property
    def sets(self) -> list[ReplicaSet]:
        """All its ReplicaSets."""
        return [*self.old, *([self.new] if self.new else [])]

    def condition(
        self, status: str, reason: str, message: str, type_: str = "Progressing"
    ) -> DeploymentCondition:
        """A fresh condition of the present time."""
        now = timestamp(self.now)
        return {
            "type": type_,
            "status": status,
            "lastUpdateTime": now,
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }


def status_of(roll: Rollout) -> dict[str, Any]:
    """The status as a merge patch: a field that is zero is None, as Kubernetes leaves it out."""
    counts = counts_of(roll)
    conditions = list(meta.status(roll.deployment).get("conditions") or [])
    conditions = conditions_with(conditions, _availability(roll, counts))
    conditions = _progress(roll, counts, conditions)
    failure = _failure(roll)
    status: DeploymentStatus = {
        **counts,
        "observedGeneration": roll.deployment["metadata"].get("generation", 0),
        "conditions": conditions_with(conditions, failure)
        if failure
        else conditions_without(conditions, "ReplicaFailure"),
    }
    return omit_empty(status)


def counts_of(roll: Rollout) -> DeploymentStatus:
    """How many pods there are, of the new template, ready, available, unavailable."""
    total = sum(map(rollout.replicas, roll.sets))
    available = sum(map(rollout.available, roll.sets))
    return {
        "replicas": sum(map(_pods, roll.sets)),
        "updatedReplicas": _pods(roll.new) if roll.new else 0,
        "readyReplicas": sum(meta.status(one).get("readyReplicas") or 0 for one in roll.sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total - available),
    }


def is_complete(roll: Rollout, counts: DeploymentStatus) -> bool:
    """Every pod is of the new template and available, and no other is left."""
    wanted = rollout.replicas(roll.deployment)
    return roll.new is not None and all(
        counts[field] == wanted for field in ("replicas", "updatedReplicas", "availableReplicas")
    )


def seconds_to_deadline(deployment: Deployment, now: float) -> float | None:
    """Seconds until a rollout that makes no progress counts as failed; None if it cannot."""
    deadline = _deadline(deployment)
    current = meta.condition(deployment, "Progressing")
    if deadline is None or current is None:
        return None
    if current.get("reason") in (AVAILABLE, TIMED_OUT, PAUSED):
        return None
    return max(0.0, seconds(current.get("lastUpdateTime")) + deadline - now) + 1


def _pods(replica_set: ReplicaSet) -> int:
    return meta.status(replica_set).get("replicas") or 0


def _deadline(deployment: Deployment) -> int | None:
    value = meta.spec(deployment).get("progressDeadlineSeconds", 600)
    return None if value in (None, NO_DEADLINE) else int(value)


def _availability(roll: Rollout, counts: DeploymentStatus) -> DeploymentCondition:
    floor = rollout.replicas(roll.deployment) - rollout.fenceposts(roll.deployment)[1]
    if counts["availableReplicas"] >= floor:
        return roll.condition(
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
            "Available",
        )
    return roll.condition(
        "False",
        "MinimumReplicasUnavailable",
        "Deployment does not have minimum availability.",
        "Available",
    )


def _progress(
    roll: Rollout, counts: DeploymentStatus, conditions: list[DeploymentCondition]
) -> list[DeploymentCondition]:
    """The conditions with Progressing brought up to date."""
    if _deadline(roll.deployment) is None:
        return conditions_without(conditions, "Progressing")
    if meta.spec(roll.deployment).get("paused"):
        return _paused(roll, conditions)
    conditions = _begun(roll, conditions)
    current = find(conditions, "Progressing")
    settled = counts["replicas"] == counts["updatedReplicas"]
    if current and current.get("reason") == AVAILABLE and settled:
        return conditions
    if is_complete(roll, counts):
        done = roll.condition("True", AVAILABLE, f"{_subject(roll)} has successfully progressed.")
        return conditions_with(conditions, done)
    if _has_progressed(roll, counts):
        going = roll.condition("True", "ReplicaSetUpdated", f"{_subject(roll)} is progressing.")
        return conditions_with(conditions, going, touch=True)
    if current and _is_overdue(roll, current):
        late = roll.condition("False", TIMED_OUT, f"{_subject(roll)} has timed out progressing.")
        return conditions_with(conditions, late)
    return conditions


def _paused(roll: Rollout, conditions: list[DeploymentCondition]) -> list[DeploymentCondition]:
    current = find(conditions, "Progressing")
    if current and current.get("reason") == TIMED_OUT:
        return conditions
    paused = roll.condition("Unknown", PAUSED, "Deployment is paused")
    return conditions_with(conditions, paused)


def _begun(roll: Rollout, conditions: list[DeploymentCondition]) -> list[DeploymentCondition]:
    """Progressing as it starts out: a set was created, found, or the pause is over."""
    current = find(conditions, "Progressing")
    if roll.new is not None and roll.created:
        text = f'Created new replica set "{meta.name(roll.new)}"'
        fresh = roll.condition("True", "NewReplicaSetCreated", text)
    elif current and current.get("reason") == PAUSED:
        fresh = roll.condition("Unknown", "DeploymentResumed", "Deployment is resumed")
    elif roll.new is not None and current is None:
        text = f'Found new replica set "{meta.name(roll.new)}"'
        fresh = roll.condition("True", "FoundNewReplicaSet", text)
    else:
        return conditions
    return conditions_with(conditions, fresh, touch=True)


def _subject(roll: Rollout) -> str:
    if roll.new is None:
        return f'Deployment "{meta.name(roll.deployment)}"'
    return f'ReplicaSet "{meta.name(roll.new)}"'


def _has_progressed(roll: Rollout, counts: DeploymentStatus) -> bool:
    old = meta.status(roll.deployment)
    outdated = counts["replicas"] - counts["updatedReplicas"]
    return outdated < old.get("replicas", 0) - old.get("updatedReplicas", 0) or any(
        counts[field] > old.get(field, 0)
        for field in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )


def _is_overdue(roll: Rollout, current: DeploymentCondition) -> bool:
    if current.get("reason") == AVAILABLE:
        return False
    deadline = _deadline(roll.deployment) or 0
    started = seconds(current.get("lastUpdateTime"))
    return current.get("reason") == TIMED_OUT or started + deadline < roll.now


def _failure(roll: Rollout) -> DeploymentCondition | None:
    for replica_set in reversed(roll.sets):
        entry = meta.condition(replica_set, "ReplicaFailure")
        if entry:
            reason, message = entry.get("reason") or "", entry.get("message") or ""
            return roll.condition(entry["status"], reason, message, "ReplicaFailure")
    return None
