"""An HTTP server on a unix socket: failures as Statuses, answers that have no end of their own."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any

from aiohttp import web
from aiohttp.http import HttpVersion11

from netlab.errors import ApiError, BadRequest, NetlabError
from netlab.serving import undocumented
from netlab.serving.answers import plain_answer

log = logging.getLogger(__name__)


class _ClientsMistakes(logging.Filter):
    """aiohttp logs a traceback of whatever is no HTTP, though it has been answered with 400."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for what the client got wrong."""
        error = record.exc_info[1] if record.exc_info else None
        return not undocumented.is_no_http(error)


aiohttp_log = logging.getLogger(f"{__name__}.aiohttp")
aiohttp_log.addFilter(_ClientsMistakes())

STREAMING: web.AppKey[set[asyncio.Task[Any]]] = web.AppKey("streaming", set)
"""The tasks of answers that have no end of their own: the server ends them when it stops."""

_UNREAD = 64 * 1024
"""Bytes of a stream that wait for a client to read, until the stream waits as well."""

_LONGEST_LINE = 1 << 20
"""Bytes of a request's first line, as of Go's whole header: a command for exec is in it."""

_STARTED = web.RequestKey("started", web.StreamResponse)


Refuse = Callable[[web.Request, ApiError], web.StreamResponse]
"""How a failure is answered."""

_REFUSE: web.AppKey[Refuse] = web.AppKey("refuse")


def in_json(_: web.Request, error: ApiError) -> web.Response:
    """A failure as a Status, for whoever has one way of writing."""
    return plain_answer(error.status(), error.code)


def application(largest_body: int = 0, refuse: Refuse = in_json) -> web.Application:
    """An application without routes, whose failures are answered as `refuse` says.

    To be run by `serve_unix`, or by a runner with `handler_cancellation=True`: without it, clients
    that vanish are noticed late.
    """
    app = web.Application(client_max_size=largest_body, middlewares=[_errors_as_status])
    app[STREAMING] = set()
    app[_REFUSE] = refuse
    app.on_response_prepare.append(_note_start)
    app.on_shutdown.append(_end_streams)
    return app


async def expected(request: web.Request) -> None:
    """Go on for `Expect: 100-continue`; refuse, as Go's server does, whatever else is expected.

    For all routes: aiohttp's own repeats the client's bytes and fails at some.
    """
    if request.version < HttpVersion11:
        return
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="")
    await undocumented.go_on(request)


async def serve_unix(
    app: web.Application, path: Path, *, owner: int | None = None
) -> web.AppRunner:
    """Listen on a unix socket that only its `owner` (else ours) may use; `await runner.cleanup()`
    ends it.

    A socket file that is there already is replaced: the caller knows that it is nobody's.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=aiohttp_log,
        auto_decompress=False,  # kube-apiserver does not either: Content-Encoding means nothing
        handler_cancellation=True,
        shutdown_timeout=0.5,
        keepalive_timeout=3600,
        max_line_size=_LONGEST_LINE,
    )
    await runner.setup()
    await web.SockSite(runner, _listening(path, owner), backlog=512).start()
    return runner


def _listening(path: Path, owner: int | None) -> socket:
    """Bound and its mode set before it listens: nobody connects in between."""
    if path.exists() and stat.S_ISSOCK(path.lstat().st_mode):
        path.unlink()
    sock = socket(AF_UNIX, SOCK_STREAM)
    sock.bind(os.fspath(path))
    path.chmod(0o600)
    if owner is not None and os.geteuid() == 0:
        os.chown(path, owner, -1)
    return sock


async def until_over(
    request: web.Request, answer: Awaitable[web.StreamResponse]
) -> web.StreamResponse:
    """Await an answer that goes on until its client, or the server, ends it."""
    task, streaming = asyncio.current_task(), request.app[STREAMING]
    assert task is not None
    if request.transport is not None:  # TLS would keep half a megabyte for who does not read
        request.transport.set_write_buffer_limits(_UNREAD)
    streaming.add(task)
    try:
        return await answer
    finally:
        streaming.discard(task)


async def _end_streams(app: web.Application) -> None:
    for task in app[STREAMING]:
        task.cancel()


@web.middleware
async def _errors_as_status(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every failure is answered with a Status object; our own mistakes are logged as well."""
    try:
        return await handler(request)
    except Exception as error:
        has_started = _STARTED in request
        if has_started and isinstance(error, ConnectionError):
            return _broken_off(request)  # by the client
        refusal = failure(request, error)
        if has_started:
            return _broken_off(request)
        return request.app[_REFUSE](request, refusal)


def failure(request: web.Request, error: Exception) -> ApiError:
    """What a client is told of an exception."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, web.HTTPException):
        return ApiError(error.reason, code=error.status, reason="")
    if isinstance(error, RecursionError):
        return BadRequest("the body of the request is nested too deeply")
    log.error("%s %s", request.method, request.path, exc_info=error)
    what = error.message if isinstance(error, NetlabError) else repr(error)
    return ApiError(f"Internal error occurred: {what}")


def _broken_off(request: web.Request) -> web.StreamResponse:
    """An answer that failed half-way: closing the connection is all that can still be said."""
    if request.transport is not None:
        request.transport.close()
    return request[_STARTED]


async def _note_start(request: web.Request, response: web.StreamResponse) -> None:
    request[_STARTED] = response
