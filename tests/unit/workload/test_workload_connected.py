"""Connections of several pods in one loop, in turns."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator

import pytest

from netlab.workload import turns
from netlab.workload.turns import Connected, Listening, Share, Turns


class Echo(asyncio.Protocol):
    """Says each thing again, and notes whose it was."""

    def __init__(self, whose: str, seen: list[str]) -> None:
        self.whose, self.seen = whose, seen
        self.received = 0
        self.ended: list[Exception | None] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, Connected)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.seen.append(self.whose)
        self.received += len(data)
        self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.append(exc)


class Pod:
    """One that listens on 127.0.0.1."""

    def __init__(self, name: str, shared: Turns, seen: list[str]) -> None:
        self.name, self.seen = name, seen
        self.made: list[Echo] = []
        opened = socket.create_server(("127.0.0.1", 0), backlog=256)
        opened.setblocking(False)
        self.where = opened.getsockname()
        self.listening = Listening(opened, self._echo, shared, Share())

    def _echo(self) -> Echo:
        self.made.append(Echo(self.name, self.seen))
        return self.made[-1]

    def client(self) -> socket.socket:
        return socket.create_connection(self.where)


@contextlib.asynccontextmanager
async def pods(*names: str) -> AsyncIterator[tuple[list[Pod], list[str]]]:
    shared, seen = Turns(), list[str]()
    made = [Pod(name, shared, seen) for name in names]
    yield made, seen
    for pod in made:
        pod.listening.close()
        for each in pod.made:
            each.transport.abort()


async def passes(seen: list[str], count: int) -> None:
    while len(seen) < count:
        await asyncio.sleep(0)


async def test_a_pod_that_is_busy_lets_another_one_have_its_turn() -> None:
    async with pods("busy", "quiet") as ((busy, quiet), seen):
        crowd = [busy.client() for _ in range(64)]
        for client in crowd:
            client.sendall(b"x")
        one = quiet.client()
        one.sendall(b"x")
        await passes(seen, 65)
        assert seen.count("quiet") == 1
        assert seen.index("quiet") < 16, "behind a few of the busy one's, not behind all"
        for client in crowd:
            client.sendall(b"y")
        one.sendall(b"y")
        await passes(seen, 130)
        assert seen[65:].index("quiet") < 16
        for client in (*crowd, one):
            client.close()


async def test_what_was_there_at_once_is_read_to_its_end() -> None:
    """More than one step reads, whose rest no event tells of any more."""
    async with pods("one") as ((pod,), seen):
        with pod.client() as client:
            client.setblocking(False)
            loop, sent = asyncio.get_running_loop(), b"z" * (8 * turns._CHUNK + 1)
            sending = asyncio.create_task(loop.sock_sendall(client, sent))
            received = 0
            while received < len(sent):
                received += len(await loop.sock_recv(client, 1 << 20))
            await sending
        assert pod.made[0].received == len(sent)
        assert seen


async def test_who_says_no_more_is_answered_to_the_last() -> None:
    async with pods("one") as ((pod,), _):
        with pod.client() as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(client, 16) == b"hello"
            assert await loop.sock_recv(client, 16) == b""
        assert pod.made[0].ended == [None]


async def test_a_reset_ends_the_connection_and_says_so() -> None:
    async with pods("one") as ((pod,), _):
        client = pod.client()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        while not pod.made:
            await asyncio.sleep(0)
        client.close()
        while not pod.made[0].ended:
            await asyncio.sleep(0)
        (error,) = pod.made[0].ended
        assert isinstance(error, ConnectionResetError)


async def test_what_one_connection_fails_at_is_no_other_s() -> None:
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: told.append(str(context["exception"]))
    )
    async with pods("one") as ((pod,), seen):
        with pod.client() as first, pod.client() as second:
            while len(pod.made) < 2:
                await asyncio.sleep(0)

            def fail(_: bytes) -> None:
                raise ValueError("nobody foresaw it")

            pod.made[0].data_received = fail  # type: ignore[method-assign]
            first.sendall(b"x")
            second.sendall(b"x")
            await passes(seen, 1)
            while not told:
                await asyncio.sleep(0)
            assert told == ["nobody foresaw it"]
            assert pod.made[0].ended == [None]
            assert not pod.made[1].ended


async def test_where_no_more_can_be_opened_who_waits_is_served_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "_PAUSE_SECONDS", 0.01)
    tried: list[int] = []

    class Full(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            tried.append(1)
            if len(tried) == 1:
                raise OSError(errno.EMFILE, "too many")
            return super().accept()

    opened = Full(socket.AF_INET, socket.SOCK_STREAM)
    opened.bind(("127.0.0.1", 0))
    opened.listen()
    opened.setblocking(False)
    seen: list[str] = []
    made: list[Echo] = []

    def echo() -> Echo:
        made.append(Echo("it", seen))
        return made[-1]

    listening = Listening(opened, echo, Turns(), Share())
    with socket.create_connection(opened.getsockname()) as client:
        client.sendall(b"x")
        await passes(seen, 1)
    listening.close()
    listening.close()
    made[0].transport.abort()


async def test_a_port_that_is_closed_is_heard_no_more_though_somebody_else_has_it() -> None:
    async with pods("one") as ((pod,), seen):
        kept = socket.fromfd(pod.listening._socket.fileno(), socket.AF_INET, socket.SOCK_STREAM)  # type: ignore[union-attr]
        pod.listening.close()
        with pod.client() as client:
            client.sendall(b"x")
            for _ in range(20):
                await asyncio.sleep(0)
            assert not seen
            accepted, _ = kept.accept()
            accepted.close()
        kept.close()
