"""DNS over TCP: messages with their length before them (RFC 1035, 4.2.2), as server and client."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import cast

from netlab.dns.gate import Gate
from netlab.tasks import cancel

_IDLE_SECONDS = 10.0
_CONNECTIONS = 512
"""So many are held; for one more, who has most of them loses his oldest."""

_AT_ONCE = 16
"""Queries; dnsmasq makes a process for each connection, at most 20."""

Answer = Callable[[bytes], Awaitable[bytes | None]]
"""The answer to a query; None ends the connection."""


class TcpDoor:
    """Answers queries that come over the connections of a listening socket, in turns."""

    def __init__(self, listening: socket.socket, answer: Answer) -> None:
        self._listening = listening
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], str] = {}
        """Who is at the other end of each connection, the oldest first."""
        self._gate = Gate(_AT_ONCE)

    async def open(self) -> None:
        """Answer from now on."""
        self._server = await asyncio.start_server(self._converse, sock=self._listening)

    async def close(self) -> None:
        """Close the socket and drop the queries under way."""
        if self._server is not None:
            self._server.close()
        await cancel(*self._tasks)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: queries until the client has no more."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        address, *_ = writer.get_extra_info("peername") or ("",)
        self._make_room()
        self._tasks[task] = address
        try:
            while query := await _next(reader):
                async with self._gate.passed(address):
                    reply = await self._answer(query)
                if reply is None:
                    break
                write(writer, reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            pass  # the client went away, or stays silent
        finally:
            self._tasks.pop(task, None)
            writer.close()

    def _make_room(self) -> None:
        if len(self._tasks) < _CONNECTIONS:
            return
        ((most, _),) = Counter(self._tasks.values()).most_common(1)
        oldest = next(task for task, address in self._tasks.items() if address == most)
        del self._tasks[oldest]
        oldest.cancel()


async def _next(reader: asyncio.StreamReader) -> bytes:
    """The next query of a connection; `TimeoutError` for one that stays silent."""
    async with asyncio.timeout(_IDLE_SECONDS):
        return await read(reader)


async def exchange(query: bytes, host: str, port: int) -> bytes:
    """What a server answers; `OSError` or `IncompleteReadError` if it cannot be asked."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        write(writer, query)
        return await read(reader)
    finally:
        writer.close()


async def read(reader: asyncio.StreamReader) -> bytes:
    """The next message."""
    length = int.from_bytes(await reader.readexactly(2), "big")
    return await reader.readexactly(length)


def write(writer: asyncio.StreamWriter, message: bytes) -> None:
    """Send a message."""
    writer.write(len(message).to_bytes(2, "big") + message)
