"""What the names are told, and where they are served."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from netlab.agents import dns as module
from netlab.agents.dns import PODS_AND_NAMES, DnsFeed
from netlab.agents.podgroups import PodGroups
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.dns.forwarding import NO_FORWARDING, Forwarding
from netlab.dns.terms import Terms
from netlab.objects import bootstrap
from netlab.objects.lab import lab_from_object
from netlab.retry import Retry
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 1}})
HERE, THERE = Path("/none/one"), Path("/none/other")


class Dnsmasq:
    """One of two; `again` is called when it was started again."""

    def __init__(self) -> None:
        self.is_adopted, self.is_up = False, True
        self.again: Any = None

    def on_restart(self, listener: Any) -> None:
        self.again = listener

    async def end(self, grace: float) -> None:  # noqa: ARG002
        self.is_up = False


class Life:
    """Counts how often it was started again."""

    def __init__(self) -> None:
        self.restarts = 0

    def restarted(self) -> None:
        self.restarts += 1

    async def ended(self, code: int) -> None:
        raise AssertionError(f"ended with {code}, though of two dnsmasqs one always answers")


class Server:
    """Names, and where they are served."""

    def __init__(self) -> None:
        self.dnsmasqs = [Dnsmasq(), Dnsmasq()]
        self.services: dict[str, Any] = {}
        self.slices: dict[str, Any] = {}
        self.published: list[set[str]] = []
        self.places: list[Path | None] = []
        self.refusals = 0
        self.idle = True
        self.forwarding = NO_FORWARDING
        self.terms, self.dual, self.is_applied = Terms(), False, True
        self.domain, self.upstreams = "cluster.local", ("172.16.110.1",)

    def set_service(self, key: str, service: Any) -> None:
        self.services[key] = service

    def set_forwarding(self, forwarding: Forwarding) -> None:
        self.forwarding = forwarding

    async def refit(self) -> None:
        self.refitted = True

    def set_slice(self, key: str, found: Any) -> None:
        self.slices[key] = found

    def apply(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError("no room")
        time.sleep(0.0005)
        self.published.append({key for key, found in self.services.items() if found})

    async def start(self, netns: Path, groups: Any) -> None:  # noqa: ARG002
        self.places.append(netns)

    async def stop(self) -> None:
        self.places.append(None)

    async def detach(self) -> None:
        self.places.append(Path("detached"))


def pod(uid: str, netns: Path) -> Any:
    return SimpleNamespace(uid=uid, netns=netns)


class World:
    def __init__(self) -> None:
        self.registry = Registry(Store(None), LAB)
        for name in ("default", "kube-system"):
            self.registry.create(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )
        self.informers = Informers(InProcessApi(self.registry))
        for kind in ("Service", "EndpointSlice", "ConfigMap"):
            _ = self.informers[kind]
        self.server, self.internet = Server(), Server()
        self.feed = DnsFeed(self.server, self.internet, self.informers, PodGroups("owner"))  # type: ignore[arg-type]

    def create(self, name: str) -> None:
        ports = [{"port": 80}]
        self.registry.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"ports": ports},
            }
        )


@pytest.fixture
async def world(monkeypatch, recorder):
    monkeypatch.setattr(module, "RETRY", Retry(0.01, 0.01))
    world = World()
    await world.informers.start()
    world.feed.follow(recorder)
    yield world
    await world.feed.detach()
    await world.informers.stop()


async def test_names_come_and_go_with_services(world, until):
    world.create("web")
    await until(lambda: world.server.published and world.server.published[-1] == {"default/web"})
    assert world.internet.published[-1] == {"default/web"}
    world.registry.delete("Service", "default", "web")
    await until(lambda: world.server.published[-1] == set())
    assert world.server.services == {"default/web": None}


async def test_whom_to_ask_is_told_in_a_configmap(world, until, recorder):
    """What is wrong, or not done, is an Event; what was in force stays."""

    def put(name: str, data: dict[str, str]) -> None:
        metadata = {"name": name, "namespace": "kube-system"}
        world.registry.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        )

    def change(name: str, data: dict[str, str]) -> None:
        found = world.registry.get("ConfigMap", "kube-system", name)
        world.registry.update({**found, "data": data})

    put("other", {"Corefile": "nonsense"})
    put("kube-dns", {"stubDomains": '{"acme.test": ["10.1.0.1"]}'})
    stub = (("acme.test", ("10.1.0.1",)),)
    await until(lambda: world.server.forwarding == Forwarding(stub))
    put("coredns", {"Corefile": ". {\n  autopath a\n  forward . 10.1.0.2\n}"})
    left_out = "Corefile:2: autopath is left out: the cluster's DNS is a dnsmasq"
    told = Forwarding(stub, ("10.1.0.2",), notes=(left_out,), terms=Terms())
    await until(lambda: world.server.forwarding == told)
    assert recorder.warnings == [f"NotConfigured: {left_out}"]
    change("coredns", {"Corefile": ". {\n  nonsense\n}"})
    wrong = "Corefile:2 - Error during parsing: Unknown directive 'nonsense'"
    await until(lambda: f"NotConfigured: {wrong}" in recorder.warnings)
    assert world.server.forwarding == told
    for name in ("kube-dns", "coredns"):
        world.registry.delete("ConfigMap", "kube-system", name)
    await until(lambda: world.server.forwarding == NO_FORWARDING)


async def test_the_corefile_of_the_beginning_asks_for_nothing(world, until, recorder):
    metadata = {"name": "coredns", "namespace": "kube-system"}
    first = {"Corefile": bootstrap.corefile("cluster.local")}
    one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": first}
    world.registry.create(one)
    key = "kube-system/coredns"
    await until(lambda: world.informers["ConfigMap"].get(key))
    assert (world.server.forwarding, world.feed._forwardings) == (NO_FORWARDING, {})
    changed = {"Corefile": first["Corefile"].replace("/etc/resolv.conf", "10.1.0.2")}
    world.registry.update({**world.informers["ConfigMap"].get(key), "data": changed})
    await until(lambda: world.server.forwarding.outside == ("10.1.0.2",))
    world.registry.update({**world.registry.get("ConfigMap", *key.split("/")), "data": first})
    await until(lambda: world.server.forwarding.outside == world.server.upstreams)
    assert recorder.warnings == []


async def test_a_flood_of_names_is_published_in_batches(world, until):
    for number in range(100):
        world.create(f"web-{number}")
        await asyncio.sleep(0.001)
    await until(lambda: world.server.published and len(world.server.published[-1]) == 100)
    assert world.server.published[0] == {"default/web-0"}
    assert len(world.server.published) < 50


async def test_it_is_at_work_until_the_last_of_both_has_published(world, until):
    world.internet.idle = False
    await until(lambda: world.feed._loop.idle)
    assert list(world.feed.at_work()) == [PODS_AND_NAMES]
    world.internet.idle = True
    assert list(world.feed.at_work()) == []


async def test_what_there_was_no_room_for_is_published_later(world, until):
    world.server.refusals = 3
    world.create("web")
    await until(lambda: world.server.refusals < 3)
    assert not world.feed.idle
    await until(lambda: world.server.published and world.server.published[-1] == {"default/web"})
    await until(lambda: world.feed.idle)


async def test_of_two_pods_the_last_one_serves(world):
    await world.feed.start(pod("one", HERE), "dns", Life())
    await world.feed.start(pod("two", THERE), "dns", Life())
    await world.feed.stop(pod("one", HERE), "dns")
    assert world.server.places == [HERE, None, THERE]
    await world.feed.stop(pod("two", HERE), "dns")
    await world.feed.stop(pod("two", HERE), "dns")
    assert world.server.places[3:] == [None]


async def test_names_are_published_before_they_are_served(world, until):
    world.server.refusals = 1
    world.server.services["default/web"] = {"metadata": {}}
    await world.feed.start(pod("one", HERE), "dns", Life())
    assert world.server.places == [HERE], "no room is no reason not to serve"
    await until(lambda: world.server.published == [{"default/web"}])


async def test_a_controller_that_ends_leaves_them_served(world):
    await world.feed.start(pod("one", HERE), "dns", Life())
    await world.feed.detach()
    assert world.server.places == [HERE, Path("detached")]


async def test_one_that_was_killed_and_both_that_were_ended_are_one_restart() -> None:
    world, life, here = World(), Life(), pod("u", HERE)
    first, second = world.server.dnsmasqs
    assert await world.feed.start(here, "dns", life) is False
    await first.again()
    assert life.restarts == 1
    await world.feed.end(here, "dns", 1.0)
    for each in (first, second):
        assert not each.is_up
    for each in (first, second):
        each.is_up = True
        await each.again()
    assert life.restarts == 2
    await world.feed.end(pod("other", THERE), "dns", 1.0)
    assert first.is_up
    first.is_adopted = second.is_adopted = True
    assert await world.feed.start(here, "dns", life)
