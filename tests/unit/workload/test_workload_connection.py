"""Connections to built-in servers over a socket pair: keeping alive, waiting, giving up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from netlab.workload import connection
from netlab.workload.access_log import AccessLog
from netlab.workload.connection import (
    ConnectionDeadlines,
    Connections,
    HttpConnection,
    TcpConnection,
    UdpService,
    plain_peer,
)
from netlab.workload.site import Site
from netlab.workload.turns import Connected, Share, Turns

SITE = Site(
    {
        "routes": [
            {"path": "/big", "body": "x" * 1_000_000},
            {"path": "/*", "body": "{{method}} {{path}} {{body}}\n"},
        ]
    },
    {},
)
Factory = Callable[[], asyncio.Protocol]


@pytest.fixture(params=["asyncio's transports", "those that take turns"], autouse=True)
def transports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports with TLS have the one, those without it the other."""
    if request.param == "those that take turns":
        monkeypatch.setitem(globals(), "accepted", accepted_in_turn)


async def accepted(factory: Factory, theirs: socket.socket) -> None:
    await asyncio.get_running_loop().connect_accepted_socket(factory, theirs)


async def accepted_in_turn(factory: Factory, theirs: socket.socket) -> None:
    Connected(theirs, theirs.getpeername(), Turns(), Share()).begin(factory())


@contextlib.asynccontextmanager
async def connected(
    factory: Factory | None = None,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, AccessLog]]:
    """A client's one connection, and the server's log."""
    log, connections, deadlines = AccessLog(), Connections(), ConnectionDeadlines()

    def http() -> asyncio.Protocol:
        return HttpConnection(SITE, log, connections, deadlines)

    ours, theirs = socket.socketpair()
    await accepted(factory or http, theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    yield reader, writer, log
    writer.close()
    connections.abort()
    await asyncio.sleep(0)


async def answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(head.partition("Content-Length: ")[2].split("\r\n")[0])
    return int(head.split(" ")[1]), (await reader.readexactly(length)).decode()


async def test_requests_that_arrive_together_are_answered_in_order() -> None:
    async with connected() as (reader, writer, log):
        post = b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok"
        writer.write(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n" + post + b"GET /c HTTP/1.0\r\n\r\n")
        answers = [await answer(reader) for _ in range(3)]
        assert answers == [(200, "GET /a \n"), (200, "POST /b ok\n"), (200, "GET /c \n")]
        assert await reader.read() == b""  # HTTP/1.0 does not keep alive
    assert len(log.lines()) == 3


async def test_nothing_is_answered_after_a_request_that_closes() -> None:
    async with connected() as (reader, writer, log):
        closing = b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        writer.write(closing + b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await reader.read()).count(b"HTTP/1.1 200 OK") == 1
    assert len(log.lines()) == 1


async def test_garbage_after_a_request_is_refused_and_the_connection_closed() -> None:
    async with connected() as (reader, writer, log):
        writer.write(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n\x16\x03\x01\r\n\r\n")
        assert await answer(reader) == (200, "GET /a \n")
        assert await answer(reader) == (400, "400 Bad Request\n")
        assert await reader.read() == b""
    assert [line.split('"')[2] for _, line in log.lines()] == [" 200 8 ", " 400 0 "]


async def test_a_client_may_wait_for_continue() -> None:
    async with connected() as (reader, writer, _):
        expect = b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        writer.write(b"POST /a HTTP/1.1\r\nHost: h\r\n" + expect)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert await answer(reader) == (200, "POST /a ok\n")


async def test_who_does_not_read_gets_no_further() -> None:
    async with connected() as (reader, writer, log):
        for _ in range(200):
            writer.write(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
            await asyncio.sleep(0)
        for _ in range(200):
            assert (await answer(reader))[0] == 200
    assert len(log.lines()) == 200


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", b""),
        (b"GET /a HT", b"HTTP/1.1 408 Request Timeout"),
        (b"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nx", b"HTTP/1.1 408 Request"),
    ],
)
async def test_slow_clients_are_given_up(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, expected: bytes
) -> None:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.05)
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", 0.05)
    monkeypatch.setattr(connection, "_SWEEP_SECONDS", 0.02)

    async with connected() as (reader, writer, _):
        writer.write(sent)
        received = await reader.read()
        assert received.startswith(expected)
        assert bool(received) is bool(expected)


async def test_a_trickle_of_bytes_does_not_win_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(connection, "_SWEEP_SECONDS", 0.02)

    async with connected() as (reader, writer, log):
        with contextlib.suppress(ConnectionError):  # a socket pair forgets what it held when closed
            ended = asyncio.create_task(reader.read())
            for byte in b"GET / HTTP/1.1\r\nX: " + b"y" * 200:
                if ended.done():
                    break
                writer.write(bytes((byte,)))
                await asyncio.sleep(0.02)
            await ended
    ((_, line),) = log.lines()
    assert '"" 408 0' in line


async def test_plain_tcp_greets_echoes_and_closes() -> None:
    log, connections = AccessLog(), Connections()

    def plain(**data: Any) -> Factory:
        return lambda: TcpConnection(data, {"hostname": "web-0"}, log, connections)

    async with connected(plain(greeting="{{hostname}}", close=True)) as (reader, _, _):
        assert await reader.read() == b"web-0"
    async with connected(plain(echo=True)) as (reader, writer, _):
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
    assert len(log.lines()) == 2


def test_datagrams_are_answered_by_how_they_begin() -> None:
    service = UdpService(
        {
            "replies": [
                {"prefix": "echo ", "body": "{{rest}}"},
                {"prefix": "who", "body": "{{client.address}}"},
            ]
        },
        {},
        AccessLog(),
    )
    sent: list[tuple[bytes, object]] = []

    class Transport(asyncio.DatagramTransport):
        def sendto(self, data: bytes, addr: object = None) -> None:  # type: ignore[override]
            sent.append((data, addr))

    service.connection_made(Transport({"sockname": ("10.0.0.1", 53)}))
    for data in (b"echo hi there\n", b"who?", b"\xff\x00"):
        service.datagram_received(data, ("10.0.0.2", 7))
    assert sent == [
        (b"hi there", ("10.0.0.2", 7)),
        (b"10.0.0.2:7", ("10.0.0.2", 7)),
        (b"\xff\x00", ("10.0.0.2", 7)),
    ]


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        (("10.0.0.1", 80), ("10.0.0.1", 80)),
        (("::ffff:10.0.0.1", 80, 0, 0), ("10.0.0.1", 80)),
        (("fe80::1%eth0", 80, 0, 2), ("fe80::1", 80)),
        ("", ("", 0)),
    ],
)
def test_addresses_are_shown_plainly(name: object, peer: tuple[str, int]) -> None:
    assert plain_peer(name) == peer
