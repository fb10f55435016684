"""Scheduler: binds each pod that has no node to the best one that will have it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from netlab.client.workqueue import WorkQueue
from netlab.controllers import placement, preemption
from netlab.controllers import pods as podlib
from netlab.controllers.conditions import conditions_with
from netlab.controllers.controller import Controller, ControllerContext, WatchedKind
from netlab.controllers.interpod_affinity import InterPodAffinity, Others, is_choosy, repels
from netlab.controllers.placement import Placement
from netlab.controllers.podvolumes import PodVolumes
from netlab.controllers.room import Room
from netlab.errors import Conflict, NotFound
from netlab.objects import meta, storage
from netlab.objects.hostports import HostPort, host_ports
from netlab.objects.noderesources import Used
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.priorities import priority
from netlab.objects.types import Node, PersistentVolumeClaim, Pod, PodCondition

SCHEDULER_NAME = "default-scheduler"


class Scheduler(Controller):
    """Assigns pods to nodes, one after the other, so that each sees where the last one went."""

    name = "default-scheduler"
    workers = 1

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        pods, _ = self.informers["Pod"], self.informers["Namespace"]
        podlib.index_by_node(pods)
        pods.add_index("owner on node", _owner_on_node)
        pods.add_index("unscheduled", _unscheduled)
        pods.add_index("refused", _refused)
        pods.add_index("repelling", _repelling)
        pods.add_index("nominated", _nominated)
        self._room = Room()
        pods.add_listener(self._room.note)
        self.queue = WorkQueue(rank=self._rank)

    def _rank(self, key: str) -> int:
        """What matters most is placed first."""
        pod = self.informers["Pod"].get(key)
        return -priority(pod) if pod is not None else 0

    def watches(self) -> Sequence[WatchedKind]:
        """Pods without a node; and those of them that a change of nodes or pods may help."""
        return (
            WatchedKind("Pod", self._pod_keys),
            WatchedKind("Node", self._node_keys),
            WatchedKind("PersistentVolumeClaim", self._claim_keys),
        )

    def _pod_keys(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        if new is not None and _is_unscheduled(new):
            return (meta.key(new),) if old is None or _asks(old) != _asks(new) else ()
        if old is not None and _ends(old, new):
            return self._pending()
        return self._choosy() if _whereabouts(old) != _whereabouts(new) else ()

    def _node_keys(self, old: Node | None, new: Node | None) -> Iterable[str]:
        if old is not None and new is not None and not placement.differs(old, new):
            return ()
        return self._pending()

    def _claim_keys(
        self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None
    ) -> Iterable[str]:
        claim = new or old
        assert claim is not None
        pods = self.informers["Pod"].by_index("unscheduled", "yes")
        near = (pod for pod in pods if meta.namespace(pod) == meta.namespace(claim))
        return [meta.key(pod) for pod in near if meta.name(claim) in storage.claims(pod)]

    def _pending(self) -> list[str]:
        return [meta.key(pod) for pod in self.informers["Pod"].by_index("unscheduled", "yes")]

    def _choosy(self) -> list[str]:
        """Those refused before, to whom it matters where other pods are."""
        refused = self.informers["Pod"].by_index("refused", "yes")
        return [meta.key(pod) for pod in refused if is_choosy(pod)]

    async def reconcile(self, key: str) -> float | None:
        """Bind the pod, or say in its condition why no node will do."""
        pod = self.informers["Pod"].get(key)
        if pod is None or not _is_unscheduled(pod) or self.informers["Pod"].is_going(pod):
            return None
        volumes = PodVolumes(self.informers, pod)
        if (lack := volumes.lack()) is not None:
            why = placement.explain_whole(len(self.informers["Node"].items()), lack)
            await self._refuse(pod, Placement(why=why))
            return None
        found = self._place(pod, volumes)
        if found.node is None:
            await self._refuse(pod, found)
        elif not await volumes.await_at(found.node):
            await self._bind(pod, found.node)
        return None

    def _place(self, pod: Pod, volumes: PodVolumes) -> Placement:
        """The node that was nominated for it, if it will do by now; else the best of all."""
        nodes, affinity = self.informers["Node"].items(), self._affinity(pod)
        chosen = [node for node in nodes if meta.name(node) == _nominee(pod)]

        def lacks(pod: Pod, node: Node) -> list[str]:
            why = self._room.lacks(pod, node, self._expected(pod, meta.name(node)))
            return why or ([] if volumes.reaches(node) else [volumes.CONFLICT])

        found = placement.place(pod, chosen, self._load(pod), affinity, lacks)
        return found if found.node else placement.place(
            pod, nodes, self._load(pod), affinity, lacks
        )  # fmt: skip

    def _expected(self, pod: Pod, node: str) -> list[Pod]:
        """The other pods that the node is nominated for and that matter as much, which will have
        what others leave there."""
        nominated = self.informers["Pod"].by_index("nominated", node)
        return [
            one
            for one in nominated
            if meta.uid(one) != meta.uid(pod) and priority(one) >= priority(pod)
        ]

    def _load(self, pod: Pod) -> Any:
        """What `placement.place` asks of a node, from the indexes."""
        pods = self.informers["Pod"]
        owner = _owner(pod)
        wants_ports = bool(host_ports(pod))

        def load(node: str) -> tuple[int, int, list[HostPort]]:
            used = pods.by_index("node", node) + self._expected(pod, node) if wants_ports else []
            ports = [port for other in used for port in host_ports(other)]
            of_owner = pods.count("owner on node", f"{owner} {node}") if owner else 0
            return of_owner, pods.count("node", node), ports

        return load

    def _affinity(self, pod: Pod, without: frozenset[str] = frozenset()) -> InterPodAffinity | None:
        """The other pods' say, but for those of these uids; None when there is none, as for most
        pods."""
        pods = self.informers["Pod"]
        repelling = pods.by_index("repelling", "yes")
        if not repelling and not is_choosy(pod):
            return None
        spaces = self.informers["Namespace"].items()
        namespaces = {meta.name(space): meta.labels(space) for space in spaces}
        every, kept = pods.items(), repelling
        if without:
            every = [one for one in every if meta.uid(one) not in without]
            kept = [one for one in repelling if meta.uid(one) not in without]
        return InterPodAffinity(
            pod, self.informers["Node"].items(), Others(every, kept, namespaces)
        )

    async def _bind(self, pod: Pod, node: str) -> None:
        try:
            await self.informers.bind(pod, node)
        except (NotFound, Conflict):
            return  # deleted, or bound by somebody else: either way not ours any more
        text = f"Successfully assigned {meta.key(pod)} to {node}"
        self.recorder.normal(pod, "Scheduled", text)

    async def _preempt(self, pod: Pod, crowded: Sequence[Node]) -> tuple[str, str | None]:
        """Drive out whoever matters less, if that lets the pod in somewhere: why that is not to be,
        and the node that is nominated for it now (None: the one that was)."""
        pods, nominated = self.informers["Pod"], _nominee(pod)
        if why := preemption.excuse(pod, pods.by_index("node", nominated)):
            is_hopeless = nominated not in {meta.name(node) for node in crowded}
            if why == preemption.NEVER or not is_hopeless:
                return why, None
        asked = {meta.name(node): self._victims(pod, node) for node in crowded}
        candidates = {name: one.pods for name, one in asked.items() if one.pods}
        if not candidates:
            total = len(self.informers["Node"].items())
            return preemption.explain(total, asked.values()), ""
        node = preemption.best(candidates)
        for victim in candidates[node]:
            await self._drive_out(victim, pod, node)
        await self._give_way(pod, node)
        return "", node

    def _victims(self, pod: Pod, node: Node) -> preemption.Victims:
        present = self.informers["Pod"].by_index("node", meta.name(node))
        expected = self._expected(pod, meta.name(node))
        wanted, ports = self._room.wanted(pod), bool(host_ports(pod))
        allocatable = meta.status(node).get("allocatable") or {}
        every = frozenset(map(meta.uid, present))

        def reasons(kept: Sequence[Pod]) -> list[str]:
            used, beside = Used(), [*kept, *expected]
            for other in beside:
                used.add(self._room.wanted(other))
            taken = [port for other in beside for port in host_ports(other)] if ports else ()
            affinity = self._affinity(pod, every - set(map(meta.uid, kept)))
            lacks = [one.reason for one in used.lacks(wanted, allocatable)]
            return placement.reasons(pod, node, taken, lambda *_: lacks, affinity)

        return preemption.victims(pod, present, reasons)

    async def _drive_out(self, victim: Pod, pod: Pod, node: str) -> None:
        by = meta.spec(pod).get("schedulerName")
        condition: PodCondition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": preemption.REASON,
            "message": f"{by}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": self.context.now(),
        }
        conditions = conditions_with(meta.status(victim).get("conditions") or [], condition)
        try:
            await self.informers.patch_status(victim, {"conditions": conditions})
            await self.informers.delete(victim)
        except (NotFound, Conflict):
            return  # gone by itself
        text = f"Preempted by pod {meta.uid(pod)} on node {node}"
        self.recorder.normal(victim, "Preempted", text)

    async def _give_way(self, pod: Pod, node: str) -> None:
        """Those that matter less and waited for the same node may find another."""
        for other in self.informers["Pod"].by_index("nominated", node):
            if priority(other) < priority(pod):
                with suppress(NotFound, Conflict):
                    await self.informers.patch_status(other, {"nominatedNodeName": None})
                self.queue.add(meta.key(other))

    async def _refuse(self, pod: Pod, found: Placement) -> None:
        """Say why no node will do, and make room for it on one, if anybody may be driven out."""
        why, said = found.why, ""
        nominated: str | None = None
        if self.informers["Node"].items():
            said, nominated = await self._preempt(pod, found.crowded)
        if said:
            why = f"{why} preemption: {said}"
        condition: PodCondition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": why,
            "lastProbeTime": None,
            "lastTransitionTime": self.context.now(),
        }
        before = meta.status(pod).get("conditions") or []
        conditions = conditions_with(before, condition)
        change: dict[str, Any] = {}
        if nominated is not None and nominated != _nominee(pod):
            change["nominatedNodeName"] = nominated or None
        if conditions != before:
            self.recorder.warning(pod, "FailedScheduling", why)
            change["conditions"] = conditions
        if change:
            await self.informers.patch_status(pod, change)


def _asks(pod: Pod) -> tuple[object, ...]:
    """What of an unscheduled pod may change so that it fits elsewhere."""
    spec = meta.spec(pod)
    fields = ("nodeSelector", "affinity", "tolerations", "schedulingGates", "schedulerName")
    return tuple(spec.get(field) for field in fields)


def _owner(pod: Pod) -> str:
    """The controlling owner's uid, or ""."""
    owner = meta.controller_of(pod)
    return str(owner["uid"]) if owner else ""


def _owner_on_node(pod: Pod) -> Iterable[str]:
    # A pod on its way out does not count: its replacement may go where it was.
    if meta.is_terminating(pod) or not _owner(pod):
        return ()
    return [f"{_owner(pod)} {node}" for node in podlib.on_node(pod)]


def _whereabouts(pod: Pod | None) -> tuple[object, ...] | None:
    """What of a pod matters to those who want it near or far; None while it is nowhere."""
    if pod is None or not meta.spec(pod).get("nodeName"):
        return None
    gone = is_pod_terminal(pod), meta.is_terminating(pod)
    return meta.spec(pod)["nodeName"], meta.labels(pod), *gone


def _repelling(pod: Pod) -> Iterable[str]:
    return ("yes",) if podlib.on_node(pod) and repels(pod) else ()


def _refused(pod: Pod) -> Iterable[str]:
    entry = meta.condition(pod, "PodScheduled") if _is_unscheduled(pod) else None
    return ("yes",) if entry and entry["status"] == "False" else ()


def _unscheduled(pod: Pod) -> Iterable[str]:
    return ("yes",) if _is_unscheduled(pod) else ()


def _ends(old: Pod, new: Pod | None) -> bool:
    """Whether what a pod had of a node, or was to have, is free again."""
    if not (meta.spec(old).get("nodeName") or _nominee(old)):
        return False
    return new is None or (is_pod_terminal(new) and not is_pod_terminal(old))


def _nominee(pod: Pod) -> str:
    """The node that others have been driven out of for the pod; "" for none."""
    return meta.status(pod).get("nominatedNodeName") or ""


def _nominated(pod: Pod) -> Iterable[str]:
    return (_nominee(pod),) if _nominee(pod) and _is_unscheduled(pod) else ()


def _is_unscheduled(pod: Pod) -> bool:
    spec = meta.spec(pod)
    ours = spec.get("schedulerName", SCHEDULER_NAME) == SCHEDULER_NAME
    waiting = not spec.get("nodeName") and not spec.get("schedulingGates")
    return ours and waiting and not is_pod_terminal(pod) and not meta.is_terminating(pod)
