"""A node's proxy hears that somebody wrote rules, and is not roused by what it writes itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from netlab.agents import proxy as module
from netlab.agents.node_proxier import NodeProxier
from netlab.agents.proxy import KubeProxy
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.errors import AlreadyExists
from netlab.kernel.run import run
from netlab.proxy.iptables.model import Chain, Ruleset, Table
from netlab.store.registry import Registry
from netlab.store.store import Store

pytestmark = pytest.mark.root

FLUSH = {
    "nft": "iptables-nft -t nat -F && iptables-nft -t filter -F",
    "legacy": "iptables-legacy -t nat -F",
    "nftables": "nft flush table ip kube-proxy",
}
SAVE = {
    "nft": ["iptables-nft-save", "-t", "nat"],
    "legacy": ["iptables-legacy-save", "-t", "nat"],
    "nftables": ["nft", "list", "table", "ip", "kube-proxy"],
}
NEVER = 600.0


class Scene:
    """A node with rules for one Service, and the proxy that keeps them."""

    def __init__(self, running: Any) -> None:
        self.path = running.path("master001")
        self.api = InProcessApi(Registry(Store(None), running.lab))
        self.informers = Informers(self.api)
        self.proxier: NodeProxier = NodeProxier(
            running.lab, running.lab.nodes[0], running.directory
        )
        self.reads = 0
        for family in self.proxier._families:
            family.applier.read = self._counting(family.applier.read)
        self.repaired = asyncio.Event()
        told = lambda _: self.repaired.set()  # noqa: E731
        self.proxy = KubeProxy("master001", self.proxier, self.informers, on_repair=told)

    def _counting(self, read: Callable[[], Any]) -> Callable[[], Any]:
        def counted() -> Any:
            self.reads += 1
            return read()

        return counted

    async def begin(self) -> None:
        for kind in module.KINDS:
            _ = self.informers[kind]
        await self.informers.start()
        await self.api.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
        )
        await self.service("web", 30080)
        await self.proxy.start()
        await self.settled()

    async def service(self, name: str, port: int) -> None:
        ports = [{"port": 80, "nodePort": port}]
        spec = {"type": "NodePort", "selector": {"a": "b"}, "ports": ports}
        meta = {"name": name, "namespace": "default"}
        await self.api.create(
            {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
        )

        await self.api.create(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {**meta, "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.244.0.9"], "conditions": {"ready": True}}],
                "ports": [{"port": 80, "protocol": "TCP"}],
            }
        )

    async def node(self, hands_off: str) -> None:
        """The node says what is to be left alone."""
        meta = {"name": "master001", "annotations": {"netlab/hands-off": hands_off}}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {}}
        try:
            await self.api.create(node)
        except AlreadyExists:
            await self.api.update(node)

    async def settled(self) -> None:
        async with asyncio.timeout(10):
            while not self.proxy.idle or self.proxy.written < self.proxy.heard:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def at_work(running: Any) -> AsyncIterator[Scene]:
    scene = Scene(running)
    await scene.begin()
    try:
        yield scene
    finally:
        await scene.proxy.stop()
        await scene.informers.stop()


@pytest.mark.parametrize("backend", ["nft", "legacy", "nftables"])
async def test_flushed_rules_are_put_back_and_told(labs, monkeypatch, backend):
    monkeypatch.setattr(module, "REPAIR_INTERVAL", NEVER)
    mode = {"proxyMode": "nftables"} if backend == "nftables" else {"iptables": backend}
    with labs.standing(labs.make(nodes=1, **mode)) as running:
        async with at_work(running) as scene:
            before = run(SAVE[backend], netns=scene.path).stdout
            assert "default/web" in before
            for _ in range(2):
                scene.repaired.clear()
                await asyncio.to_thread(run, ["sh", "-ec", FLUSH[backend]], netns=scene.path)
                async with asyncio.timeout(10):
                    await scene.repaired.wait()
            now = run(SAVE[backend], netns=scene.path).stdout
            assert now.count("default/web") == before.count("default/web")


@pytest.mark.parametrize("backend", ["nft", "legacy", "nftables"])
async def test_one_that_stands_still_writes_nothing_until_it_goes_on(labs, backend):
    mode = {"proxyMode": "nftables"} if backend == "nftables" else {"iptables": backend}
    with labs.standing(labs.make(nodes=1, **mode)) as running:
        async with at_work(running) as scene:
            before = run(SAVE[backend], netns=scene.path).stdout
            await scene.node(hands_off="rules")
            async with asyncio.timeout(10):
                while not scene.proxy.stands_still:
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(run, ["sh", "-ec", FLUSH[backend]], netns=scene.path)
            flushed = run(SAVE[backend], netns=scene.path).stdout
            await scene.service("later", 30090)
            async with asyncio.timeout(10):
                await scene.proxy.caught_up()
            await asyncio.sleep(3 * module.REPAIR_INTERVAL)
            left = run(SAVE[backend], netns=scene.path).stdout
            assert left.count("default/web") == flushed.count("default/web")
            assert left.count("default/web") < before.count("default/web")
            assert "default/later" not in left
            await scene.node(hands_off="network")
            async with asyncio.timeout(10):
                await scene.repaired.wait()
            now = run(SAVE[backend], netns=scene.path).stdout
            assert now.count("default/web") == before.count("default/web")
            assert "default/later" in now


async def test_own_writes_are_no_news_and_others_are_looked_at_once(labs, monkeypatch):
    monkeypatch.setattr(module, "REPAIR_INTERVAL", NEVER)
    with labs.standing(labs.make(nodes=1, iptables="nft")) as running:
        async with at_work(running) as scene:
            reads = scene.reads
            for number in range(5):
                await scene.service(f"more{number}", 30100 + number)
                await scene.settled()
            await asyncio.sleep(0.2)
            assert scene.reads == reads
            foreign = ["nft", "add", "table", "ip", "mine"]
            await asyncio.to_thread(run, foreign, netns=scene.path)
            async with asyncio.timeout(10):
                while scene.reads == reads:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            assert scene.reads == reads + 1, "looked at once, and left alone"
            assert not scene.repaired.is_set()


async def test_what_an_owner_sets_is_written_by_the_proxy_and_is_no_news(labs, monkeypatch):
    monkeypatch.setattr(module, "REPAIR_INTERVAL", NEVER)
    with labs.standing(labs.make(nodes=1, iptables="nft")) as running:
        scene = Scene(running)
        owned = scene.proxier.owned("NETLAB-POLICY")
        await scene.begin()
        try:
            chain = Chain("NETLAB-POLICY", ("-s 10.244.0.66/32 -j DROP",))
            owned.set({"ipv4": Ruleset({"filter": Table("filter", {chain.name: chain})})})
            scene.proxy.wake()
            await scene.settled()
            assert "10.244.0.66" in run(["iptables-nft-save"], netns=scene.path).stdout
            reads = scene.reads
            await asyncio.sleep(0.2)
            assert scene.reads == reads, "it looked for who had written"
        finally:
            await scene.proxy.stop()
            await scene.informers.stop()
