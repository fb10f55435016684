"""Nodes: taints that follow their condition, and pods whose node failed, evicts or is no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from netlab.controllers.conditions import conditions_with
from netlab.controllers.controller import Context, Controller, WatchedKind, own_key
from netlab.controllers.placement import NOT_READY, UNSCHEDULABLE, seconds_borne
from netlab.controllers.pods import index_by_node
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.types import Node, Pod, PodCondition, Taint


class Nodes(Controller):
    """Taints nodes that take no pods; marks or removes the pods of those that failed or went."""

    name = "node-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        index_by_node(self.informers["Pod"])
        self._due: dict[str, dict[str, float]] = {}
        """By node and pod uid: when a pod has to leave a tainted node."""

    def watches(self) -> Sequence[WatchedKind]:
        """Nodes, and pods bound to a node that is not there, not ready or evicts."""
        return (WatchedKind("Node", own_key), WatchedKind("Pod", self._pod_keys))

    def _pod_keys(self, _old: Pod | None, new: Pod | None) -> Iterable[str]:
        name = new["spec"].get("nodeName") if new is not None else None
        if new is None or not name:
            return ()
        node = self.informers["Node"].get(name)
        stays = node is not None and meta.is_ready(node) and seconds_borne(new, node) is None
        return () if stays else (name,)

    async def reconcile(self, key: str) -> float | None:
        """Bring the node's taints, and its pods, in line with its condition."""
        node = self.informers["Node"].get(key)
        pods = self.informers["Pod"].by_index("node", key)
        if node is None:
            if pods and not await self._exists(key):
                for pod in pods:  # no kubelet will ever confirm their end
                    await self._remove(pod, grace_period=0)
            return None
        taints = wanted_taints(node)
        if taints != (meta.spec(node).get("taints") or []):
            await self.informers.patch(node, {"spec": {"taints": taints or None}})
        if _has_failed(node):
            for pod in pods:
                await self._mark_unready(pod)
        return await self._evict(node, pods)

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

    async def _remove(self, pod: Pod, grace_period: int | None = None) -> None:
        try:
            await self.informers.delete(pod, grace_period=grace_period)
        except NotFound:
            return

    async def _mark_unready(self, pod: Pod) -> None:
        if not meta.is_ready(pod):
            return
        now = self.context.now()
        unready: PodCondition = {
            "type": "Ready",
            "status": "False",
            "reason": "NodeNotReady",
            "lastTransitionTime": now,
        }
        before = meta.status(pod).get("conditions") or []
        try:
            await self.informers.patch_status(pod, {"conditions": conditions_with(before, unready)})
        except NotFound:
            return
        self.recorder.warning(pod, "NodeNotReady", "Node is not ready")


def _has_failed(node: Node) -> bool:
    """It reported once, and is not ready. One that never did may just be starting."""
    return meta.condition(node, "Ready") is not None and not meta.is_ready(node)


def wanted_taints(node: Node) -> list[Taint]:
    """The node's taints with those for not-ready and unschedulable as its state demands."""
    present = meta.spec(node).get("taints") or []
    wanted = {
        NOT_READY: _has_failed(node),
        UNSCHEDULABLE: bool(meta.spec(node).get("unschedulable")),
    }
    taints = [taint for taint in present if wanted.get(taint["key"], True)]
    for key, needed in wanted.items():
        if needed and not any(taint["key"] == key for taint in taints):
            taints.append({"key": key, "effect": "NoSchedule"})
    return taints
