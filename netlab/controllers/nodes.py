"""Nodes: whether they live, taints that follow their condition, and pods whose node failed, evicts
or is no more."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Iterator, Sequence
from math import inf
from typing import Literal

from netlab.controllers.conditions import conditions_with
from netlab.controllers.controller import Controller, ControllerContext, WatchedKind, own_key
from netlab.controllers.heartbeats import Heartbeats
from netlab.controllers.placement import NOT_READY, UNREACHABLE, UNSCHEDULABLE, seconds_borne
from netlab.controllers.pods import index_by_node
from netlab.errors import NotFound, NotSaved
from netlab.objects import meta
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import Lease, Node, NodeCondition, Pod, PodCondition, Taint

LEASES = "kube-node-lease"
Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
KUBELETS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
"""The conditions that a kubelet reports."""
UNKNOWN = "NodeStatusUnknown"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"

_UNREADY: PodCondition = {"type": "Ready", "status": "False", "reason": "NodeNotReady"}
_ORPHANED: PodCondition = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "DeletionByPodGC",
    "message": "PodGC: node no longer exists",
}
_DISRUPTED: PodCondition = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "DeletionByTaintManager",
    "message": "Taint manager: deleting due to NoExecute taint",
}


class Nodes(Controller):
    """Taints nodes that take no pods; marks or removes the pods of those that failed or went."""

    name = "node-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._heartbeats = Heartbeats(context.node_monitor_grace_period)
        index_by_node(self.informers["Pod"])
        self._due: dict[str, dict[str, float]] = {}
        """By node and pod uid: when a pod has to leave a tainted node."""

    def watches(self) -> Sequence[WatchedKind]:
        """Nodes, their Leases, and pods bound to a node that is not there, not ready or evicts."""
        return (
            WatchedKind("Node", self._node_keys),
            WatchedKind("Lease", self._lease_keys),
            WatchedKind("Pod", self._pod_keys),
        )

    def _pod_keys(self, _old: Pod | None, new: Pod | None) -> Iterable[str]:
        name = new["spec"].get("nodeName") if new is not None else None
        if new is None or not name:
            return ()
        node = self.informers["Node"].get(name)
        stays = node is not None and meta.is_ready(node) and seconds_borne(new, node) is None
        return () if stays else (name,)

    def beside(self) -> Iterable[Coroutine[None, None, None]]:
        """Listening for nodes that say nothing any more."""
        yield self._heartbeats.run(self._on_silence)

    def _lease_keys(self, _old: Lease | None, new: Lease | None) -> Iterable[str]:
        if new is not None and meta.namespace(new) == LEASES:
            self._heartbeats.heard(meta.name(new))
        return ()

    def _node_keys(self, old: Node | None, new: Node | None) -> Iterable[str]:
        keys = own_key(old, new)
        if new is None:
            for name in keys:
                self._heartbeats.forget(name)
        elif _reported(new) is not None and (old is None or _reported(old) != _reported(new)):
            self._heartbeats.heard(meta.name(new))
        return keys

    def _on_silence(self, name: str) -> None:
        node = self.informers["Node"].get(name)
        if node is None:
            self._heartbeats.forget(name)
        elif _reported(node) is not None:
            self.queue.add(name)

    async def reconcile(self, key: str) -> float | None:
        """Bring the node's condition, its taints and its pods in line with what is heard of it."""
        node = self.informers["Node"].get(key)
        pods = list(self.informers["Pod"].by_index("node", key))
        if node is None:
            if pods and not await self._exists(key):
                for pod in pods:
                    await self._end(pod, _ORPHANED)
            return None
        if _reported(node) is not None and self._heartbeats.is_silent(key):
            node = await self._lose(node)
        taints = wanted_taints(node, self.context.now())
        if taints != (meta.spec(node).get("taints") or []):
            node = await self.informers.patch(node, {"spec": {"taints": taints or None}})
        if _has_failed(node):
            pods = [await self._marked_unready(pod) for pod in pods]
            await self._give_up(node, pods)
        return await self._evict(node, pods)

    async def _give_up(self, node: Node, pods: Iterable[Pod]) -> None:
        """Somebody has said that the node will not come back: what was to end there has ended."""
        if any(taint["key"] == OUT_OF_SERVICE for taint in meta.spec(node).get("taints") or []):
            for pod in filter(meta.is_terminating, pods):
                await self._end(pod)

    async def _lose(self, node: Node) -> Node:
        """Nobody knows any more how the node is."""
        unknown = {condition["type"]: condition for condition in _unknown(node, self.context.now())}
        conditions = [
            unknown.get(each["type"], each) for each in meta.status(node).get("conditions") or []
        ]
        try:
            lost = await self.informers.patch_status(node, {"conditions": conditions})
        except NotSaved:  # so nobody could have renewed a Lease either
            self._heartbeats.deaf()
            raise
        name = meta.name(node)
        self.recorder.normal(node, "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        return lost

    async def _evict(self, node: Node, pods: Iterable[Pod]) -> float | None:
        """Delete pods that do not bear a NoExecute taint (any longer); seconds until the next."""
        now, before = self.context.clock(), self._due.pop(meta.name(node), {})
        due = {
            meta.uid(pod): before.get(meta.uid(pod), now + seconds)
            for pod in pods
            if (seconds := seconds_borne(pod, node)) is not None
        }
        for pod in pods:
            if due.get(meta.uid(pod), inf) <= now and not self.informers["Pod"].is_going(pod):
                text = f"Marking for deletion Pod {meta.key(pod)}"
                self.recorder.normal(pod, "TaintManagerEviction", text)
                await self._say(pod, _DISRUPTED)
                await self._remove(pod)
        later = {uid: when for uid, when in due.items() if when > now}
        if later:
            self._due[meta.name(node)] = later
        return min(later.values()) - now if later else None

    async def _exists(self, name: str) -> bool:
        """Ask the API itself: the cache of nodes may be behind the cache of pods."""
        try:
            await self.informers.api.get("Node", "", name)
        except NotFound:
            return False
        return True

    async def _end(self, pod: Pod, *conditions: PodCondition) -> None:
        """Delete a pod whose end no kubelet will ever confirm; whoever still sees it, as a Job by
        its finalizer, sees that it failed."""
        if not is_pod_terminal(pod):
            pod = await self._say(pod, *conditions, phase="Failed")
        await self._remove(pod, grace_period=0)

    async def _remove(self, pod: Pod, grace_period: int | None = None) -> None:
        try:
            await self.informers.delete(pod, grace_period=grace_period)
        except NotFound:
            return

    async def _marked_unready(self, pod: Pod) -> Pod:
        if not meta.is_ready(pod):
            return pod
        self.recorder.warning(pod, "NodeNotReady", "Node is not ready")
        return await self._say(pod, _UNREADY)

    async def _say(self, pod: Pod, *fresh: PodCondition, **others: str) -> Pod:
        """Have the pod's status say so, if it is there still; the pod as it then is."""
        conditions = meta.status(pod).get("conditions") or []
        for condition in fresh:
            said: PodCondition = {**condition, "lastTransitionTime": self.context.now()}
            conditions = conditions_with(conditions, said)
        try:
            return await self.informers.patch_status(pod, {"conditions": conditions, **others})
        except NotFound:
            return pod


def _has_failed(node: Node) -> bool:
    """It reported once, and is not ready. One that never did may just be starting."""
    return meta.condition(node, "Ready") is not None and not meta.is_ready(node)


def _reported(node: Node) -> str | None:
    """When the node last said how it is; None if it never did, or is lost and has not since."""
    ready = meta.condition(node, "Ready")
    if ready is None or ready.get("reason") == UNKNOWN:
        return None
    return ready.get("lastHeartbeatTime", "")


def _unknown(node: Node, now: str) -> Iterator[NodeCondition]:
    """What becomes of the conditions that a kubelet reports, once that is silent."""
    for condition in meta.status(node).get("conditions") or []:
        if condition["type"] in KUBELETS:
            unknown: NodeCondition = {
                **condition,
                "status": "Unknown",
                "reason": UNKNOWN,
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": now,
            }
            yield unknown


def wanted_taints(node: Node, now: str) -> list[Taint]:
    """The node's taints, with those that its condition demands and no others of these.

    A node that is not ready, and one of which nobody knows, takes no pods and lets those go that
    do not bear it.
    """
    failed = _has_failed(node)
    ready = meta.condition(node, "Ready")
    silent = ready is not None and ready.get("status") == "Unknown"
    unschedulable = bool(meta.spec(node).get("unschedulable"))
    wanted: dict[tuple[str, Effect], bool] = {
        (NOT_READY, "NoSchedule"): failed and not silent,
        (NOT_READY, "NoExecute"): failed and not silent,
        (UNREACHABLE, "NoSchedule"): silent,
        (UNREACHABLE, "NoExecute"): silent,
        (UNSCHEDULABLE, "NoSchedule"): unschedulable,
    }
    present = meta.spec(node).get("taints") or []
    taints = [taint for taint in present if wanted.get(_identity(taint), True)]
    there = set(map(_identity, taints))
    for (key, effect), needed in wanted.items():
        if needed and (key, effect) not in there:
            taints.append({"key": key, "effect": effect, "timeAdded": now})
    return taints


def _identity(taint: Taint) -> tuple[str, Effect]:
    return taint["key"], taint["effect"]
