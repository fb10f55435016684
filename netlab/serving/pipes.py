"""A connection that was upgraded: bytes to and from the client, with both ends held back."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from aiohttp import web
from aiohttp.http import WSMsgType

_HIGH, _LOW = 256 * 1024, 64 * 1024
_LARGEST_MESSAGE = 4 * 1024 * 1024


class Pipe(Protocol):
    """Bytes in both directions; what frames them is above."""

    @property
    def response(self) -> web.StreamResponse:
        """What the verb returns when all is over."""

    async def send(self, data: bytes) -> None:
        """Pass bytes on; waits while the client does not read. `ConnectionError` once it left."""

    async def receive(self) -> bytes:
        """The next bytes; b"" when the client has gone."""

    async def close(self) -> None:
        """End the connection."""


class RawPipe(asyncio.Protocol):
    """The connection itself, after `101 Switching Protocols`.

    asyncio tells it what arrives, instead of aiohttp, which goes on to be told of the connection's
    end and of a client that does not read: what it writes is held back by that.
    """

    def __init__(
        self, http: asyncio.Protocol, transport: asyncio.Transport, response: web.StreamResponse
    ) -> None:
        self._http = http
        self._transport = transport
        self.response = response
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._ended = False
        self._arrived = asyncio.Event()

    @staticmethod
    async def open(request: web.Request, headers: dict[str, str]) -> RawPipe:
        """Answer 101 with these headers and take the connection over."""
        response = web.StreamResponse(status=101, headers={"Connection": "Upgrade", **headers})
        response.force_close()
        await response.prepare(request)
        if request.transport is None:
            raise ConnectionResetError("the client went before its connection was taken over")
        pipe = RawPipe(request.protocol, request.transport, response)
        request.transport.set_protocol(pipe)
        return pipe

    def data_received(self, data: bytes) -> None:
        """As asyncio says."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size > _HIGH and not self._paused:
            self._transport.pause_reading()
            self._paused = True
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio says."""
        self._ended = True
        self._arrived.set()
        self._http.connection_lost(exc)

    def pause_writing(self) -> None:
        """As asyncio says."""
        self._http.pause_writing()

    def resume_writing(self) -> None:
        """As asyncio says."""
        self._http.resume_writing()

    async def send(self, data: bytes) -> None:
        """As `Pipe` says."""
        await self.response.write(data)

    async def receive(self) -> bytes:
        """As `Pipe` says."""
        while not self._chunks:
            if self._ended:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        data = self._chunks.popleft()
        self._size -= len(data)
        if self._paused and self._size < _LOW:
            self._transport.resume_reading()
            self._paused = False
        return data

    async def close(self) -> None:
        """As `Pipe` says."""
        self._transport.close()


class SocketPipe:
    """Binary messages of a websocket, one after the other: how SPDY is tunnelled since 1.30."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self.response = socket

    @staticmethod
    async def open(request: web.Request, protocol: str) -> SocketPipe:
        """Accept the websocket."""
        socket = web.WebSocketResponse(protocols=(protocol,), max_msg_size=_LARGEST_MESSAGE)
        await socket.prepare(request)
        return SocketPipe(socket)

    async def send(self, data: bytes) -> None:
        """As `Pipe` says."""
        await self._socket.send_bytes(data)

    async def receive(self) -> bytes:
        """As `Pipe` says."""
        while True:
            message = await self._socket.receive()
            if message.type is not WSMsgType.BINARY:
                return b""
            if message.data:
                return bytes(message.data)

    async def close(self) -> None:
        """As `Pipe` says."""
        await self._socket.close()
