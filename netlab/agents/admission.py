"""What a node gives a pod before it runs there: addresses, a place, or a refusal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from netlab.agents.addresses import Book, NodeAddresses
from netlab.agents.podevents import PodEvents
from netlab.agents.podrun import PodRun, new_run, refuse_long_name
from netlab.client.informer import Informers
from netlab.errors import NetlabError, NotFound
from netlab.objects import meta, types
from netlab.objects.hostports import NO_FREE_PORTS, HostPort, clash, host_ports
from netlab.objects.lab import Node
from netlab.objects.noderesources import PODS, Insufficient, Used
from netlab.objects.podrequests import requests
from netlab.objects.types import Pod

_OTHER_OS = (
    "PodOSNotSupported",
    "Failed to admit pod as the OS field doesn't match node OS",
)


class Admission:
    """Lets pods onto `node`. `paths_of` gives a pod's namespace and directory, `book` what is
    remembered of a podCIDR, `cluster_domain` what all the cluster's names end with."""

    def __init__(
        self,
        node: Node,
        informers: Informers,
        events: PodEvents,
        *,
        paths_of: Callable[[Pod], tuple[Path, Path]],
        book: Callable[[str], Book],
        cluster_domain: str,
    ) -> None:
        self._node = node
        self._addresses = NodeAddresses(node.pod_cidrs, book)
        self._informers = informers
        self._nodes = informers["Node"]
        self._events = events
        self._paths_of = paths_of
        self._cluster_domain = cluster_domain

    def reserve(self, pods: Iterable[Pod]) -> None:
        """The addresses that these pods have already are nobody else's."""
        for pod in pods:
            if not meta.spec(pod).get("hostNetwork"):
                self._addresses.reserve(_ips(pod))

    async def fitting(self, pods: Sequence[Pod], others: Iterable[Pod]) -> list[Pod]:
        """Those for whom the node has what they must have, beside `others` that run; of the rest
        nothing comes any more."""
        room = _Room(self._allocatable(), others)
        fitting = []
        for pod in sorted(pods, key=lambda pod: not _ips(pod)):  # who is there already, first
            if refusal := _other_system(pod) or room.refusal(pod):
                await self._reject(pod, *refusal)
            else:
                room.take_in(pod)
                fitting.append(pod)
        return fitting

    def _allocatable(self) -> Mapping[str, str]:
        node = self._nodes.get(self._node.name)
        known = (meta.status(node).get("allocatable") or {}) if node is not None else {}
        return {name: str(amount) for name, amount in known.items()}

    async def _reject(self, pod: Pod, reason: str, text: str) -> None:
        """In the kubelet's words: as it is bound to this node, nobody else can run it either."""
        self._events.rejected(pod, reason, text)
        status: types.PodStatus = {
            "phase": "Failed",
            "reason": reason,
            "message": f"Pod was rejected: {text}",
        }
        with contextlib.suppress(NotFound):
            await self._informers.patch_status(pod, status)

    def admit(self, pod: Pod) -> PodRun:
        """Give the pod its addresses: those it had, new ones, or on hostNetwork its node's.
        `NetlabError` says why it cannot have any; it may be tried again."""
        known = _ips(pod)
        if meta.spec(pod).get("hostNetwork"):
            ips: tuple[str, ...] = self._node.internal_ips
        elif known and self._addresses.are_own(known):
            ips = known
        else:
            ips = self._addresses.take()
        run = self.run_of(pod, ips)
        try:
            refuse_long_name(run)
        except NetlabError:
            self.release(run)
            raise
        run.reused = not run.host_network and self._addresses.reused(ips)
        return run

    def run_of(self, pod: Pod, ips: tuple[str, ...] | None = None) -> PodRun:
        """What is known of a pod on this node, with the addresses it has had if no others."""
        netns, directory = self._paths_of(pod)
        run = new_run(pod, self._node.name, _ips(pod) if ips is None else ips, netns, directory)
        run.pod_cidrs, run.host_ips = self._node.pod_cidrs, self._node.internal_ips
        run.cluster_domain = self._cluster_domain
        run.allocatable = self._allocatable()
        return run

    def release(self, run: PodRun) -> None:
        """Others may have its addresses."""
        if not run.host_network:
            self._addresses.release(run.ips)


class _Room:
    """What a node has left beside the pods that it has; what they have is added up once somebody
    wants of it."""

    def __init__(self, allocatable: Mapping[str, str], pods: Iterable[Pod]) -> None:
        self._allocatable = allocatable
        self._pods = list(pods)

    def take_in(self, pod: Pod) -> None:
        """One more has what it wants."""
        self._pods.append(pod)
        if "_used" in vars(self):
            self._used.add(requests(meta.spec(pod)))
        if "_ports" in vars(self):
            self._ports.extend(host_ports(pod))

    @cached_property
    def _used(self) -> Used:
        used = Used()
        for pod in self._pods:
            used.add(requests(meta.spec(pod)))
        return used

    @cached_property
    def _ports(self) -> list[HostPort]:
        return [port for pod in self._pods for port in host_ports(pod)]

    def refusal(self, pod: Pod) -> tuple[str, str] | None:
        """The reason why a pod cannot run here, and more words about it; None if it can. Who is
        there already has what it requests."""
        for one in () if _ips(pod) or not self._allocatable else self._lacks(pod):
            asked = f"requested: {_whole(one, one.requested)}, used: {_whole(one, one.used)}"
            return f"OutOf{one.resource}", (
                f"Node didn't have enough resource: {one.resource}, {asked}, "
                f"capacity: {_whole(one, one.capacity)}"
            )
        wanted = host_ports(pod)
        if wanted and clash(wanted, self._ports):
            return "NodePorts", f"Predicate NodePorts failed: {NO_FREE_PORTS}"
        return None

    def _lacks(self, pod: Pod) -> list[Insufficient]:
        """Resources of others that the node knows nothing of are no matter of its own."""
        wanted = {
            name: amount
            for name, amount in requests(meta.spec(pod)).items()
            if name in self._allocatable or "/" not in name
        }
        used = self._used if wanted else Used(pods=len(self._pods))
        return used.lacks(wanted, self._allocatable)


def _whole(one: Insufficient, amount: int) -> int:
    """As kubelets count: cpu in thousandths, all else in ones."""
    return amount if one.resource in (PODS, "cpu") else -(-amount // 1000)


def _other_system(pod: Pod) -> tuple[str, str] | None:
    """Why a pod that is not for Linux is refused; None if it may be for that."""
    system = meta.spec(pod).get("os")
    return None if system is None or system["name"] == "linux" else _OTHER_OS


def _ips(pod: Pod) -> tuple[str, ...]:
    return tuple(entry["ip"] for entry in meta.status(pod).get("podIPs") or [])
