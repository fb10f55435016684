"""Nodes come and go: whoever has a Node object runs, and whose object was deleted goes.

A node that goes takes its pods with it, then what ran there stops, and then the network is planned
anew without it: the others lose their ways to its pods, the fabric its ports, the machine its
namespace.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence

from netlab.agents.loop import Loop
from netlab.agents.node import NodeAgent
from netlab.client.informer import Informers
from netlab.objects import meta, types
from netlab.objects.lab import Node
from netlab.tasks import together

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds that a node may take to go until that is tried again."""


class NodeAgents:
    """Keeps an agent for each Node object that is to run here.

    `running` chooses the nodes of Node objects, `make` makes the agent of one. `plan_for` has these
    nodes, and no others, be in the network, where `standing` are already.
    """

    def __init__(
        self,
        informers: Informers,
        running: Callable[[Sequence[types.Node]], tuple[Node, ...]],
        make: Callable[[Node], NodeAgent],
        plan_for: Callable[[Sequence[Node]], Awaitable[None]],
        standing: tuple[Node, ...],
    ) -> None:
        self._objects = informers["Node"]
        self._running = running
        self._make = make
        self._plan_for = plan_for
        self._standing = standing
        self._agents: dict[str, NodeAgent] = {}
        self._loop = Loop("nodes", self._work)

    @property
    def agents(self) -> list[NodeAgent]:
        """Those there are now."""
        return list(self._agents.values())

    def at_work(self) -> Iterator[str]:
        """As `Awaited` says."""
        if not self._loop.idle:
            yield f"nodes come or go: {self._loop.error or 'being made or taken away'}"
        said = set()
        for agent in self.agents:
            for line in agent.at_work():
                if line not in said:
                    said.add(line)
                    yield line

    async def start(self) -> None:
        """Begin with those there are, and follow."""
        await self._follow()
        self._objects.add_listener(self._on_node)
        self._loop.start()

    async def stop(self) -> None:
        """Let go of them all; they go on."""
        self._objects.remove_listener(self._on_node)
        await self._loop.stop()
        await asyncio.gather(*(agent.stop() for agent in self.agents))

    def _on_node(self, old: types.Node | None, new: types.Node | None) -> None:
        here = {agent.name: agent.node for agent in self.agents}
        is_news = old is None or new is None or meta.spec(old) != meta.spec(new)
        if is_news and self._wanted() != here:
            self._loop.wake()

    async def _work(self, _: bool) -> None:
        await self._follow()

    async def _follow(self) -> None:
        wanted = self._wanted()
        for agent in self.agents:
            if wanted.get(agent.name) != agent.node:
                await self._unmake(agent)
        nodes = tuple(wanted.values())
        if nodes != self._standing:
            await self._plan_for(nodes)
            self._standing = nodes
        new = [node for node in nodes if node.name not in self._agents]
        await together(*(self._start(self._make(node)) for node in new))

    def _wanted(self) -> dict[str, Node]:
        return {node.name: node for node in self._running(list(self._objects.items()))}

    async def _start(self, agent: NodeAgent) -> None:
        self._agents[agent.name] = agent
        try:
            await agent.start()
        except BaseException:
            del self._agents[agent.name]
            await agent.stop()
            raise

    async def _unmake(self, agent: NodeAgent) -> None:
        log.info("node %s goes", agent.name)
        async with asyncio.timeout(PATIENCE):
            await agent.leave()
        del self._agents[agent.name]
