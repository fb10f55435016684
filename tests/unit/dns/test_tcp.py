"""DNS over TCP, between two ends in one process."""

from __future__ import annotations

import asyncio
import socket

import pytest

from netlab.dns import tcp


async def _never(_query: bytes) -> bytes | None:
    await asyncio.Event().wait()
    return None


async def test_closing_ends_a_connection_whose_query_comes_at_that_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        door = tcp.TcpDoor(listening, _never)
        await door.open()
        closing: list[asyncio.Task[None]] = []
        came = asyncio.Event()

        async def read(_reader: asyncio.StreamReader) -> bytes:
            closing.append(asyncio.create_task(door.close()))
            came.set()
            return b"query"

        monkeypatch.setattr(tcp, "read", read)
        _, writer = await asyncio.open_connection(*listening.getsockname())
        await came.wait()
        done, _ = await asyncio.wait(closing, timeout=5)
        writer.close()
        assert done == set(closing)


async def test_who_holds_most_connections_loses_his_oldest_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(query: bytes) -> bytes:
        return query[::-1]

    monkeypatch.setattr(tcp, "_CONNECTIONS", 4)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        door = tcp.TcpDoor(listening, answer)
        await door.open()
        host, port = listening.getsockname()

        async def connect(source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            found = await asyncio.open_connection(host, port, local_addr=(source, 0))
            tcp.write(found[1], b"abc")
            assert await tcp.read(found[0]) == b"cba"
            return found

        busy = [await connect("127.0.0.2") for _ in range(3)]
        other = [await connect("127.0.0.3") for _ in range(2)]
        assert await busy[0][0].read() == b"", "his oldest is closed"
        for reader, writer in (*busy[1:], *other):
            tcp.write(writer, b"again")
            assert await tcp.read(reader) == b"niaga"
        for _, writer in (*busy, *other):
            writer.close()
        await door.close()


async def test_who_asks_much_over_tcp_does_not_hold_all_places() -> None:
    silent = asyncio.Event()

    async def answer(query: bytes) -> bytes:
        if query == b"slow":
            await silent.wait()
        return query

    with socket.create_server(("127.0.0.1", 0)) as listening:
        door = tcp.TcpDoor(listening, answer)
        await door.open()
        host, port = listening.getsockname()
        busy = [
            await asyncio.open_connection(host, port, local_addr=("127.0.0.2", 0))
            for _ in range(40)
        ]
        for _, writer in busy:
            tcp.write(writer, b"slow")
        reader, writer = await asyncio.open_connection(host, port, local_addr=("127.0.0.3", 0))
        tcp.write(writer, b"fast")
        async with asyncio.timeout(5):
            assert await tcp.read(reader) == b"fast"
        silent.set()
        for _, each in (*busy, (reader, writer)):
            each.close()
        await door.close()
