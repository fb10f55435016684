"""What has rollouts, and how far one is: kubectl's words, without asking anybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from netlab.errors import NetlabError, UsageError
from netlab.objects import meta
from netlab.objects.kinds import BY_KIND, Kind
from netlab.objects.kinds.workloads import (
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
)
from netlab.objects.meta import Object


class RolloutProgress(Struct, frozen=True):
    """A line about a rollout, and whether it is over."""

    line: str
    done: bool = False


class RolledOutKind(Struct, frozen=True):
    """What rollouts of one kind are to `netlab rollout`: kubectl's polymorphic helpers."""

    progress: Callable[[Object], RolloutProgress]
    kept_by: Kind
    """The kind whose objects keep the revisions there were."""

    can_pause: bool = False


def _deployment(obj: Object) -> RolloutProgress:
    name = f'deployment "{meta.name(obj)}"'
    if not _is_observed(obj):
        return RolloutProgress("Waiting for deployment spec update to be observed...")
    if (meta.condition(obj, "Progressing") or {}).get("reason") == "ProgressDeadlineExceeded":
        raise NetlabError(f"{name} exceeded its progress deadline", hint="netlab get pods")
    waiting = f"Waiting for {name} rollout to finish:"
    wanted, updated = _wanted(obj), _count(obj, "updatedReplicas")
    total, available = _count(obj, "replicas"), _count(obj, "availableReplicas")
    if updated < wanted:
        return RolloutProgress(
            f"{waiting} {updated} out of {wanted} new replicas have been updated..."
        )
    if total > updated:
        return RolloutProgress(
            f"{waiting} {total - updated} old replicas are pending termination..."
        )
    if available < updated:
        return RolloutProgress(
            f"{waiting} {available} of {updated} updated replicas are available..."
        )
    return RolloutProgress(f"{name} successfully rolled out", done=True)


def _daemon_set(obj: Object) -> RolloutProgress:
    _need_rolling(obj)
    name = f'daemon set "{meta.name(obj)}"'
    if not _is_observed(obj):
        return RolloutProgress("Waiting for daemon set spec update to be observed...")
    wanted = _count(obj, "desiredNumberScheduled")
    updated, available = _count(obj, "updatedNumberScheduled"), _count(obj, "numberAvailable")
    waiting = f"Waiting for {name} rollout to finish:"
    if updated < wanted:
        return RolloutProgress(f"{waiting} {updated} out of {wanted} new pods have been updated...")
    if available < wanted:
        return RolloutProgress(f"{waiting} {available} of {wanted} updated pods are available...")
    return RolloutProgress(f"{name} successfully rolled out", done=True)


def _stateful_set(obj: Object) -> RolloutProgress:
    strategy = _need_rolling(obj)
    if not _is_observed(obj) or not _count(obj, "observedGeneration"):
        return RolloutProgress("Waiting for statefulset spec update to be observed...")
    wanted, ready = _wanted(obj), _count(obj, "readyReplicas")
    if ready < wanted:
        return RolloutProgress(f"Waiting for {wanted - ready} pods to be ready...")
    updated, status = _count(obj, "updatedReplicas"), meta.status(obj)
    partition = (strategy.get("rollingUpdate") or {}).get("partition")
    if partition is not None:
        text = "new pods have been updated..."
        if updated < wanted - partition:
            return RolloutProgress(
                "Waiting for partitioned roll out to finish: "
                f"{updated} out of {wanted - partition} {text}"
            )
        return RolloutProgress(f"partitioned roll out complete: {updated} {text}", done=True)
    newest, current = status.get("updateRevision"), status.get("currentRevision")
    if newest != current:
        return RolloutProgress(
            f"waiting for statefulset rolling update to complete {updated} pods at revision "
            f"{newest}..."
        )
    count = _count(obj, "currentReplicas")
    return RolloutProgress(
        f"statefulset rolling update complete {count} pods at revision {current}...", done=True
    )


def _need_rolling(obj: Object) -> dict[str, Any]:
    strategy: dict[str, Any] = meta.spec(obj).get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        raise NetlabError("rollout status is only available for RollingUpdate strategy type")
    return strategy


def _is_observed(obj: Object) -> bool:
    return int(obj["metadata"].get("generation") or 0) <= _count(obj, "observedGeneration")


def _wanted(obj: Object) -> int:
    return int(meta.spec(obj).get("replicas", 1))


def _count(obj: Object, field: str) -> int:
    return int(meta.status(obj).get(field) or 0)


ROLLOUTS = {
    DEPLOYMENT: RolledOutKind(_deployment, REPLICA_SET, can_pause=True),
    DAEMON_SET: RolledOutKind(_daemon_set, CONTROLLER_REVISION),
    STATEFUL_SET: RolledOutKind(_stateful_set, CONTROLLER_REVISION),
}
"""The kinds that have rollouts; all of them can be restarted."""

PAUSABLE = tuple(kind for kind, rollout in ROLLOUTS.items() if rollout.can_pause)

HINT = "Deployments, DaemonSets and StatefulSets have rollouts"


def progress(obj: Object) -> RolloutProgress:
    """How far it is. `NetlabError` for one that has failed, or that cannot be told."""
    rollout = ROLLOUTS.get(BY_KIND[obj["kind"]])
    if rollout is None:
        raise UsageError(f"no status viewer has been implemented for {obj['kind']}", hint=HINT)
    return rollout.progress(obj)
