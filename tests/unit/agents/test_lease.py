"""Heartbeats of nodes, written through the API."""

from __future__ import annotations

import asyncio

import pytest
from bootstrapped import initial_objects

from netlab.agents import lease as module
from netlab.agents.lease import Lease
from netlab.client.inprocess import InProcessApi
from netlab.errors import NotFound
from netlab.objects.lab import lab_from_object
from netlab.objects.meta import Object
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = lab_from_object({"metadata": {"name": "test"}, "spec": {"nodes": 2}})


@pytest.fixture
def registry() -> Registry:
    registry = Registry(Store(None), LAB)
    for obj in initial_objects(LAB):
        registry.create(obj)
    return registry


async def beat(registry: Registry, *nodes: str, times: int = 1, grace: float = 40.0) -> None:
    """Let each of these nodes' heartbeats run until so many have been written."""
    clock = iter(f"2026-01-31T12:00:{second:02d}.000000Z" for second in range(60))
    beating = [Lease(InProcessApi(registry), node, grace, lambda: next(clock)) for node in nodes]
    for one in beating:
        one.start()
    for _ in range(times * 20):
        await asyncio.sleep(0)
    for one in beating:
        await one.stop()


def lease(registry: Registry, node: str) -> Object:
    return registry.get("Lease", module.NAMESPACE, node)


async def test_each_node_has_a_lease_of_its_own(registry: Registry) -> None:
    await beat(registry, "master001", "worker001")
    for node in ("master001", "worker001"):
        found = lease(registry, node)
        assert found["spec"]["holderIdentity"] == node
        (owner,) = found["metadata"]["ownerReferences"]
        assert owner["uid"] == registry.get("Node", "", node)["metadata"]["uid"]


async def test_a_lease_is_renewed_in_place(registry: Registry) -> None:
    await beat(registry, "master001")
    first = lease(registry, "master001")
    await beat(registry, "master001", times=3, grace=0)
    last = lease(registry, "master001")
    assert last["metadata"]["uid"] == first["metadata"]["uid"]
    assert last["spec"]["renewTime"] > first["spec"]["renewTime"]


async def test_a_node_that_was_deleted_keeps_the_others_alive(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.delete("Node", "", "master001")
    await beat(registry, "master001", "worker001")
    assert not caplog.records
    assert lease(registry, "worker001")
    with pytest.raises(NotFound):
        lease(registry, "master001")


async def test_the_leases_namespace_comes_back(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.delete("Namespace", "", module.NAMESPACE)
    registry.patch(
        "Namespace", "", module.NAMESPACE, {"spec": {"finalizers": None}}, subresource="finalize"
    )
    with pytest.raises(NotFound):
        registry.get("Namespace", "", module.NAMESPACE)
    await beat(registry, "master001", "worker001")
    assert lease(registry, "master001")
    assert lease(registry, "worker001")
    assert not caplog.records
