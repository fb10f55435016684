"""A connection that was upgraded: bytes to and from the client, with both ends held back."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from aiohttp import WSMsgType, web

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


class RawPipe:
    """The connection itself, after `101 Switching Protocols`.

    aiohttp hands what arrives to a parser (`feed_data`, `feed_eof`), as it does for websockets.
    """

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
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
        pipe = RawPipe(request, response)
        request.protocol.set_parser(pipe)  # type: ignore[arg-type]  # any parser will do
        return pipe

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Called by aiohttp with what arrived."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size > _HIGH and not self._paused and self._request.transport is not None:
            self._request.transport.pause_reading()
            self._paused = True
        self._arrived.set()
        return False, b""

    def feed_eof(self) -> None:
        """Called by aiohttp when the connection is lost."""
        self._ended = True
        self._arrived.set()

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
        if self._paused and self._size < _LOW and self._request.transport is not None:
            self._request.transport.resume_reading()
            self._paused = False
        return data

    async def close(self) -> None:
        """As `Pipe` says."""
        if self._request.transport is not None:
            self._request.transport.close()


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
