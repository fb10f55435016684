"""What a node gives a pod before it runs there: addresses, a place, or a refusal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from netlab.agents.addresses import Book, NodeAddresses
from netlab.agents.podevents import PodEvents
from netlab.agents.podrun import PodRun, new_run, refuse_long_name
from netlab.client.informer import Informers
from netlab.errors import NetlabError, NotFound
from netlab.objects import meta, types
from netlab.objects.hostports import NO_FREE_PORTS, clash, host_ports
from netlab.objects.lab import Node
from netlab.objects.types import Pod


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
        if not any(host_ports(pod) for pod in pods):
            return list(pods)
        used = [port for other in others for port in host_ports(other)]
        fitting = []
        for pod in sorted(pods, key=lambda pod: not _ips(pod)):  # who is there already, first
            wanted = host_ports(pod)
            if clash(wanted, used):
                await self._reject(pod, "NodePorts", NO_FREE_PORTS)
            else:
                used += wanted
                fitting.append(pod)
        return fitting

    async def _reject(self, pod: Pod, predicate: str, why: str) -> None:
        """In the kubelet's words: as it is bound to this node, nobody else can run it either."""
        text = f"Predicate {predicate} failed: {why}"
        self._events.rejected(pod, predicate, text)
        status: types.PodStatus = {
            "phase": "Failed",
            "reason": predicate,
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
        if (node := self._nodes.get(self._node.name)) is not None:
            known = meta.status(node).get("allocatable") or {}
            run.allocatable = {name: str(amount) for name, amount in known.items()}
        return run

    def release(self, run: PodRun) -> None:
        """Others may have its addresses."""
        if not run.host_network:
            self._addresses.release(run.ips)


def _ips(pod: Pod) -> tuple[str, ...]:
    return tuple(entry["ip"] for entry in meta.status(pod).get("podIPs") or [])
