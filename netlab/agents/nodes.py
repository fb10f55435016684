"""The nodes of one machine, as one agent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from netlab.agents.node import NodeAgent


class NodeAgents:
    """Starts and stops agents of nodes."""

    def __init__(self, agents: Iterable[NodeAgent]) -> None:
        self._agents = list(agents)

    def at_work(self) -> Iterator[str]:
        """As `Agent` says."""
        said = set()
        for agent in self._agents:
            for line in agent.at_work():
                if line not in said:
                    said.add(line)
                    yield line

    async def start(self) -> None:
        """Begin with them all."""
        await asyncio.gather(*(agent.start() for agent in self._agents))

    async def stop(self) -> None:
        """Let go of them all."""
        await asyncio.gather(*(agent.stop() for agent in self._agents))
