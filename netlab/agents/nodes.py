"""Nodes come and go: whoever has a Node object runs, and whose object was deleted goes.

A node that goes takes its pods with it, then what ran there stops, and then the network is planned
anew without it: the others lose their ways to its pods, the fabric its ports, the machine its
namespace. One that is switched off goes as well, but nobody is told: its pods end by themselves,
while their objects stay, and so do the others' ways to them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator

from netlab.agents.loop import Loop
from netlab.agents.node import NodeAgent
from netlab.client.informer import Informers
from netlab.objects import meta, types
from netlab.objects.lab import Node
from netlab.objects.nodes import COMING, Standing
from netlab.tasks import together

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds that a node may take to go until that is tried again."""


class NodeAgents:
    """Keeps an agent for each Node object that is to run here.

    `choose` says which nodes stand for Node objects, `make` makes the agent of one. `plan_for` has
    these nodes, and no others, be in the network, where those of `standing` are already.
    """

    def __init__(
        self,
        informers: Informers,
        choose: Callable[[Iterable[types.Node]], Standing],
        make: Callable[[Node], NodeAgent],
        plan_for: Callable[[Standing], Awaitable[None]],
        standing: Standing,
    ) -> None:
        self._objects = informers["Node"]
        self._choose = choose
        self._make = make
        self._plan_for = plan_for
        self._standing = standing
        self._wanted: Standing | None = None
        """What is chosen for the Node objects as they are; None until somebody asks."""
        self._agents: dict[str, NodeAgent] = {}
        self._booting: set[str] = set()
        """Those whose namespace is a new one, and whose agent has not begun."""
        self._loop = Loop("nodes", self._work)

    @property
    def agents(self) -> list[NodeAgent]:
        """Those there are now."""
        return list(self._agents.values())

    def at_work(self) -> Iterator[str]:
        """As `Working` says."""
        if not self._loop.idle or not self._is_as_wanted():
            yield f"{COMING}: {self._loop.error or 'being made or taken away'}"
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
        self._wanted = None  # they may have changed meanwhile
        self._loop.start()

    async def stop(self) -> None:
        """Let go of them all; they go on."""
        self._objects.remove_listener(self._on_node)
        await self._loop.stop()
        await asyncio.gather(*(agent.stop() for agent in self.agents))

    def _on_node(self, old: types.Node | None, new: types.Node | None) -> None:
        if old is not None and new is not None and _says(old) == _says(new):
            return
        self._wanted = None
        if not self._is_as_wanted():
            self._loop.wake()

    def _is_as_wanted(self) -> bool:
        wanted = self._choice()
        return wanted == self._standing and _by_name(wanted.nodes) == self._nodes()

    def _nodes(self) -> dict[str, Node]:
        return _by_name(agent.node for agent in self.agents)

    async def _work(self, _: bool) -> None:
        await self._follow()

    async def _follow(self) -> None:
        wanted = self._choice()
        nodes, off = _by_name(wanted.nodes), _by_name(wanted.off)
        going = [agent for agent in self.agents if nodes.get(agent.name) != agent.node]
        cut = [agent for agent in going if off.get(agent.name) == agent.node]
        for agent in going:
            await (agent.silence() if agent in cut else self._unmake(agent))
        boot = {name for name, node in nodes.items() if node not in self._standing.nodes}
        if wanted != self._standing:
            await self._plan_for(wanted)
            self._standing = wanted
        for agent in cut:  # whose links are gone by now: without power nobody ends in order
            await self._unmake(agent, is_cut=True)
        self._booting |= boot
        new = [node for node in wanted.nodes if node.name not in self._agents]
        await together(*(self._start(self._make(node)) for node in new))

    def _choice(self) -> Standing:
        if self._wanted is None:
            self._wanted = self._choose(list(self._objects.items()))
        return self._wanted

    async def _start(self, agent: NodeAgent) -> None:
        self._agents[agent.name] = agent
        try:
            await agent.start(boots=agent.name in self._booting)
        except BaseException:
            del self._agents[agent.name]
            await agent.stop()
            raise
        self._booting.discard(agent.name)

    async def _unmake(self, agent: NodeAgent, *, is_cut: bool = False) -> None:
        log.info("node %s goes%s", agent.name, ": it is switched off" if is_cut else "")
        async with asyncio.timeout(PATIENCE):
            await (agent.cut() if is_cut else agent.leave())
        del self._agents[agent.name]


def _by_name(nodes: Iterable[Node]) -> dict[str, Node]:
    return {node.name: node for node in nodes}


def _says(obj: types.Node) -> tuple[object, ...]:
    """What an object says of which machine is to run."""
    return meta.spec(obj), meta.annotations(obj)
