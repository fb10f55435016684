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
