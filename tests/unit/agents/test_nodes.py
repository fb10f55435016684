"""Agents come and go with Node objects; the network is planned for those there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest
from bootstrapped import initial_objects

from netlab.agents.nodes import NodeAgents
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.objects import bootstrap
from netlab.objects.lab import Node, lab_from_object
from netlab.objects.nodes import OFF, POWER, Standing, standing
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = lab_from_object({"metadata": {"name": "test"}, "spec": {"nodes": 3}})
FIRST, SECOND, THIRD = LAB.nodes


class Agent:
    """One node's agents, which note what becomes of them."""

    def __init__(self, world: World, node: Node) -> None:
        self.world, self.node, self.name = world, node, node.name

    def at_work(self) -> Iterator[str]:
        yield from ("addresses are being announced",) if self.world.busy else ()

    async def start(self, *, boots: bool) -> None:
        self.world.said.append(f"{'boot' if boots else 'start'} {self.name}")
        if self.world.refusals:
            self.world.refusals -= 1
            raise OSError("no room")

    async def stop(self) -> None:
        self.world.said.append(f"stop {self.name}")

    async def leave(self) -> None:
        self.world.said.append(f"leave {self.name}")

    async def silence(self) -> None:
        self.world.said.append(f"silence {self.name}")

    async def cut(self) -> None:
        self.world.said.append(f"cut {self.name}")


class World:
    def __init__(self) -> None:
        self.registry = Registry(Store(None), LAB)
        for obj in initial_objects(LAB):
            self.registry.create(obj)
        self.informers = Informers(InProcessApi(self.registry))
        self.said: list[str] = []
        self.refusals, self.busy = 0, False
        make: Any = partial(Agent, self)
        self.nodes = NodeAgents(
            self.informers, partial(standing, LAB), make, self._plan_for, Standing(LAB.nodes)
        )

    async def _plan_for(self, there: Standing) -> None:
        off = [f"({node.name})" for node in there.off]
        self.said.append(" ".join(["plan", *(node.name for node in there.nodes), *off]))

    def turn(self, name: str, power: str | None) -> None:
        """Switch a node off or on."""
        self.said.clear()
        self.registry.patch("Node", "", name, {"metadata": {"annotations": {POWER: power}}})

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds() or list(self.nodes.at_work()):
                await asyncio.sleep(0.002)

    def names(self) -> list[str]:
        return sorted(agent.name for agent in self.nodes.agents)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.informers.start()
    await world.nodes.start()
    yield world
    await world.nodes.stop()
    await world.informers.stop()


async def test_those_that_stand_already_are_not_planned_for(world: World) -> None:
    assert world.said == [f"start {node.name}" for node in LAB.nodes]


async def test_one_goes_before_the_network_is_planned_without_it_and_comes_after(
    world: World,
) -> None:
    world.said.clear()
    world.registry.delete("Node", "", SECOND.name)
    await world.until(lambda: world.names() == [FIRST.name, THIRD.name])
    assert world.said == [f"leave {SECOND.name}", f"plan {FIRST.name} {THIRD.name}"]
    world.said.clear()
    world.registry.create(bootstrap.node_object(SECOND))
    await world.until(lambda: len(world.names()) == 3)
    everybody = " ".join(node.name for node in LAB.nodes)
    assert world.said == [f"plan {everybody}", f"boot {SECOND.name}"]


async def test_one_that_is_switched_off_is_cut_off_and_keeps_its_place(world: World) -> None:
    world.turn(SECOND.name, OFF)
    await world.until(lambda: world.names() == [FIRST.name, THIRD.name])
    rest = f"plan {FIRST.name} {THIRD.name} ({SECOND.name})"
    assert world.said == [f"silence {SECOND.name}", rest, f"cut {SECOND.name}"]
    world.turn(SECOND.name, None)
    await world.until(lambda: len(world.names()) == 3)
    everybody = " ".join(node.name for node in LAB.nodes)
    assert world.said == [f"plan {everybody}", f"boot {SECOND.name}"]


async def test_of_one_that_is_off_and_deleted_nobody_keeps_a_way(world: World) -> None:
    world.turn(SECOND.name, OFF)
    await world.until(lambda: world.names() == [FIRST.name, THIRD.name])
    world.registry.delete("Node", "", SECOND.name)
    await world.until(lambda: world.said[-1] == f"plan {FIRST.name} {THIRD.name}")


async def test_one_that_does_not_start_is_tried_again(world: World, caplog: Any) -> None:
    world.registry.delete("Node", "", SECOND.name)
    await world.until(lambda: len(world.names()) == 2)
    world.said.clear()
    world.refusals = 1
    world.registry.create(bootstrap.node_object(SECOND))
    await world.until(lambda: len(world.names()) == 3)
    tries = [line for line in world.said if not line.startswith("plan")]
    assert tries == [f"{what} {SECOND.name}" for what in ("boot", "stop", "boot")]
    assert "nodes: no room; trying again" in caplog.text


async def test_strangers_and_those_with_others_pod_ranges_are_left_alone(world: World) -> None:
    stranger = bootstrap.node_object(Node("stranger", pod_cidrs=("10.244.9.0/24",)))
    world.registry.create(stranger)
    world.registry.delete("Node", "", SECOND.name)
    await world.until(lambda: len(world.names()) == 2)
    changed = bootstrap.node_object(Node(SECOND.name, pod_cidrs=("10.244.9.0/24",)))
    world.registry.create(changed)
    await world.until(lambda: world.informers["Node"].get(SECOND.name))
    assert world.names() == [FIRST.name, THIRD.name]


async def test_what_several_are_at_is_said_once(world: World) -> None:
    world.busy = True
    assert list(world.nodes.at_work()) == ["addresses are being announced"]
