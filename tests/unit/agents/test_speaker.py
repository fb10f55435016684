"""Which node's link is to have which address, when that is said, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.agents import speaker as module
from netlab.agents.loop import Retry
from netlab.agents.speaker import Speaker
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.errors import KernelRefused
from netlab.network.operations import Announce
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 3}})
VIP = "172.16.110.200"
EXCLUDED = {"node.kubernetes.io/exclude-from-external-load-balancers": ""}


class Wire:
    """Stands for the nodes' links: what they have, who refuses, and the rules that lag behind."""

    def __init__(self) -> None:
        self.addresses: dict[str, tuple[str, ...]] = {}
        self.looks: list[set[str]] = []
        self.refusals = 0
        self.rules = asyncio.Event()
        self.rules.set()
        self.said: list[tuple[str, str]] = []

    def ensure(self, _network: Any, wanted: Any, _directory: Path) -> tuple[Announce, ...]:
        self.looks.append(set(wanted))
        if self.refusals:
            self.refusals -= 1
            raise KernelRefused("no", 1)
        before, self.addresses = self.addresses, {k: tuple(v) for k, v in wanted.items()}
        return tuple(
            Announce(node, "eth1", 3, "", address)
            for node, addresses in self.addresses.items()
            for address in addresses
            if address not in before.get(node, ())
        )

    async def caught_up(self) -> None:
        await self.rules.wait()

    def normal(self, _obj: Any, reason: str, message: str) -> None:
        self.said.append((reason, message))

    @property
    def holders(self) -> list[str]:
        return [node for node, addresses in self.addresses.items() if f"{VIP}/32" in addresses]


class Scene:
    """An API of three nodes and one balanced Service, and the speaker that follows it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.api = InProcessApi(Registry(Store(None), LAB))
        self.speaker: Any = None

    async def begin(self) -> None:
        await self.api.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
        )
        for node in LAB.nodes:
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": None}
            await self.api.create(
                {
                    "apiVersion": "v1",
                    "kind": "Node",
                    "metadata": {"name": node.name},
                    "status": {"conditions": [ready]},
                }
            )
        spec = {"type": "LoadBalancer", "selector": {"a": "b"}, "ports": [{"port": 80}]}
        meta = {"name": "lb", "namespace": "default"}
        await self.api.create(
            {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
        )
        informers = Informers(self.api)
        wire: Any = self.wire
        self.speaker = Speaker(LAB, Path("/nowhere"), informers, wire, wire)
        await informers.start()
        await self.speaker.start()
        self.informers = informers

    async def give(self, *ips: str) -> None:
        status = {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips] or None}}
        await self.api.patch("Service", "default", "lb", {"status": status}, subresource="status")

    async def exclude(self, node: str) -> None:
        await self.api.patch("Node", "", node, {"metadata": {"labels": EXCLUDED}})

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not (holds() and self.speaker.idle):
                await asyncio.sleep(0.005)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """The kernel, which is looked at 20 times a second."""
    wire = Wire()
    monkeypatch.setattr(module, "REPAIR_INTERVAL", 0.05)
    monkeypatch.setattr(module, "RETRY", Retry(0.01))
    monkeypatch.setattr(module.apply, "ensure_announced", wire.ensure)
    return wire


@pytest.fixture
async def scene(wire: Wire) -> AsyncIterator[Scene]:
    scene = Scene(wire)
    await scene.begin()
    await scene.until(lambda: bool(wire.looks))
    yield scene
    await scene.speaker.stop()
    await scene.informers.stop()


async def test_one_node_gets_the_address_and_the_next_when_that_may_not(
    scene: Scene, wire: Wire
) -> None:
    assert wire.looks[0] == {f"t.{node.name}" for node in LAB.nodes}  # strays may be anywhere
    await scene.give(VIP)
    await scene.until(lambda: len(wire.holders) == 1)
    (first,) = wire.holders
    await scene.exclude(first.removeprefix("t."))
    await scene.until(lambda: len(wire.holders) == 1 and wire.holders != [first])
    (second,) = wire.holders
    assert wire.said == [
        ("nodeAssigned", f'announcing from node "{name[2:]}" with protocol "layer2"')
        for name in (first, second)
    ]
    await scene.give()
    await scene.until(lambda: wire.holders == [])


async def test_what_was_taken_away_by_hand_comes_back_without_an_event(
    scene: Scene, wire: Wire, caplog: Any
) -> None:
    await scene.give(VIP)
    await scene.until(lambda: bool(wire.holders))
    wire.addresses = {}
    await scene.until(lambda: bool(wire.holders))
    assert len(wire.said) == 1
    assert "the address of default/lb had been taken from" in caplog.text


async def test_only_the_lab_s_own_addresses_are_announced(scene: Scene, wire: Wire) -> None:
    await scene.give("172.16.110.1", VIP)  # the gateway's: never
    await scene.until(lambda: bool(wire.holders))
    assert [one for all_ in wire.addresses.values() for one in all_] == [f"{VIP}/32"]


async def test_rules_come_first(scene: Scene, wire: Wire) -> None:
    wire.rules.clear()
    await scene.give(VIP)
    await asyncio.sleep(0.05)
    assert (wire.holders, scene.speaker.idle) == ([], False)
    wire.rules.set()
    await scene.until(lambda: bool(wire.holders))


async def test_what_becomes_known_meanwhile_waits_for_its_own_rules(
    scene: Scene, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = "172.16.110.201"
    written = [asyncio.Event(), asyncio.Event()]
    waits = iter(written)
    monkeypatch.setattr(wire, "caught_up", lambda: next(waits).wait())
    await scene.give(VIP)
    await asyncio.sleep(0.02)
    await scene.give(VIP, second)  # no node has rules for it yet
    written[0].set()
    async with asyncio.timeout(5):
        while not wire.holders:
            await asyncio.sleep(0.005)
    assert not any(f"{second}/32" in addresses for addresses in wire.addresses.values())
    written[1].set()
    await scene.until(
        lambda: any(f"{second}/32" in addresses for addresses in wire.addresses.values())
    )


async def test_what_the_kernel_refuses_is_tried_again(
    scene: Scene, wire: Wire, caplog: Any
) -> None:
    wire.refusals = 3
    await scene.give(VIP)
    await scene.until(lambda: bool(wire.holders))
    assert wire.refusals == 0
    assert "speaker: no; trying again in 0.0 s" in caplog.text


async def test_a_service_without_an_address_is_named(scene: Scene, wire: Wire) -> None:
    (line,) = scene.speaker.lacking()
    assert line.startswith("service default/lb: no load balancer address")
    await scene.give(VIP)
    await scene.until(lambda: bool(wire.holders))
    assert list(scene.speaker.lacking()) == []
