"""Which node's link is to have which address, when that is said, and what is told of it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.agents import speaker as module
from netlab.agents.election import Election
from netlab.agents.speaker import Speaker, Wire
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.errors import KernelRefused
from netlab.network import plan
from netlab.network.operations import Announce
from netlab.objects.lab import lab_from_object
from netlab.objects.meta import Object
from netlab.retry import Retry
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 3}})
VIP = "172.16.110.200"
EXCLUDED = {"node.kubernetes.io/exclude-from-external-load-balancers": ""}


def slice_of(service: str) -> Object:
    """What is known of a Service's endpoints: that it has one."""
    labels = {"kubernetes.io/service-name": service}
    metadata = {"name": f"{service}-a", "namespace": "default", "labels": labels}
    head = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
    return {
        **head,
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.1.1"], "conditions": {}}],
    }


class Links:
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
        before, self.addresses = self.addresses, {**self.addresses, **wanted}
        assert len(self.holders) <= 1, self.holders
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
    """An API of three nodes and one balanced Service, and the nodes' speakers that follow it."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.api = InProcessApi(Registry(Store(None), LAB))
        self.speakers: list[Speaker] = []

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
        await self.api.create(slice_of("lb"))
        informers = Informers(self.api)
        links: Any = self.links
        self.election, wire = Election(informers), Wire(LAB.name, Path("/nowhere"))
        self.speakers = [
            Speaker(
                node.name, plan.alone(LAB, node).namespaces[0], self.election, wire, links,
                balances=LAB.balances, caught_up=lambda: links.caught_up(),
            )
            for node in LAB.nodes
        ]  # fmt: skip
        await informers.start()
        self.election.start()
        for speaker in self.speakers:
            await speaker.start()
        self.informers = informers

    async def stop(self) -> None:
        for speaker in self.speakers:
            await speaker.stop()
        await self.informers.stop()

    @property
    def idle(self) -> bool:
        return all(speaker.idle for speaker in self.speakers)

    async def give(self, *ips: str) -> None:
        status = {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips] or None}}
        await self.api.patch("Service", "default", "lb", {"status": status}, subresource="status")

    async def exclude(self, node: str) -> None:
        await self.api.patch("Node", "", node, {"metadata": {"labels": EXCLUDED}})

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not (holds() and self.idle):
                await asyncio.sleep(0.005)


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Links:
    """The kernel, which is looked at 20 times a second."""
    links = Links()
    monkeypatch.setattr(module, "REPAIR_INTERVAL", 0.05)
    monkeypatch.setattr(module, "RETRY", Retry(0.01))
    monkeypatch.setattr(module.apply, "ensure_announced", links.ensure)
    return links


@pytest.fixture
async def scene(links: Links) -> AsyncIterator[Scene]:
    scene = Scene(links)
    await scene.begin()
    await scene.until(lambda: bool(links.looks))
    yield scene
    await scene.stop()


async def test_one_node_gets_the_address_and_the_next_when_that_may_not(
    scene: Scene, links: Links
) -> None:
    assert links.looks[0] == {f"t.{node.name}" for node in LAB.nodes}  # strays may be anywhere
    await scene.give(VIP)
    await scene.until(lambda: len(links.holders) == 1)
    (first,) = links.holders
    await scene.exclude(first.removeprefix("t."))
    await scene.until(lambda: len(links.holders) == 1 and links.holders != [first])
    (second,) = links.holders
    assert links.said == [
        ("nodeAssigned", f'announcing from node "{name[2:]}" with protocol "layer2"')
        for name in (first, second)
    ]
    await scene.give()
    await scene.until(lambda: links.holders == [])


async def test_what_was_taken_away_by_hand_comes_back_without_an_event(
    scene: Scene, links: Links, caplog: Any
) -> None:
    await scene.give(VIP)
    await scene.until(lambda: bool(links.holders))
    links.addresses = {}
    await scene.until(lambda: bool(links.holders))
    assert len(links.said) == 1
    assert "the address of default/lb had been taken from" in caplog.text


async def test_only_the_lab_s_own_addresses_are_announced(scene: Scene, links: Links) -> None:
    await scene.give("172.16.110.1", VIP)  # the gateway's: never
    await scene.until(lambda: bool(links.holders))
    assert [one for all_ in links.addresses.values() for one in all_] == [f"{VIP}/32"]


async def test_rules_come_first(scene: Scene, links: Links) -> None:
    links.rules.clear()
    await scene.give(VIP)
    await asyncio.sleep(0.05)
    assert (links.holders, scene.idle) == ([], False)
    links.rules.set()
    await scene.until(lambda: bool(links.holders))


async def test_what_becomes_known_meanwhile_waits_for_its_own_rules(
    scene: Scene, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = "172.16.110.201"

    written = [asyncio.Event(), asyncio.Event()]
    waits: dict[object, Iterator[asyncio.Event]] = defaultdict(lambda: iter(written))
    monkeypatch.setattr(
        links, "caught_up", lambda: next(waits[asyncio.current_task()]).wait()
    )  # each node has its own rules to wait for
    await scene.give(VIP)
    await asyncio.sleep(0.02)
    await scene.give(VIP, second)  # no node has rules for it yet
    written[0].set()
    async with asyncio.timeout(5):
        while not links.holders:
            await asyncio.sleep(0.005)
    assert not any(f"{second}/32" in addresses for addresses in links.addresses.values())
    written[1].set()
    await scene.until(
        lambda: any(f"{second}/32" in addresses for addresses in links.addresses.values())
    )


async def test_what_the_kernel_refuses_is_tried_again(
    scene: Scene, links: Links, caplog: Any
) -> None:
    links.refusals = 3
    await scene.give(VIP)
    await scene.until(lambda: bool(links.holders))
    assert links.refusals == 0
    assert ": no; trying again in 0.0 s" in caplog.text


async def test_who_has_an_address_before_its_endpoints_are_known_waits_for_those_alone(
    scene: Scene, links: Links
) -> None:
    """Nothing else may happen to it afterwards that would have it looked at again."""
    await scene.api.delete("EndpointSlice", "default", "lb-a")
    await scene.give(VIP)
    await scene.until(lambda: scene.informers["EndpointSlice"].get("default/lb-a") is None)
    await asyncio.sleep(0.05)
    assert links.holders == []
    await scene.api.create(slice_of("lb"))
    await scene.until(lambda: len(links.holders) == 1)
    await scene.api.delete("EndpointSlice", "default", "lb-a")
    await scene.until(lambda: links.holders == [])


async def test_a_service_without_an_address_is_named(scene: Scene, links: Links) -> None:
    (line,) = scene.election.lacking()
    assert line.startswith("service default/lb: no load balancer address")
    await scene.give(VIP)
    await scene.until(lambda: bool(links.holders))
    assert list(scene.election.lacking()) == []
