"""Guests of the API on real sockets: let in, bounded, sent off, and nobody else held up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from bootstrapped import initial_objects

from netlab.api import guests as room
from netlab.api.access import ACCESS
from netlab.api.accounts import Accounts
from netlab.api.guests import Guests
from netlab.api.identity import Identity
from netlab.api.server import build_app
from netlab.api.tokens import TokenKey
from netlab.client.kubelets import LocalKubelets
from netlab.objects import policy
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = {
    "apiVersion": "netlab/v1",
    "kind": "Lab",
    "metadata": {"name": "test"},
    "spec": {"nodes": 1},
}
REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
PODS = "/api/v1/namespaces/default/pods"


class House:
    """A server with a door of its own."""

    def __init__(
        self, identity: Identity, guests: Guests, port: int, token: Callable[[], str]
    ) -> None:
        self.identity = identity
        self.token = token
        self.guests = guests
        self.port = port

    def context(self, who: str = "") -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.identity.authority))
        if who:
            context.load_cert_chain(self.identity.certificate(who), self.identity.key(who))
        return context

    async def enter(
        self, who: str = "", name: str = "kubernetes"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.context(who), server_hostname=name
        )

    async def ask(self, path: str, who: str = "", name: str = "kubernetes") -> int:
        reader, writer = await self.enter(who, name)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readline()
        await reader.read()
        writer.close()
        return int(head.split()[1])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    lab = lab_from_object(LAB)
    registry = Registry(Store(None), lab)
    for obj in (*initial_objects(lab), *policy.objects()):
        registry.create(obj)
    identity = Identity(tmp_path / "tls")
    await asyncio.to_thread(identity.ensure_server, ["kubernetes", "10.96.0.1"])
    accounts = Accounts(registry, TokenKey(tmp_path / "tls" / "sa.key"), "x", lambda: 0.0)
    app = build_app(registry, LocalKubelets(), accounts=accounts)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    guests = Guests(runner.server, identity.server_context(strangers=True))
    app[ACCESS].guests = guests
    door = socket.create_server(("127.0.0.1", 0))
    door.setblocking(False)
    guests.listen("node", door)

    def token() -> str:
        metadata = {"name": "builder", "namespace": "default"}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        registry.create(account)
        issued = accounts.issue("default", "builder", {"spec": {}})
        return str(issued["status"]["token"])

    yield House(identity, guests, door.getsockname()[1], token)
    await guests.stop()
    await runner.cleanup()


async def test_strangers_and_the_administrator_come_through_the_same_door(house: House) -> None:
    assert await house.ask("/version") == 200
    assert await house.ask(PODS) == 403
    assert await house.ask(PODS, "client") == 200
    assert await house.ask("/healthz", name="10.96.0.1") == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        await house.ask("/healthz", name="elsewhere")


async def test_a_certificate_of_others_opens_nothing(house: House, tmp_path: Path) -> None:
    other = Identity(tmp_path / "other")
    await asyncio.to_thread(other.ensure)
    context = house.context()
    context.load_cert_chain(other.certificate("client"), other.key("client"))
    with pytest.raises((OSError, AssertionError, IndexError)):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", house.port, ssl=context, server_hostname="kubernetes"
        )
        with contextlib.closing(writer):
            writer.write(f"GET {PODS} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert (await reader.readline()).split()[1] == b"200"


async def test_strangers_at_one_address_make_room_for_each_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them may be greedy, and holds nobody else up: the one that was idle longest goes."""
    monkeypatch.setattr(room, "MOST_EACH", 5)
    async with contextlib.AsyncExitStack() as stack:
        greedy = [await house.enter() for _ in range(5)]
        for _, writer in greedy:
            stack.callback(writer.transport.abort)
        served, asking = greedy[0]
        asking.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await served.readline()).split()[1] == b"200"
        for _ in range(3):
            assert await house.ask("/healthz") == 200
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                assert await greedy[1][0].read() == b""
        assert not asking.transport.is_closing()


def abort(writer: asyncio.StreamWriter) -> None:
    """Holds it until then: since Python 3.12 one that nobody holds is closed."""
    writer.transport.abort()


async def test_one_account_has_no_more_connections_than_its_share(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And others go on meanwhile, from the same address: strangers, and the administrator."""
    monkeypatch.setattr(room, "MOST_EACH", 3)
    token = house.token()
    async with contextlib.AsyncExitStack() as stack:
        codes = []
        for _ in range(4):
            reader, writer = await house.enter()
            stack.callback(abort, writer)
            head = f"GET /version HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}"
            writer.write(f"{head}\r\n\r\n".encode())
            codes.append((await reader.readline()).split()[1])
        assert codes == [b"200", b"200", b"200", b"429"]
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                await reader.read()  # and is sent away
        assert await house.ask("/healthz") == 200
        for _ in range(5):
            assert await house.ask(PODS, "client") == 200


async def test_who_stands_in_the_door_is_in_nobody_s_way(house: House) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(50):  # no handshake
            stack.enter_context(socket.create_connection(("127.0.0.1", house.port)))
        assert await house.ask("/healthz") == 200


async def test_who_asks_for_nothing_is_sent_off(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "IDLE", 0.5)
    house.guests._looking.cancel()
    house.guests._looking = asyncio.create_task(house.guests._send_off())
    silent, _ = await house.enter()
    half, writer = await house.enter()
    writer.write(b"GET /healthz HTTP/1.1\r\nHo")
    served, asking = await house.enter("client")
    asking.write(f"GET {PODS}?watch=1 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert (await served.readline()).split()[1] == b"200"
    async with asyncio.timeout(20):
        assert await silent.read() == b""
        assert await half.read() == b""
    assert not asking.transport.is_closing()
    reading = asyncio.create_task(served.read(1 << 20))
    done, _ = await asyncio.wait({reading}, timeout=1.5)
    assert not done or reading.result() != b""  # a watch goes on, however long nothing happens
    reading.cancel()
    asking.transport.abort()


async def test_who_asks_too_much_waits(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = asyncio.get_running_loop().time
    monkeypatch.setattr(house.guests, "_each", room.Pace(10, clock))
    reader, writer = await house.enter()
    began = clock()
    for _ in range(25):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"200"
        while (await reader.readline()).strip():
            pass
        await reader.readexactly(2)
    assert clock() - began > 1.0  # 11 at once, and 14 at ten a second
    writer.close()


async def post(house: House, size: int, path: str = REVIEWS) -> int:
    reader, writer = await house.enter("client")
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}"
    writer.write(f"{head}\r\n\r\n".encode() + b"{}".ljust(size))
    code = int((await reader.readline()).split()[1])
    writer.close()
    return code


async def test_large_bodies_are_kept_one_at_a_time_of_each(house: House) -> None:
    _, writer = await house.enter("client")
    writer.write(f"POST {PODS} HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n".encode())
    await asyncio.sleep(0.2)  # that is all of it for now
    other = asyncio.create_task(post(house, 200_000, PODS))
    done, _ = await asyncio.wait({other}, timeout=0.5)
    assert not done
    assert await post(house, 1000) == 201  # small ones go on
    writer.close()
    async with asyncio.timeout(20):
        assert await other == 422


async def test_bodies_cost_time(house: House) -> None:
    clock = asyncio.get_running_loop().time
    assert await post(house, 600_000, PODS) == 422
    began = clock()
    assert await house.ask("/healthz") == 200
    assert clock() - began > 1.0  # 150 turns, at 50 a second and 50 of them at once


async def test_a_review_is_short(house: House) -> None:
    assert await post(house, 32 * 1024) == 201
    assert await post(house, 32 * 1024 + 1) == 413


async def test_a_door_that_is_made_anew_takes_the_place_of_the_old_one(house: House) -> None:
    door = socket.create_server(("127.0.0.1", 0))
    door.setblocking(False)
    house.guests.listen("node", door)
    with pytest.raises(OSError):
        await house.ask("/healthz")
    house.port = door.getsockname()[1]
    assert await house.ask("/healthz") == 200
