"""What makes pods, as `kubectl describe` shows it: Deployments, ReplicaSets … Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from netlab.objects import meta
from netlab.objects.kinds.pods import POD
from netlab.objects.kinds.workloads import (
    DAEMON_SET,
    DEPLOYMENT,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
)
from netlab.objects.types import (
    DaemonSet,
    Deployment,
    PersistentVolumeClaim,
    Pod,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
    Workload,
)
from netlab.view.describing import described
from netlab.view.describing.described import Belonging, Description, Lines, Related
from netlab.view.describing.pods import template

REVISION = "deployment.kubernetes.io/revision"


def deployment(obj: Deployment, related: Related) -> Lines:
    """A Deployment: its replicas, its strategy, its old ReplicaSets and its new one."""
    yield from described.name_lines(obj)
    yield described.created(obj)
    yield from described.label_lines(obj)
    yield from described.annotation_lines(obj)
    yield f"Selector:\t{described.selector(obj)}"
    yield f"Replicas:\t{_replicas(obj)}"
    yield from _strategy(obj)
    yield from template(meta.spec(obj)["template"])
    yield from _conditions(obj)
    yield from _replica_sets(obj, related.objects)
    yield from described.events(related)


def _replicas(obj: Deployment) -> str:
    status = meta.status(obj)
    counts = (
        (meta.spec(obj).get("replicas", 1), "desired"),
        (status.get("updatedReplicas", 0), "updated"),
        (status.get("replicas", 0), "total"),
        (status.get("availableReplicas", 0), "available"),
        (status.get("unavailableReplicas", 0), "unavailable"),
    )
    return " | ".join(f"{number} {word}" for number, word in counts)


def _strategy(obj: Deployment) -> Lines:
    spec = meta.spec(obj)
    strategy = spec.get("strategy") or {}
    yield f"StrategyType:\t{strategy.get('type', 'RollingUpdate')}"
    yield f"MinReadySeconds:\t{spec.get('minReadySeconds', 0)}"
    if rolling := strategy.get("rollingUpdate"):
        unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        yield f"RollingUpdateStrategy:\t{unavailable} max unavailable, {surge} max surge"


def _conditions(obj: Deployment | ReplicaSet | ReplicationController) -> Lines:
    found = obj.get("status", {}).get("conditions") or []
    if found:
        yield "Conditions:"
        yield "  Type\tStatus\tReason"
        yield "  ----\t------\t------"
        for entry in found:
            yield f"  {entry['type']} \t{entry['status']}\t{entry.get('reason', '')}"


def _replica_sets(obj: Deployment, replica_sets: Sequence[ReplicaSet]) -> Lines:
    own = [one for one in replica_sets if meta.controller_uid(one) == meta.uid(obj)]
    new = _newest(obj, own)
    old = [one for one in own if one is not new and _has_pods(one)]
    yield f"OldReplicaSets:\t{_sets(old)}"
    yield f"NewReplicaSet:\t{_sets([new] if new else [])}"


def _newest(obj: Deployment, replica_sets: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The ReplicaSet of the Deployment's own revision, which its template is now."""
    revision = meta.annotations(obj).get(REVISION)
    for one in replica_sets:
        if revision and meta.annotations(one).get(REVISION) == revision:
            return one
    return None


def _has_pods(obj: ReplicaSet) -> bool:
    return bool(meta.spec(obj).get("replicas") or meta.status(obj).get("replicas"))


def _sets(replica_sets: Sequence[ReplicaSet]) -> str:
    return ", ".join(_created(one) for one in replica_sets) or "<none>"


def _created(one: ReplicaSet) -> str:
    have, wanted = meta.status(one).get("replicas", 0), meta.spec(one).get("replicas", 0)
    return f"{meta.name(one)} ({have}/{wanted} replicas created)"


# -- the others ----------------------------------------------------------------------------


def replica_set(obj: ReplicaSet | ReplicationController, related: Related) -> Lines:
    """A ReplicaSet, or a ReplicationController: how many pods, and what became of them."""
    yield from described.name_lines(obj)
    yield f"Selector:\t{described.selector(obj)}"
    yield from described.label_lines(obj)
    yield from described.annotation_lines(obj)
    yield from described.controlled_by(obj)
    current = meta.status(obj).get("replicas", 0)
    yield f"Replicas:\t{current} current / {meta.spec(obj).get('replicas', 1)} desired"
    yield _phases(obj, related.objects)
    yield from template(meta.spec(obj)["template"])
    yield from _conditions(obj)
    yield from described.events(related)


def stateful_set(obj: StatefulSet, related: Related) -> Lines:
    """A StatefulSet."""
    spec = meta.spec(obj)
    yield from described.name_lines(obj)
    yield described.created(obj)
    yield f"Selector:\t{described.selector(obj)}"
    yield from described.label_lines(obj)
    yield from described.annotation_lines(obj)
    total = meta.status(obj).get("replicas", 0)
    yield f"Replicas:\t{spec.get('replicas', 1)} desired | {total} total"
    strategy = spec.get("updateStrategy") or {}
    yield f"Update Strategy:\t{strategy.get('type', 'RollingUpdate')}"
    if rolling := strategy.get("rollingUpdate"):
        yield f"  Partition:\t{rolling.get('partition', 0)}"
    yield _phases(obj, related.objects)
    yield from template(spec["template"])
    yield from _claim_templates(meta.spec(obj).get("volumeClaimTemplates") or [])
    yield from described.events(related)


def daemon_set(obj: DaemonSet, related: Related) -> Lines:
    """A DaemonSet."""
    status = meta.status(obj)
    node_selector = meta.spec(obj)["template"]["spec"].get("nodeSelector") or {}
    yield from described.name_lines(obj)
    yield f"Selector:\t{described.selector(obj)}"
    yield f"Node-Selector:\t{described.comma_pairs(node_selector)}"
    yield from described.label_lines(obj)
    yield from described.annotation_lines(obj)
    for title, number in (
        ("Desired Number of Nodes Scheduled", status.get("desiredNumberScheduled", 0)),
        ("Current Number of Nodes Scheduled", status.get("currentNumberScheduled", 0)),
        (
            "Number of Nodes Scheduled with Up-to-date Pods",
            status.get("updatedNumberScheduled", 0),
        ),
        ("Number of Nodes Scheduled with Available Pods", status.get("numberAvailable", 0)),
        ("Number of Nodes Misscheduled", status.get("numberMisscheduled", 0)),
    ):
        yield f"{title}: {number}"
    yield _phases(obj, related.objects)
    yield from template(meta.spec(obj)["template"])
    yield from described.events(related)


def _phases(obj: Workload, pods: Sequence[Pod]) -> str:
    """How many of the object's own pods are in which phase."""
    counts = Counter(_phase(pod) for pod in pods if meta.controller_uid(pod) == meta.uid(obj))
    words = {"Running": "Running", "Pending": "Waiting", "Succeeded": "Succeeded"}
    words["Failed"] = "Failed"
    return "Pods Status:\t" + " / ".join(f"{counts[p]} {word}" for p, word in words.items())


def _phase(pod: Pod) -> Any:
    return meta.status(pod).get("phase")


def _sets_beside(obj: Deployment) -> tuple[Belonging, ...]:
    return (Belonging(REPLICA_SET, meta.namespace(obj)),)


def _pods_beside(obj: Workload) -> tuple[Belonging, ...]:
    return (Belonging(POD, meta.namespace(obj)),)


def _claim_templates(templates: Sequence[PersistentVolumeClaim]) -> Lines:
    yield "Volume Claims:" if templates else "Volume Claims:\t<none>"
    for one in templates:
        spec = meta.spec(one)
        asked = (spec.get("resources") or {}).get("requests") or {}
        yield f"  Name:\t{meta.name(one)}"
        yield f"  StorageClass:\t{spec.get('storageClassName') or ''}"
        yield from described.pairs("  Labels", meta.labels(one))
        yield from described.pairs("  Annotations", meta.annotations(one))
        yield f"  Capacity:\t{asked.get('storage', '<default>')}"
        yield f"  Access Modes:\t[{' '.join(spec.get('accessModes') or [])}]"


DESCRIPTIONS = {
    DEPLOYMENT: Description(deployment, _sets_beside),
    REPLICA_SET: Description(replica_set, _pods_beside),
    REPLICATION_CONTROLLER: Description(replica_set, _pods_beside),
    STATEFUL_SET: Description(stateful_set, _pods_beside),
    DAEMON_SET: Description(daemon_set, _pods_beside),
}
