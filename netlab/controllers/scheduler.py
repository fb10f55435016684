"""Scheduler: binds each pod that has no node to the best one that will have it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from netlab.controllers import placement
from netlab.controllers import pods as podlib
from netlab.controllers.conditions import conditions_with
from netlab.controllers.controller import Controller, ControllerContext, WatchedKind
from netlab.controllers.interpod_affinity import InterPodAffinity, Others, is_choosy, repels
from netlab.controllers.podvolumes import PodVolumes
from netlab.controllers.room import Room
from netlab.errors import Conflict, NotFound
from netlab.objects import meta, storage
from netlab.objects.hostports import HostPort, host_ports
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.podrequests import requests
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
        self._room = Room()
        pods.add_listener(self._room.note)

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
        if old is not None and _ends(old, new) and _gives_room(old):
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
        nodes = self.informers["Node"].items()
        volumes = PodVolumes(self.informers, pod)
        if (lack := volumes.lack()) is not None:
            await self._refuse(pod, placement.explain_whole(len(nodes), lack))
            return None
        chosen, load = [node for node in nodes if volumes.reaches(node)], self._load(pod)
        node, why = placement.place(pod, chosen, load, self._affinity(pod), self._room.lacks)
        if node is None and len(chosen) < len(nodes):
            why = placement.explain_whole(len(nodes), volumes.CONFLICT) if not chosen else why
        if node is None:
            await self._refuse(pod, why)
        elif not await volumes.await_at(node):
            await self._bind(pod, node)
        return None

    def _load(self, pod: Pod) -> Any:
        """What `placement.place` asks of a node, from the indexes."""
        pods = self.informers["Pod"]
        owner = _owner(pod)
        wants_ports = bool(host_ports(pod))

        def load(node: str) -> tuple[int, int, list[HostPort]]:
            used = pods.by_index("node", node) if wants_ports else []
            ports = [port for other in used for port in host_ports(other)]
            of_owner = pods.count("owner on node", f"{owner} {node}") if owner else 0
            return of_owner, pods.count("node", node), ports

        return load

    def _affinity(self, pod: Pod) -> InterPodAffinity | None:
        """The other pods' say; None when there is none, as for most pods."""
        pods = self.informers["Pod"]
        repelling = pods.by_index("repelling", "yes")
        if not repelling and not is_choosy(pod):
            return None
        spaces = self.informers["Namespace"].items()
        namespaces = {meta.name(space): meta.labels(space) for space in spaces}
        others = Others(pods.items(), repelling, namespaces)
        return InterPodAffinity(pod, self.informers["Node"].items(), others)

    async def _bind(self, pod: Pod, node: str) -> None:
        try:
            await self.informers.bind(pod, node)
        except (NotFound, Conflict):
            return  # deleted, or bound by somebody else: either way not ours any more
        text = f"Successfully assigned {meta.key(pod)} to {node}"
        self.recorder.normal(pod, "Scheduled", text)

    async def _refuse(self, pod: Pod, why: str) -> None:
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
        if conditions != before:
            self.recorder.warning(pod, "FailedScheduling", why)
            await self.informers.patch_status(pod, {"conditions": conditions})


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
    """Whether what a pod had of its node is free again."""
    return new is None or (is_pod_terminal(new) and not is_pod_terminal(old))


def _gives_room(pod: Pod) -> bool:
    """Whether the end of a pod may let another in."""
    return bool(host_ports(pod) or repels(pod) or requests(meta.spec(pod)))


def _is_unscheduled(pod: Pod) -> bool:
    spec = meta.spec(pod)
    ours = spec.get("schedulerName", SCHEDULER_NAME) == SCHEDULER_NAME
    waiting = not spec.get("nodeName") and not spec.get("schedulingGates")
    return ours and waiting and not is_pod_terminal(pod) and not meta.is_terminating(pod)
