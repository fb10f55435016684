"""DaemonSet: one pod on every node that will have it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from netlab.controllers import history, placement, rollout
from netlab.controllers import pods as podlib
from netlab.controllers.controller import Controller, WatchedKind, omit_empty, own_key
from netlab.controllers.ownership import claim, claims
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import (
    ControllerRevision,
    DaemonSet,
    DaemonSetStatus,
    Node,
    NodeSelector,
    NodeSelectorRequirement,
    Pod,
    Toleration,
)

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_TOLERATED: tuple[Toleration, ...] = (
    {"key": placement.NOT_READY, "operator": "Exists", "effect": "NoExecute"},
    {"key": placement.UNREACHABLE, "operator": "Exists", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/disk-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/pid-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": placement.UNSCHEDULABLE, "operator": "Exists", "effect": "NoSchedule"},
)
"""What every daemon's pod bears, since it belongs to the node rather than being placed there."""

ByNode = dict[str, list[Pod]]


class DaemonSets(Controller):
    """Keeps each DaemonSet's pods, one a node."""

    name = "daemonset-controller"

    def watches(self) -> Sequence[WatchedKind]:
        """DaemonSets, their pods and revisions, and nodes."""
        return (
            WatchedKind("DaemonSet", own_key),
            claims(self.informers, "DaemonSet", "Pod"),
            claims(self.informers, "DaemonSet", history.KIND),
            WatchedKind("Node", self._node_keys),
        )

    def _node_keys(self, old: Node | None, new: Node | None) -> Iterable[str]:
        if old is not None and new is not None and not placement.differs(old, new):
            return ()
        return [meta.key(owner) for owner in self.informers["DaemonSet"].items()]

    async def reconcile(self, key: str) -> float | None:
        """Create and delete pods so that each fitting node has one; then write the status."""
        owner = self.informers["DaemonSet"].get(key)
        if owner is None or self.informers["DaemonSet"].is_going(owner):
            return None  # of one that is going the history may be gone already
        everyone = await claim(self.informers, owner, self.informers["Pod"])
        digest = await self._keep_history(owner, everyone)
        if digest is None:
            return None
        pods = by_node(everyone)
        await self._place(owner, pods, digest)
        await self._renew(owner, pods, digest)
        await self._report(key, digest)
        wait = podlib.min_ready_seconds(owner)
        return podlib.seconds_to_available(everyone, wait, self.context.clock())

    async def _keep_history(self, owner: DaemonSet, pods: Iterable[Pod]) -> str | None:
        """Keep the present template, forget the oldest.

        The hash of the present one, or None if it has to be tried again.
        """
        kept = await claim(self.informers, owner, self.informers["ControllerRevision"])
        present = await history.present(self.informers, owner, kept, history.LABEL)
        if present is None:
            return None
        old = [one for one in history.by_number(kept) if meta.name(one) != meta.name(present)]
        used = set(map(history.of, pods))
        idle = [one for one in old if hash_of(one) not in used]
        await history.forget(self.informers, idle[: max(0, len(old) - history.limit(owner))])
        return hash_of(present)

    async def _place(self, owner: DaemonSet, pods: ByNode, digest: str) -> None:
        """Create where one is missing; delete doubles, and those whose node is none for them."""
        nodes = {meta.name(node): node for node in self.informers["Node"].items()}
        for name, node in sorted(nodes.items()):
            alive = self._alive(pods.get(name, []))
            for pod in pods.get(name, []):
                if is_pod_terminal(pod):
                    await self._delete(owner, pod)
            if pods.get(name) and placement.evicts(daemon_pod(owner, name), node):
                await self._delete_all(owner, alive)
            elif not pods.get(name) and should_run(owner, node):
                await self._create(owner, name, digest)
            await self._delete_all(owner, sorted(alive, key=meta.by_creation)[1:])
        for name in set(pods) - set(nodes):
            await self._delete_all(owner, pods[name])

    async def _renew(self, owner: DaemonSet, pods: ByNode, digest: str) -> None:
        """Rolling update: delete pods of older templates while enough are available."""
        strategy = meta.spec(owner).get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete":
            return
        fitting = self._fitting(owner)
        limit = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1)
        room = max(1, rollout.resolve(limit, len(fitting), up=True))
        outdated = []
        for name in sorted(fitting):
            alive = self._alive(pods.get(name, []))
            old = [pod for pod in alive if history.of(pod) != digest]
            if any(self._is_available(owner, pod) for pod in alive):
                outdated += old
            else:
                # It serves nobody as it is: replacing it costs nothing, but its place counts.
                await self._delete_all(owner, old)
                room -= 1
        await self._delete_all(owner, outdated[: max(0, room)])

    def _fitting(self, owner: DaemonSet) -> set[str]:
        """The names of the nodes that are to have a pod."""
        nodes = self.informers["Node"].items()
        return {meta.name(node) for node in nodes if should_run(owner, node)}

    def _alive(self, pods: Iterable[Pod]) -> list[Pod]:
        return podlib.active(self.informers["Pod"], pods)

    def _is_available(self, owner: DaemonSet, pod: Pod) -> bool:
        wait = podlib.min_ready_seconds(owner)
        return podlib.is_available(pod, wait, self.context.clock())

    async def _create(self, owner: DaemonSet, node: str, digest: str) -> None:
        pod = daemon_pod(owner, node)
        pod["metadata"].setdefault("labels", {})[history.LABEL] = digest
        created = await self.informers.create(pod)
        self.recorder.normal(owner, "SuccessfulCreate", f"Created pod: {meta.name(created)}")

    async def _delete_all(self, owner: DaemonSet, pods: Iterable[Pod]) -> None:
        for pod in pods:
            await self._delete(owner, pod)

    async def _delete(self, owner: DaemonSet, pod: Pod) -> None:
        if self.informers["Pod"].is_going(pod):
            return
        try:
            await self.informers.delete(pod)
        except NotFound:
            return
        self.recorder.normal(owner, "SuccessfulDelete", f"Deleted pod: {meta.name(pod)}")

    async def _report(self, key: str, digest: str) -> None:
        owner = self.informers["DaemonSet"].get(key)
        if owner is None:
            return
        pods = by_node(self._alive(self.informers["Pod"].by_index("controller", meta.uid(owner))))
        status = status_of(owner, pods, self._fitting(owner), digest, self.context.clock())
        await self.write_status(owner, status)


def hash_of(revision: ControllerRevision) -> str:
    """What the label of the revision's pods says: the hash at the end of its name."""
    return meta.labels(revision).get(history.LABEL) or meta.name(revision)


def should_run(owner: DaemonSet, node: Node) -> bool:
    """Whether the node is to have one of the set's pods."""
    return placement.refusal(daemon_pod(owner, meta.name(node)), node) is None


def daemon_pod(owner: DaemonSet, node: str) -> Pod:
    """A pod of the template that the scheduler can put on that node only."""
    pod = podlib.from_template(meta.spec(owner)["template"], owner)
    spec = pod["spec"]
    spec["tolerations"] = [
        *(spec.get("tolerations") or []),
        *_TOLERATED,
    ]
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    affinity[_REQUIRED] = _pinned(affinity.get(_REQUIRED), node)
    return pod


def _pinned(required: NodeSelector | None, node: str) -> NodeSelector:
    """The required terms, each of them for this node alone."""
    field: NodeSelectorRequirement = {"key": "metadata.name", "operator": "In", "values": [node]}
    terms = (required["nodeSelectorTerms"] if required else []) or [{}]
    return {"nodeSelectorTerms": [{**term, "matchFields": [field]} for term in terms]}


def by_node(pods: Iterable[Pod]) -> ByNode:
    """Pods by the node they are on or meant for."""
    result: ByNode = {}
    for pod in pods:
        result.setdefault(_node_of(pod), []).append(pod)
    return result


def _node_of(pod: Pod) -> str:
    spec = meta.spec(pod)
    if name := spec.get("nodeName"):
        return name
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    for term in required["nodeSelectorTerms"] if required else []:
        for field in term.get("matchFields") or []:
            return next(iter(field.get("values") or ()), "")
    return ""


def status_of(
    owner: DaemonSet, pods: ByNode, fitting: set[str], digest: str, now: float
) -> dict[str, Any]:
    """The status as a merge patch: the living pods by node, the nodes that want one, the hash."""
    wait = podlib.min_ready_seconds(owner)
    placed = [group for node, group in pods.items() if node in fitting]
    available = sum(any(podlib.is_available(p, wait, now) for p in group) for group in placed)
    status: DaemonSetStatus = {
        "observedGeneration": owner["metadata"].get("generation", 0),
        "desiredNumberScheduled": len(fitting),
        "currentNumberScheduled": len(placed),
        "numberMisscheduled": len(pods) - len(placed),
        "numberReady": sum(any(map(meta.is_ready, group)) for group in placed),
        "updatedNumberScheduled": sum(
            any(history.of(pod) == digest for pod in group) for group in placed
        ),
        "numberAvailable": available,
        "numberUnavailable": len(fitting) - available,
    }
    return omit_empty(
        status,
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberMisscheduled",
        "numberReady",
    )
