"""GET /log: a container's output, all of it, the end of it, or as it comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from aiohttp import web

from netlab.api import containers
from netlab.api.call import Call
from netlab.errors import BadRequest
from netlab.view.ages import parse_time

# How long a refusal may take to come out as a Status instead of an empty answer, in seconds.
_FIRST_WORD = 0.25


async def log(call: Call) -> web.StreamResponse:
    """Stream the container's output; with `follow` until it ends or the client goes."""
    limit, source = _limit(call), _open(call)
    async with contextlib.aclosing(source):
        first = asyncio.ensure_future(anext(source, None))
        try:
            await asyncio.wait({first}, timeout=_FIRST_WORD)
            if first.done():
                first.result()  # an ApiError here becomes the answer
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            await response.prepare(call.request)
            with contextlib.suppress(ConnectionError):
                await _send(response, _from_first(first, source), limit)
            return response
        finally:
            await _cancelled(first)


def _open(call: Call) -> AsyncGenerator[bytes, None]:
    pod, container = containers.find(call)
    containers.refuse_waiting(pod, container)
    return call.backend.streams.logs(
        pod,
        container,
        follow=call.flag("follow"),
        tail_lines=call.number("tailLines"),
        since=_since(call),
        timestamps=call.flag("timestamps"),
        previous=call.flag("previous"),
    )


def _limit(call: Call) -> int | None:
    limit = call.number("limitBytes")
    if limit == 0:
        raise BadRequest('PodLogOptions "" is invalid: limitBytes: Invalid value: 0: must be > 0')
    return limit


def _since(call: Call) -> float | None:
    seconds, moment = call.number("sinceSeconds"), call.query("sinceTime")
    if seconds is not None and moment:
        raise BadRequest("at most one of `sinceTime` or `sinceSeconds` may be specified")
    if seconds is not None:
        return call.backend.now() - seconds
    if not moment:
        return None
    parsed = parse_time(moment)
    if parsed is None:
        raise BadRequest(f'parsing time "{moment}": it is no RFC 3339 time')
    return parsed


async def _from_first(
    first: asyncio.Future[bytes | None], source: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    chunk = await first
    if chunk is not None:
        yield chunk
        async for more in source:
            yield more


async def _send(
    response: web.StreamResponse, chunks: AsyncIterator[bytes], limit: int | None
) -> None:
    """Write the chunks, `limit` bytes of them at most."""
    left = limit
    async for chunk in chunks:
        data = chunk if left is None else chunk[:left]
        await response.write(data)
        if left is not None:
            left -= len(data)
            if left <= 0:
                return


async def _cancelled(task: asyncio.Future[bytes | None]) -> None:
    """Make sure that nobody is inside the generator when it is closed."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # seen: it was raised before, or the client has gone
