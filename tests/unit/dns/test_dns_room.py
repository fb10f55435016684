"""Records for which there is no room are published as soon as there is."""

from __future__ import annotations

import asyncio
import errno
import os
import uuid
from pathlib import Path

import pytest

from netlab.agents import dns
from netlab.agents.dns import DnsFeed
from netlab.agents.loop import Retry
from netlab.agents.podgroups import PodGroups
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.dns import upstream
from netlab.dns.server import DnsServer, names_keeper
from netlab.dns.upstream import InternetDns
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "t"}, "spec": {"nodes": 1}}


def _service(name: str, ip: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": [{"port": 80, "name": "http"}]},
    }


def _published(directory: Path) -> str:
    files = (directory / "published" / "hosts").iterdir()
    return "".join(file.read_text() for file in sorted(files))


class Nobody:
    """Told of ConfigMaps that ask for what is not done: there are none."""

    def warning(self, *_: object) -> None:
        raise AssertionError

    normal = warning


def _full(*_: object, **__: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_what_could_not_be_published_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns, "RETRY", Retry(0.1))
    owner, log = str(uuid.uuid4()), tmp_path / "log"
    names = names_keeper(tmp_path / "names", owner, log)  # never started: files are what counts
    server = DnsServer(tmp_path, owner, names, "cluster.local")
    internet = InternetDns(upstream.names_keeper(tmp_path / "internet", owner, log), [], {})
    api = InProcessApi(Registry(Store(None), lab_from_object(LAB)))
    feed = DnsFeed(server, internet, Informers(api), PodGroups(owner))
    feed.follow(Nobody())
    with monkeypatch.context() as full:
        full.setattr(Path, "write_text", _full)
        for number in range(3):
            server.set_service(
                f"default/s{number}", _service(f"s{number}", f"10.96.0.{10 + number}")
            )
        feed._loop.wake()
        await asyncio.sleep(0.05)
        assert _published(tmp_path) == ""
        assert not feed.idle
    async with asyncio.timeout(5):
        while not feed.idle:
            await asyncio.sleep(0.01)
    assert all(f"s{number}.default.svc" in _published(tmp_path) for number in range(3))
    await feed._loop.stop()
