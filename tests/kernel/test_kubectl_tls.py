"""The door for kubectl: TLS on 127.0.0.1, shut to everybody without the lab's certificate."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import stat
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml
from fake_streams import FakeStreams

from netlab.api.identity import Identity
from netlab.api.secure import SecureListener
from netlab.api.server import build_app
from netlab.kernel import netns, paths
from netlab.kernel.run import run
from netlab.objects.lab import lab_from_object
from netlab.serving.http import serve_unix
from netlab.store.registry import Registry
from netlab.store.store import Store

pytestmark = pytest.mark.root

LAB = lab_from_object({"metadata": {"name": "door"}, "spec": {"nodes": 1}})


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "ns"
    descriptor = netns.create(path)
    run(["ip", "link", "set", "lo", "up"], netns=descriptor)
    yield descriptor
    os.close(descriptor)
    netns.remove(path)


@contextlib.asynccontextmanager
async def listening(namespace: int, directory: Path) -> AsyncIterator[int]:
    """The port of a listener, in a namespace where nothing else listens; one is there meanwhile."""
    with netns.entered(namespace):
        app = build_app(Registry(Store(None), LAB), FakeStreams())
        runner = await serve_unix(app, directory / "api.sock")
        listener = SecureListener(runner, "door", directory)
        await listener.start()
        try:
            yield int(paths.api_port(directory).read_text())
        finally:
            await listener.close()
            await runner.cleanup()


def client_context(directory: Path, who: str = "client") -> ssl.SSLContext:
    identity = Identity(paths.tls(directory))
    context = ssl.create_default_context(cafile=str(identity.authority))
    if who:
        context.load_cert_chain(identity.certificate(who), identity.key(who))
    return context


async def asked(port: int, context: ssl.SSLContext | None, address: str = "127.0.0.1") -> bytes:
    """The first line of the answer to GET /version; b"" when the door stays shut."""
    try:
        reader, writer = await asyncio.open_connection(address, port, ssl=context)
        writer.write(b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        line = await reader.readline()
        writer.close()
    except (ssl.SSLError, ConnectionError):
        return b""
    return line.strip()


async def test_the_labs_certificate_opens_and_nothing_else_does(
    namespace: int, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Identity(paths.tls(elsewhere)).ensure()
    async with listening(namespace, tmp_path) as port:
        assert await asked(port, client_context(tmp_path)) == b"HTTP/1.1 200 OK"
        assert await asked(port, client_context(tmp_path, "")) == b""
        assert await asked(port, None) == b""
        other_labs = client_context(tmp_path, "")
        foreign = Identity(paths.tls(elsewhere))
        other_labs.load_cert_chain(foreign.certificate("client"), foreign.key("client"))
        assert await asked(port, other_labs) == b""
        # The server's own certificate is signed by the same CA, and is still no client's.
        assert await asked(port, client_context(tmp_path, "server")) == b""


async def test_a_connection_holds_little(namespace: int, tmp_path: Path) -> None:
    """asyncio would give 256 KiB to each end of each."""
    async with listening(namespace, tmp_path) as port:
        context = client_context(tmp_path)
        tracemalloc.start()
        try:
            opened = [
                await asyncio.open_connection("127.0.0.1", port, ssl=context) for _ in range(10)
            ]
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        for _, writer in opened:
            writer.close()
            await writer.wait_closed()
        assert held < 20 * 128 * 1024


async def test_it_listens_on_the_loopback_address_alone(namespace: int, tmp_path: Path) -> None:
    async with listening(namespace, tmp_path) as port:
        lines = run(["ss", "-Hltn"], netns=namespace).stdout.splitlines()
        assert [line.split()[3] for line in lines] == [f"127.0.0.1:{port}"]


async def test_a_kubeconfig_stays_good_when_the_controller_starts_again(
    namespace: int, tmp_path: Path
) -> None:
    configs = []
    for _ in range(2):
        async with listening(namespace, tmp_path) as port:
            assert await asked(port, client_context(tmp_path)) == b"HTTP/1.1 200 OK"
        configs.append(paths.kubeconfig(tmp_path).read_text())
    assert configs[0] == configs[1]


async def test_a_port_that_somebody_took_is_replaced(namespace: int, tmp_path: Path) -> None:
    async with listening(namespace, tmp_path) as first:
        pass
    with netns.entered(namespace), socket.create_server(("127.0.0.1", first)):
        async with listening(namespace, tmp_path) as port:
            config = yaml.safe_load(paths.kubeconfig(tmp_path).read_text())
            assert config["clusters"][0]["cluster"]["server"] == f"https://127.0.0.1:{port}"
    assert port != first


async def test_keys_are_for_their_owner_alone(
    namespace: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_UID", "12345")
    async with listening(namespace, tmp_path):
        pass
    config = paths.kubeconfig(tmp_path).stat()
    assert (config.st_uid, stat.S_IMODE(config.st_mode)) == (12345, 0o600)
    tls = paths.tls(tmp_path)
    assert stat.S_IMODE(tls.stat().st_mode) == 0o700
    assert {stat.S_IMODE(key.stat().st_mode) for key in tls.glob("*.key")} == {0o600}
    assert (tls / "ca.key").stat().st_mode & 0o077 == 0


async def test_what_dawdles_at_the_door_is_sent_away(
    namespace: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netlab.api.secure._HANDSHAKE_SECONDS", 0.2)
    async with listening(namespace, tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
