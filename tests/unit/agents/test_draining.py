"""A pod's server ends after the rules of all nodes that send it connections, not before; how far
those are is said through the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from bootstrapped import initial_objects

from netlab.agents import draining
from netlab.agents.draining import Draining
from netlab.agents.lease import NAMESPACE, RULES, lease_object
from netlab.agents.rules_revision import RulesRevision
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.objects.lab import lab_from_object
from netlab.objects.meta import Object
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = lab_from_object({"metadata": {"name": "test"}, "spec": {"nodes": 2}})
NAMES = [node.name for node in LAB.nodes]
READY = {"type": "Ready", "status": "True", "lastTransitionTime": None}


class World:
    """Two nodes, whose rules are as far as the test says, and a pod of one Service."""

    def __init__(self) -> None:
        self.registry = Registry(Store(None), LAB)
        for obj in initial_objects(LAB):
            if obj["kind"] == "Node":
                obj = {**obj, "status": {"conditions": [READY]}}
            self.registry.create(obj)
        for name in NAMES:
            self.registry.create(lease_object(self.registry.get("Node", "", name), {}))
        self.pod = self._pod()
        self.informers = Informers(InProcessApi(self.registry))
        self.draining = Draining(self.informers)
        self.written = dict.fromkeys(NAMES, 0)
        self.progress = {name: self._progress(name) for name in NAMES}

    def _progress(self, name: str) -> RulesRevision:
        return RulesRevision(name, self.informers, lambda: self.written[name])

    def _pod(self) -> Object:
        spec = {"containers": [{"name": "c", "image": "nginx"}], "nodeName": NAMES[1]}
        metadata = {"name": "p", "namespace": "default"}
        return self.registry.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        )

    @property
    def uid(self) -> str:
        return str(self.pod["metadata"]["uid"])

    def slice(self, *, ready: bool) -> int:
        """Write the Service's slice; its revision."""
        endpoint = {
            "addresses": ["10.244.1.2"],
            "conditions": {"ready": ready},
            "targetRef": {"kind": "Pod", "name": "p", "namespace": "default", "uid": self.uid},
        }
        obj = {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "s", "namespace": "default"}, "endpoints": [endpoint],
        }  # fmt: skip
        known = self.registry.list("EndpointSlice", "default").items
        ours = next((one for one in known if one["metadata"]["name"] == "s"), None)
        made = (
            self.registry.update({**ours, "endpoints": [endpoint]})
            if ours
            else self.registry.create(obj)
        )
        return int(made["metadata"]["resourceVersion"])

    def end_pod(self) -> None:
        self.registry.delete("Pod", "default", "p", grace_period=30)

    def write(self, name: str, revision: int) -> None:
        """This node's rules are so far."""
        self.written[name] = revision
        self.progress[name].look()

    def said(self) -> list[int]:
        leases = [self.registry.get("Lease", NAMESPACE, name) for name in NAMES]
        return [int(lease["metadata"]["annotations"][RULES]) for lease in leases]

    def wait(self, seconds: float = 30) -> asyncio.Task[None]:
        return asyncio.create_task(self.draining.wait(self.uid, seconds))


async def calm() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def settled(task: asyncio.Task[None]) -> bool:
    await calm()
    return task.done()


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(draining, "LINGER", 0)
    world = World()
    await world.informers.start()
    world.draining.start()
    for one in world.progress.values():
        one.start()
    yield world
    for one in world.progress.values():
        await one.stop()
    world.draining.stop()
    await world.informers.stop()


async def test_a_pod_of_no_service_does_not_wait(world: World) -> None:
    world.end_pod()
    assert await settled(world.wait())


async def test_waits_for_the_slice_then_for_the_rules_of_every_node(world: World) -> None:
    world.slice(ready=True)
    await calm()
    world.end_pod()
    task = world.wait()
    assert not await settled(task)
    revision = world.slice(ready=False)
    assert not await settled(task)
    world.write(NAMES[0], revision)
    assert not await settled(task)
    world.write(NAMES[1], revision - 1)
    assert not await settled(task)
    world.write(NAMES[1], revision + 1)
    assert await settled(task)


async def test_rules_that_were_written_before_anybody_asked_are_told_when_a_pod_ends(
    world: World,
) -> None:
    world.slice(ready=True)
    revision = world.slice(ready=False)
    for name in NAMES:
        world.write(name, revision)
    await calm()
    assert world.said() == [0, 0]  # no pod ends, so nobody asks
    world.end_pod()
    await calm()
    assert world.said() == [revision, revision]
    assert await settled(world.wait())


async def test_a_slice_that_is_removed_counts_as_of_its_removal(world: World) -> None:
    before = world.slice(ready=True)
    await calm()
    world.end_pod()
    task = world.wait()
    world.registry.delete("EndpointSlice", "default", "s")
    for name in NAMES:
        world.write(name, before)
    assert not await settled(task)
    for name in NAMES:
        world.write(name, before + 100)
    assert await settled(task)


async def test_a_node_that_is_not_ready_or_gone_is_not_waited_for(world: World) -> None:
    world.slice(ready=True)
    await calm()
    world.end_pod()
    task = world.wait()
    world.write(NAMES[0], world.slice(ready=False))
    assert not await settled(task)
    world.registry.delete("Node", "", NAMES[1])
    world.registry.delete("Lease", NAMESPACE, NAMES[1])
    assert await settled(task)


async def test_a_node_that_is_stuck_does_not_hold_it_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "LIMIT", 0.01)

    world.slice(ready=True)
    await calm()
    world.end_pod()
    world.slice(ready=False)
    await asyncio.wait_for(world.wait(), 1)


async def test_without_grace_it_ends_at_once(world: World) -> None:
    world.slice(ready=True)
    await calm()
    await asyncio.wait_for(world.wait(0), 0.5)
