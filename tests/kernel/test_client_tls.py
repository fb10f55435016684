"""The clients at an https URL, as a kubeconfig gives it: the lab's own door."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_streams import FakeStreams
from msgspec import Struct
from msgspec.structs import replace

from netlab.api.secure import SecureListener
from netlab.api.server import build_app
from netlab.client import kubeconfig, tcp
from netlab.client.endpoint import ApiEndpoint
from netlab.client.http import HttpApi
from netlab.client.stream import Join, Terminals, exec_
from netlab.client.sync import Client
from netlab.client.wire import BrokenAnswer, ControllerUnreachable
from netlab.errors import NotFound
from netlab.kernel import netns, paths
from netlab.kernel.run import run
from netlab.objects.lab import lab_from_object
from netlab.serving.http import serve_unix
from netlab.store.registry import Registry
from netlab.store.store import Store

pytestmark = pytest.mark.root

LAB = lab_from_object({"metadata": {"name": "door"}, "spec": {"nodes": 1}})
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web"},
    "spec": {"nodeName": "node1", "containers": [{"name": "c", "image": "nginx"}]},
}


class Door(Struct):
    streams: FakeStreams
    endpoint: ApiEndpoint


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A server in a namespace where nothing else listens, in which the test is, too."""
    namespace = netns.create(tmp_path / "ns")
    run(["ip", "link", "set", "lo", "up"], netns=namespace)
    with netns.entered(namespace), served(tmp_path) as streams:
        yield Door(streams, kubeconfig.read([paths.kubeconfig(tmp_path)]).endpoint)
    os.close(namespace)
    netns.remove(tmp_path / "ns")


@contextlib.contextmanager
def served(directory: Path) -> Iterator[FakeStreams]:
    """In a thread: the clients block."""
    streams, begun, loop = FakeStreams(), threading.Event(), asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        registry = Registry(Store(None), LAB)
        registry.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
        registry.create(POD)
        runner = await serve_unix(build_app(registry, streams), directory / "api.sock")
        listener = SecureListener(runner, "door", directory)
        await listener.start()
        begun.set()
        await ended.wait()
        await listener.close()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert begun.wait(30)
    yield streams
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


def test_objects_tables_and_watches(door: Door) -> None:
    with Client(door.endpoint) as client:
        assert [pod["metadata"]["name"] for pod in client.list("Pod", "default")] == ["web"]
        assert client.table("Pod")["kind"] == "Table"
        with pytest.raises(NotFound):
            client.get("Pod", "default", "none")
        events = client.watch("Pod", "default", query={"timeoutSeconds": 5})
        assert next(events)["object"]["metadata"]["name"] == "web"
        events.close()


def test_logs(door: Door) -> None:
    door.streams.lines += [(float(n), "x" * 1000) for n in range(200)]
    with Client(door.endpoint) as client:
        assert len(b"".join(client.logs("default", "web"))) == 200 * 1001


def test_a_command_with_much_to_say(door: Door) -> None:
    """More than a record of TLS holds, both ways, and more than is sent at once."""
    sent = os.urandom(3_000_000)
    (reading, there), (here, writing) = os.pipe(), os.pipe()
    feeding = threading.Thread(target=_feed, args=(writing, sent))
    feeding.start()
    said = bytearray()
    listening = threading.Thread(target=_listen, args=(reading, said))
    listening.start()
    join = Join("default", "web", stdin=True, terminals=Terminals(here, there, 2))
    assert exec_(door.endpoint, join, ["cat"]) == 0
    os.close(there)
    for thread in (feeding, listening):
        thread.join(30)
    assert said == sent
    os.close(here)


def _feed(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _listen(descriptor: int, said: bytearray) -> None:
    with os.fdopen(descriptor, "rb") as file:
        said += file.read()


def test_a_connection_that_would_have_to_wait_says_so(door: Door) -> None:
    """As any other socket does, and not that it is broken."""
    with tcp.connect(door.endpoint, 10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
        connection.send(b"POST /api/v1/pods HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
        with pytest.raises(BlockingIOError):
            for _ in range(100):
                connection.send(bytes(10_000))


def test_an_exit_code(door: Door) -> None:
    assert exec_(door.endpoint, Join("default", "web"), ["fail", "42"]) == 42


async def test_controllers_and_agents_could_be_elsewhere(door: Door) -> None:
    async with HttpApi(door.endpoint) as api:
        assert (await api.get("Pod", "default", "web"))["metadata"]["name"] == "web"
        listed = await api.list("Pod")
        await api.patch("Pod", "default", "web", {"metadata": {"labels": {"a": "b"}}})
        events = api.watch("Pod", resource_version=listed.resource_version)
        assert (await anext(events)).object["metadata"]["labels"] == {"a": "b"}
        await events.aclose()
    await asyncio.sleep(0.25)  # as aiohttp's manual says: TLS takes its leave


def test_without_its_certificate_nobody_is_let_in(door: Door) -> None:
    stranger = replace(door.endpoint, certificate="", key="")
    with Client(stranger) as client, pytest.raises(BrokenAnswer):
        client.list("Pod")


def test_a_server_that_nobody_vouches_for_is_not_spoken_to(door: Door) -> None:
    doubted = replace(door.endpoint, authority="")
    with Client(doubted) as client, pytest.raises(ControllerUnreachable, match="verify failed"):
        client.list("Pod")
    misnamed = replace(door.endpoint, server_name="elsewhere")
    with Client(misnamed) as client, pytest.raises(ControllerUnreachable, match="elsewhere"):
        client.list("Pod")
    with Client(replace(misnamed, server_name="localhost")) as client:
        assert client.list("Pod")
    with Client(replace(misnamed, is_verified=False)) as client:
        assert client.list("Pod")


def test_nobody_is_there(door: Door) -> None:
    nowhere = replace(door.endpoint, url="https://127.0.0.1:1")
    with Client(nowhere) as client, pytest.raises(ControllerUnreachable, match=r"127\.0\.0\.1:1: "):
        client.list("Pod")
