"""One node's agents alone, over an API in memory: made and unmade while that goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from bootstrapped import initial_objects

from netlab.agents import lease
from netlab.agents.election import Election
from netlab.agents.host import Host
from netlab.agents.node import NodeAgent
from netlab.agents.podrun import PodRun
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.client.kubelets import LocalKubelets, Silent
from netlab.kernel.machine import MachineFacts
from netlab.network import plan
from netlab.network.model import Namespace
from netlab.objects import meta
from netlab.objects.lab import Node, lab_from_object
from netlab.objects.meta import Object
from netlab.proxy.metrics import Inventory, ProxyMetrics
from netlab.proxy.syncer import HealthCheck
from netlab.store.registry import Registry
from netlab.store.store import Store
from netlab.workload.served import HealthAnswer

FACTS = MachineFacts("6.18", "Debian", "amd64", "b", 2, 4096, 8192)
LAB = lab_from_object({"metadata": {"name": "test"}, "spec": {"nodes": 2}})
NODE = LAB.nodes[1]


class Rules:
    """Notes what it is told; the rules can be had in `written`, once it may write."""

    def __init__(self) -> None:
        self.metrics = ProxyMetrics("iptables", ["ipv4"])
        self.told: dict[str, Object | None] = {}
        self.written: set[str] = set()
        self.changed_by_hand = False
        self.refused = False
        self.may_write = threading.Event()
        self.may_write.set()

    def set_node(self, node: Object) -> None:
        self.told["node"] = node

    def set_service(self, key: str, service: Object | None) -> None:
        self.told[key] = service

    def set_slice(self, key: str, endpoint_slice: Object | None) -> None:
        self.told[key] = endpoint_slice

    def set_range(self, name: str, service_cidr: Object | None) -> None:
        self.told[f"range {name}"] = service_cidr

    def sync(self) -> None:
        self.may_write.wait(10)
        if self.refused:
            raise OSError("no room")
        self.written = {key for key, obj in self.told.items() if obj is not None}

    def inventory(self) -> Inventory:
        return Inventory()

    def health_checks(self) -> dict[int, HealthCheck]:
        return {30123: HealthCheck("default/web", 2)}

    def repair(self) -> bool:
        changed, self.changed_by_hand = self.changed_by_hand, False
        return changed

    def notices(self) -> None:
        return None


class Responder:
    """What the node has it say at its health ports."""

    def __init__(self) -> None:
        self.client = self
        self.answers: dict[int, HealthAnswer] = {}

    def on_restart(self, serve: Callable[[], Awaitable[None]]) -> None:
        pass

    async def reached(self, call: Callable[[], Awaitable[Any]]) -> Any:
        return await call()

    async def health(self, _uid: str, _netns: str, _ips: Any, answers: Any) -> list[str]:
        self.answers = answers
        return []


class Recorder:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def warning(self, obj: Object, reason: str, _message: str) -> None:
        self.events.append((obj["metadata"]["name"], reason))

    normal = warning


class Pods:
    """Stands for the node's kubelet: whether it runs."""

    def __init__(self) -> None:
        self.runs: dict[str, PodRun] = {}
        self.at_work = False

    def kubelet_of(self, _node: Node, _around: object) -> Pods:
        return self

    async def adopted(self) -> list[Object]:
        return []

    async def start(self, _left: list[Object], *, boots: bool) -> None:
        self.at_work = not boots

    async def stop(self) -> None:
        self.at_work = False


class Wire:
    """The addresses that the node answers for."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    async def answer(self, _node: Namespace, addresses: Iterable[str]) -> set[str]:
        before, self.addresses = self.addresses, list(addresses)
        return set(self.addresses).difference(before)


def endpoints_of(service: str) -> Object:
    """Its slice, with one endpoint that serves."""
    labels = {"kubernetes.io/service-name": service}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "namespace": "default", "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.1.9"], "conditions": {}}],
    }


class World:
    def __init__(self) -> None:
        self.registry = Registry(Store(None), LAB)
        for obj in initial_objects(LAB):
            self.registry.create(obj)
        self.api = InProcessApi(self.registry)
        self.informers = Informers(self.api)
        self.rules, self.responder, self.recorder = Rules(), Responder(), Recorder()
        self.pods, self.wire, self.election = Pods(), Wire(), Election(self.informers)
        self.kubelets = LocalKubelets()
        self.node = self.make()

    def make(self) -> NodeAgent:
        fakes: dict[str, Any] = {
            "keeper": self.responder,
            "pod_runtime": self.pods,
            "kubelets": self.kubelets,
            "wire": self.wire,
            "recorder": lambda _: self.recorder,
            "programmer": lambda _: self.rules,
        }
        host = Host(
            informers=self.informers, election=self.election, facts=FACTS, now=lambda: 1769860800,
            netns=lambda _: Path("/nowhere"),
            place=lambda node: plan.alone(LAB, node).namespaces[0],
            grace_period=2.0, proxy_mode="iptables",
            balances=LAB.balances, **fakes,
        )  # fmt: skip
        return NodeAgent(NODE, host)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.002)

    @property
    def idle(self) -> bool:
        return not list(self.node.at_work())


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    for kind in ("Node", "Service", "EndpointSlice", "ServiceCIDR"):
        _ = world.informers[kind]
    await world.informers.start()
    world.election.start()
    await world.node.start()
    yield world
    await world.node.stop()
    await world.informers.stop()


def service(**spec: Any) -> Object:
    ports = [{"port": 80, "protocol": "TCP"}]
    metadata = {"name": "web", "namespace": "default"}
    spec = {"ports": ports, "selector": {"app": "web"}, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


async def test_its_rules_follow_services(world: World) -> None:
    await world.until(lambda: world.idle)
    own = {"node", "range kubernetes", "default/kubernetes", "kube-system/kube-dns"}
    assert world.rules.written == own
    assert world.rules.told["node"]["metadata"]["name"] == NODE.name
    world.rules.may_write.clear()
    world.registry.create(service())
    await world.until(lambda: not world.idle)
    assert "rules of node worker001: being written" in world.node.at_work()
    world.rules.may_write.set()
    await world.until(lambda: "default/web" in world.rules.written and world.idle)
    world.registry.delete("Service", "default", "web")
    await world.until(lambda: "default/web" not in world.rules.written)


async def test_it_says_why_its_rules_are_not_in_force(world: World) -> None:
    await world.until(lambda: world.idle)
    world.rules.refused = True
    world.registry.create(service())
    why = ["rules of node worker001: no room"]
    await world.until(lambda: list(world.node.at_work()) == why)
    world.rules.refused = False
    await world.until(lambda: world.idle)


async def test_load_balancers_are_told_of_its_endpoints(world: World) -> None:
    world.registry.create(
        service(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=30123)
    )
    await world.until(lambda: world.responder.answers)
    assert world.responder.answers[30123].status == 200


async def test_rules_that_were_changed_by_hand_are_an_event_of_the_node(world: World) -> None:
    await world.until(lambda: world.idle)
    world.rules.changed_by_hand = True
    await world.until(lambda: world.recorder.events)
    assert world.recorder.events == [("worker001", "RulesChanged")]


async def test_its_lease_is_its_own_and_ends_with_it(world: World) -> None:
    await world.until(lambda: world.registry.list("Lease", lease.NAMESPACE).items)
    names = [one["metadata"]["name"] for one in world.registry.list("Lease").items]
    assert names == [NODE.name]


async def test_it_says_what_it_is_in_its_node_object(world: World) -> None:
    def known() -> Object:
        return world.registry.get("Node", "", NODE.name)

    await world.until(lambda: meta.is_ready(known()))
    assert known()["status"]["nodeInfo"]["kernelVersion"] == "6.18"
    addresses = known()["status"]["addresses"]
    assert addresses[0] == {"type": "InternalIP", "address": NODE.internal_ips[0]}
    lie = {"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}}
    world.registry.patch("Node", "", NODE.name, lie, subresource="status")
    await world.until(lambda: known()["status"]["addresses"] == addresses)


async def test_a_node_object_that_somebody_makes_anew_is_filled_in(world: World) -> None:
    world.registry.delete("Node", "", NODE.name)
    bare = {"name": NODE.name, "labels": {"kubernetes.io/os": "plan9"}}
    world.registry.create({"apiVersion": "v1", "kind": "Node", "metadata": bare})
    await world.until(lambda: meta.is_ready(world.registry.get("Node", "", NODE.name)))
    known = world.registry.get("Node", "", NODE.name)
    assert known["spec"]["podCIDRs"] == list(NODE.pod_cidrs)
    assert meta.labels(known)["kubernetes.io/hostname"] == NODE.name
    assert meta.labels(known)["kubernetes.io/os"] == "plan9"  # what was written stands


async def test_it_answers_for_the_load_balancers_that_fall_to_it(world: World) -> None:
    vip = str(LAB.load_balancer_pools[0]).partition("-")[0].partition("/")[0]
    made = world.registry.create(service(type="LoadBalancer", selector=None))
    status = {"loadBalancer": {"ingress": [{"ip": vip}]}}
    world.registry.update({**made, "status": status}, subresource="status")
    await asyncio.sleep(0.05)
    assert world.wire.addresses == [], "nobody serves it"
    world.registry.create(endpoints_of("web"))
    await world.until(lambda: world.wire.addresses == [f"{vip}/32"])
    label = {"node.kubernetes.io/exclude-from-external-load-balancers": ""}
    world.registry.patch("Node", "", NODE.name, {"metadata": {"labels": label}})
    await world.until(lambda: world.wire.addresses == [])


async def test_one_that_is_stopped_hears_no_more_and_another_takes_its_place(world: World) -> None:
    await world.until(lambda: world.idle)
    assert world.pods.at_work
    assert world.kubelets.of(NODE.name)
    await world.node.stop()
    assert not world.pods.at_work
    with pytest.raises(Silent):
        world.kubelets.of(NODE.name)
    heard = world.node.proxy.heard
    world.registry.create(service())
    await world.until(lambda: world.informers["Service"].get("default/web"))
    assert world.node.proxy.heard == heard
    world.node = world.make()
    await world.node.start()
    await world.until(lambda: "default/web" in world.rules.written)
