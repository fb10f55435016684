"""hostPorts of a node's pods: what follows each pod's link, as the plugin portmap follows others.

The rules are in force before a pod's containers start, and go with its namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from netlab.agents.kubelet import Attaching
from netlab.agents.podrun import PodRun
from netlab.errors import NetlabError
from netlab.kernel.run import run as run_program
from netlab.objects.lab import Node
from netlab.portmap import mappings
from netlab.portmap.mappings import MappedPod
from netlab.proxy.addresses import Family, family_of
from netlab.proxy.config import ModeName
from netlab.proxy.other_rules import OwnedRules

LIMIT = 5.0
"""Seconds after which no pod waits any more for rules that are not written yet."""


class RulesWriter(Protocol):
    """Whoever writes a node's rules (`agents.proxy.KubeProxy`)."""

    def owned(self, owner: str, follows: frozenset[str]) -> OwnedRules:
        """Rules to be written along with its own."""

    def wake(self) -> None:
        """There are others now."""

    def caught_up(self) -> Awaitable[None]:
        """Returns once they are written."""


class HostPorts:
    """`Attaching` for the pods of one node, around another (`links`), which gives the links."""

    def __init__(self, node: Node, netns: Path, mode: ModeName, writer: RulesWriter) -> None:
        self._cidrs: dict[Family, str] = {family_of(cidr): cidr for cidr in node.pod_cidrs}
        self._netns = netns
        self._mode = mode
        self._writer = writer
        self._rules: OwnedRules | None = None
        self._pods: dict[str, MappedPod] = {}

    def around(self, links: Attaching) -> Attaching:
        """Attaches as `links` does, and then opens the ports."""
        return _Chained(links, self)

    async def open(self, runs: Iterable[PodRun]) -> None:
        """Have the ports of these pods lead to them."""
        new = {run.uid: pod for run in runs if (pod := mappings.mapped(run.pod, run.ips))}
        if new:
            self._pods |= new
            await self._write(new.values())

    async def close(self, runs: Iterable[PodRun]) -> None:
        """Have none lead to these any more, whoever it was that opened them."""
        gone = {run.uid: pod for run in runs if (pod := mappings.mapped(run.pod, run.ips))}
        if gone:
            self._pods = {uid: pod for uid, pod in self._pods.items() if uid not in gone}
            await self._write(gone.values())

    async def _write(self, changed: Iterable[MappedPod]) -> None:
        if self._rules is None:  # few nodes need any
            owner = mappings.owner(self._mode)
            self._rules = self._writer.owned(owner, mappings.AFTER_KUBE_PROXY)
        latest = [*self._pods.values()][::-1]
        wanted = {
            family: rules
            for family, cidr in self._cidrs.items()
            if (rules := mappings.rules(self._mode, latest, family, cidr))
        }
        self._rules.set(wanted)
        self._writer.wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT):
                await self._writer.caught_up()
        await asyncio.to_thread(self._forget, changed)

    def _forget(self, changed: Iterable[MappedPod]) -> None:
        """A client that goes on sending by UDP would be led where the port led before."""
        ports = {
            (family, one.host_port)
            for pod in changed
            for family in self._cidrs
            for one in pod.mappings
            if one.protocol == "udp"
        }
        for family, port in sorted(ports):
            argv = ["conntrack", "-D", "-f", family, "-p", "udp", "--orig-port-dst", str(port)]
            with contextlib.suppress(NetlabError):  # the node may be gone
                run_program(argv, netns=self._netns, check=False)


class _Chained:
    """A plugin after another."""

    def __init__(self, links: Attaching, ports: HostPorts) -> None:
        self._links = links
        self._ports = ports

    async def attach(self, runs: Sequence[PodRun]) -> dict[str, Exception]:
        failed = await self._links.attach(runs)
        await self._ports.open(run for run in runs if run.uid not in failed)
        return failed

    async def detach(self, runs: Sequence[PodRun]) -> None:
        await self._links.detach(runs)
        await self._ports.close(runs)
