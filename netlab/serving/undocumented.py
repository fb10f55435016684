"""What the server needs of aiohttp and asyncio that their documentation does not name.

All of it is here. Each is held by a test that fails when a new version has it no more.
"""

from __future__ import annotations

from asyncio.sslproto import SSLProtocol

from aiohttp import web
from aiohttp.http import HttpProcessingError

_TLS_READ_BUFFER = 32 * 1024
"""Bytes; a TLS record has 16 KiB at most, and asyncio's 256 KiB are too much for every watcher."""


def is_no_http(error: BaseException | None) -> bool:
    """Whether aiohttp raised it because of what a client sent, and has answered that."""
    return isinstance(error, HttpProcessingError)


def bound_tls_buffers() -> None:
    """Have this process's TLS connections hold less than asyncio gives each; no option does."""
    SSLProtocol.max_size = _TLS_READ_BUFFER


async def go_on(request: web.Request) -> None:
    """Have the client send its body: 100 Continue, which is no part of the answer's size."""
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0
