"""Carries out what a probe or a hook asks for: from the pod's node, or in its container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from netlab.agents.commands import Commands
from netlab.agents.podrun import PodRun
from netlab.agents.probes import attempt
from netlab.agents.probes.attempt import GOOD, ProbeOutcome
from netlab.agents.probes.probe import Action, Exec, HttpGet, TcpSocket, target
from netlab.workload.behaviour import is_idle_command


class Actions:
    """`node_netns` gives the namespace of a node by its name."""

    def __init__(self, commands: Commands, node_netns: Callable[[str], Path]) -> None:
        self._commands = commands
        self._node_netns = node_netns

    async def attempt(
        self, run: PodRun, container: str, action: Action, timeout: float
    ) -> ProbeOutcome:
        """Do it once; `NetlabError` when it cannot even be tried."""
        wanted = target(action, run.spec_of(container), run.ips[0])
        if isinstance(wanted, Exec):
            return await self._exec(run, container, wanted, timeout)
        netns = self._node_netns(run.node)
        match wanted:
            case HttpGet():
                return await attempt.http(netns, wanted, timeout)
            case TcpSocket():
                return await attempt.tcp(netns, wanted, timeout)

    async def _exec(
        self, run: PodRun, container: str, wanted: Exec, timeout: float
    ) -> ProbeOutcome:
        if is_idle_command(run.spec_of(container), wanted.argv):
            return GOOD
        try:
            ran = await self._commands.run(run, container, wanted.argv, timeout)
        except TimeoutError:
            words = " ".join(wanted.argv)
            return ProbeOutcome(False, f'command timed out: "{words}" timed out after {timeout:g}s')
        return GOOD if ran.code == 0 else ProbeOutcome(False, ran.output)
