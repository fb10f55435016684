"""Plain pages over HTTP on ports of a namespace, as programs of a cluster have them for probes and
for Prometheus.

The controller answers. Pods are strangers, so few are answered at a time, each once, and soon or
not.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path

from msgspec import Struct

from netlab.agents.loop import Loop
from netlab.kernel import netns
from netlab.retry import Retry

_RETRY = Retry(5.0, 5.0)
_LONGEST = 5.0
_LARGEST = 64 * 1024
_MOST = 32
_BACKLOG = 16


class Answer(Struct):
    """What is said: a status, a text, and of what type that is."""

    status: int
    text: str
    type: str = "text/plain; charset=utf-8"


NOT_FOUND = Answer(404, "404 page not found\n")

Page = Callable[[], Awaitable[Answer]]


class PagePorts:
    """Answers in a namespace, at each of the ports, with the pages that it has by their paths; on
    both families if `dual`, and at `local` ports on the loopback alone."""

    def __init__(
        self,
        name: str,
        namespace: Path,
        pages: Mapping[int, Mapping[str, Page]],
        *,
        dual: bool,
        local: frozenset[int] = frozenset(),
    ) -> None:
        self._netns = namespace
        self._pages = pages
        self._dual = dual
        self._local = local
        self._servers: dict[int, asyncio.Server] = {}
        self._here = 0
        self._loop = Loop(name, self._work, retry=_RETRY)

    @property
    def open(self) -> set[int]:
        """The ports at which it answers."""
        return set(self._servers)

    def start(self) -> None:
        """Open the ports; one that somebody else has is tried again."""
        self._loop.wake()
        self._loop.start()

    async def stop(self) -> None:
        """Answer nobody any more."""
        await self._loop.stop()
        while self._servers:
            _, server = self._servers.popitem()
            server.close()

    async def _work(self, _: bool) -> None:
        for port, pages in self._pages.items():
            if port not in self._servers:
                with netns.entered(self._netns):
                    door = _listening(port, dual=self._dual, local=port in self._local)
                served = partial(self._serve, pages)
                self._servers[port] = await asyncio.start_server(served, sock=door)

    # -- connections -----------------------------------------------------------------------

    async def _serve(
        self, pages: Mapping[str, Page], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._here += 1
        try:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(_LONGEST):
                    if self._here <= _MOST:
                        await self._answer(pages, reader, writer)
        finally:
            self._here -= 1
            writer.close()

    async def _answer(
        self, pages: Mapping[str, Page], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        from netlab.workload.http1 import Request, RequestParser  # few are ever asked

        parser, requests, size = RequestParser(), list[Request](), 0
        while not requests and parser.malformed is None:
            data = await reader.read(4096)
            size += len(data)
            if not data or size > _LARGEST:
                return
            requests = parser.feed(data)
        if not requests:
            answer, method = Answer(parser.malformed or 400, "400 Bad Request"), "GET"
        else:
            page, method = pages.get(requests[0].path), requests[0].method
            answer = await page() if page else NOT_FOUND
        writer.write(_written(answer, whole=method != "HEAD"))
        await writer.drain()


def _written(answer: Answer, *, whole: bool) -> bytes:
    body = answer.text.encode()
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        f"Content-Type: {answer.type}\r\nX-Content-Type-Options: nosniff\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (body if whole else b"")


def _listening(port: int, *, dual: bool, local: bool) -> socket.socket:
    """A socket of this thread's namespace."""
    family = socket.AF_INET6 if dual and not local else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    try:
        door.setblocking(False)
        if family == socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1" if local else "::" if dual else "0.0.0.0", port))
        door.listen(_BACKLOG)
    except BaseException:
        door.close()
        raise
    return door
