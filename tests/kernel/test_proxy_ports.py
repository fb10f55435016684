"""kube-proxy's own ports: where they are, what they say, and when they say that it is unwell."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.agents import pages, proxyports
from netlab.agents.proxyports import ProxyPorts
from netlab.kernel import netns
from netlab.proxy.metrics import Inventory, ProxyMetrics

pytestmark = pytest.mark.root

OUTSIDE = "10.10.11.11"


class Proxy:
    """The node's proxy; `late` is for how long it has had something to write."""

    def __init__(self) -> None:
        self.metrics = ProxyMetrics("iptables", ["ipv4"])
        self.late = 0.0

    async def measured(self) -> str:
        return self.metrics.text(Inventory())

    def waiting(self) -> float:
        return self.late


class Scene:
    def __init__(self, namespace: Path) -> None:
        self.namespace = namespace
        self.proxy = Proxy()
        self.node: dict[str, Any] | None = {"metadata": {"name": "w1"}, "spec": {}}
        self.ports = ProxyPorts("w1", namespace, "iptables", self.proxy, self._node, dual=True)

    def _node(self) -> Any:
        return self.node

    async def curl(self, target: str, *flags: str) -> tuple[int, str]:
        """The status and the body; 0 for no answer."""
        argv = ["curl", "-sg", "--max-time", "5", "-w", "%{http_code}", *flags, f"http://{target}"]
        done = await asyncio.to_thread(self.run, *argv)
        return int(done[-3:]), done[:-3]

    def run(self, *argv: str) -> str:
        with netns.entered(self.namespace):
            return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    async def well(self, page: str) -> int:
        status, body = await self.curl(f"{OUTSIDE}:10256/{page}")
        assert json.loads(body)["currentTime"].endswith("+0000 UTC")
        return status


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "node"
    netns.create(path)
    yield path
    netns.remove(path)


@pytest.fixture
async def scene(namespace: Path) -> AsyncIterator[Scene]:
    scene = Scene(namespace)
    scene.run("ip", "link", "set", "lo", "up")
    scene.run("ip", "addr", "add", f"{OUTSIDE}/32", "dev", "lo")
    scene.ports.start()
    while len(scene.ports.pages.open) != 2:
        await asyncio.sleep(0.01)
    yield scene
    await scene.ports.stop()


async def test_what_it_measures_is_for_the_node_alone(scene: Scene) -> None:
    assert await scene.curl("127.0.0.1:10249/proxyMode") == (200, "iptables")
    assert await scene.curl("127.0.0.1:10249/healthz") == (200, "ok")
    status, text = await scene.curl("127.0.0.1:10249/metrics")
    assert status == 200 and "# TYPE kubeproxy_sync_proxy_rules_duration_seconds histogram" in text
    assert await scene.curl(f"{OUTSIDE}:10249/metrics") == (0, "")


async def test_whether_it_is_well_is_for_everybody(scene: Scene) -> None:
    for host in ("127.0.0.1", OUTSIDE, "[::1]"):
        for page in ("healthz", "livez"):
            status, body = await scene.curl(f"{host}:10256/{page}")
            assert (status, "nodeEligible" in json.loads(body)) == (200, page == "healthz")
    assert 'kubeproxy_proxy_healthz_total{code="200"} 3' in await scene.proxy.measured()
    assert (await scene.curl(f"{OUTSIDE}:10256/metrics"))[0] == 404


@pytest.mark.parametrize(
    "node",
    [
        {"metadata": {"name": "w1", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
        {"metadata": {"name": "w1"}, "spec": {"taints": [{"key": proxyports.LEAVING}]}},
    ],
)
async def test_a_node_that_goes_is_not_to_be_chosen_but_lives(scene: Scene, node: Any) -> None:
    scene.node = node
    assert (await scene.well("healthz"), await scene.well("livez")) == (503, 200)
    scene.node = {"metadata": {"name": "w1"}, "spec": {"taints": [{"key": "other"}]}}
    assert await scene.well("healthz") == 200


async def test_who_cannot_write_rules_is_unwell(scene: Scene) -> None:
    scene.proxy.late = proxyports.LATE - 1
    assert (await scene.well("healthz"), await scene.well("livez")) == (200, 200)
    scene.proxy.late = proxyports.LATE + 1
    assert (await scene.well("healthz"), await scene.well("livez")) == (503, 503)
    scene.proxy.late = 0.0
    assert await scene.well("healthz") == 200


async def test_strangers_have_one_answer_each_and_not_for_ever(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_LONGEST", 0.3)
    with netns.entered(scene.namespace):
        waiting = [await asyncio.open_connection("127.0.0.1", 10256) for _ in range(3)]
    for (reader, writer), sent in zip(
        waiting, (b"", b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 70000), strict=True
    ):
        writer.write(sent)
        answer = b""
        with contextlib.suppress(ConnectionResetError):  # so goes what was not read any more
            answer = await asyncio.wait_for(reader.read(), 5)
        assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 431"), answer[:80]
        writer.close()
    head = await scene.curl("127.0.0.1:10249/proxyMode", "-I")
    assert head[0] == 200 and "Content-Length: 8" in head[1]


async def test_a_port_that_somebody_has_is_opened_once_he_leaves_it(
    namespace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_RETRY", pages.Retry(0.05, 0.05))
    scene = Scene(namespace)
    scene.run("ip", "link", "set", "lo", "up")
    with netns.entered(namespace):
        taken = pages._listening(10256, dual=False, local=False)
    scene.ports.start()
    await asyncio.sleep(0.1)
    assert scene.ports.pages.open == {10249}
    taken.close()
    async with asyncio.timeout(5):
        while 10256 not in scene.ports.pages.open:
            await asyncio.sleep(0.01)
    await scene.ports.stop()
