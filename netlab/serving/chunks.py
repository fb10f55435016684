"""Answers that come in chunks, some of which will be written only later."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Protocol

from aiohttp import web

from netlab.serving import subprotocols
from netlab.serving.subprotocols import BINARY, BINARY_BASE64, NONE, SocketStream

# How long a refusal may take to come out as a Status instead of an empty answer, in seconds.
_FIRST_WORD = 0.25


async def answer(
    request: web.Request, source: AsyncGenerator[bytes, None], limit: int | None = None
) -> web.StreamResponse:
    """Stream plain text, `limit` bytes at most, until it ends or the client goes."""
    async with contextlib.aclosing(source):
        first = asyncio.ensure_future(anext(source, None))
        try:
            await asyncio.wait({first}, timeout=_FIRST_WORD)
            if first.done():
                first.result()  # an ApiError here becomes the answer
            chunks = _from_first(first, source)
            if subprotocols.is_socket(request):
                return await _answer_in_socket(request, chunks, limit)
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            await response.prepare(request)
            with contextlib.suppress(ConnectionError):
                await _send(response, chunks, limit)
            return response
        finally:
            await _cancelled(first)


async def _answer_in_socket(
    request: web.Request, chunks: AsyncIterator[bytes], limit: int | None
) -> web.StreamResponse:
    """The same in a websocket's messages, of which the first is empty: it says that all is well."""
    protocol = subprotocols.negotiated(request, (BINARY, BINARY_BASE64, NONE))
    socket = await subprotocols.opened(request, protocol)
    stream = SocketStream(socket, protocol)
    with contextlib.suppress(ConnectionError):
        await stream.write(b"")
        sending = asyncio.create_task(_send(stream, chunks, limit))
        going = asyncio.create_task(stream.until_closed())
        try:
            await asyncio.wait({sending, going}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, going):
                await _cancelled(task)
        await socket.close()
    return socket


class _Sink(Protocol):
    async def write(self, data: bytes) -> None: ...


async def _from_first(
    first: asyncio.Future[bytes | None], source: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    chunk = await first
    if chunk is not None:
        yield chunk
        async for more in source:
            yield more


async def _send(response: _Sink, chunks: AsyncIterator[bytes], limit: int | None) -> None:
    """Write the chunks, `limit` bytes of them at most."""
    left = limit
    async for chunk in chunks:
        data = chunk if left is None else chunk[:left]
        await response.write(data)
        if left is not None:
            left -= len(data)
            if left <= 0:
                return


async def _cancelled(task: asyncio.Future[Any]) -> None:
    """Make sure that nobody is inside the generator when it is closed."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # seen: it was raised before, or the client has gone
