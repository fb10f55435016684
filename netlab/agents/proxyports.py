"""kube-proxy's own ports on a node: what it measures, and whether it is well.

    127.0.0.1:10249   /metrics, /proxyMode, /healthz, for the node itself
    :10256            /healthz, /livez, for load balancers that choose among nodes

As in kube-proxy. /healthz fails for a node that is about to go, so that no new connections come;
both fail when what is to be written stays unwritten for too long. The controller answers, in the
node's namespace. Pods are strangers, so few are answered at a time, each once, and soon or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from netlab.agents.loop import Loop
from netlab.kernel import netns
from netlab.objects import meta
from netlab.objects.types import Node
from netlab.proxy.metrics import ProxyMetrics
from netlab.retry import Retry

METRICS_PORT, HEALTH_PORT = 10249, 10256

LATE = 60.0
"""Seconds after which what is not written yet makes the proxy unwell: two sync periods."""

LEAVING = "ToBeDeletedByClusterAutoscaler"
"""The taint of a node that is about to be deleted."""

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


class MeasuredProxy(Protocol):
    """The node's proxy, as far as it is asked."""

    metrics: ProxyMetrics

    async def measured(self) -> str:
        """Its metrics as a text."""

    def waiting(self) -> float:
        """For how many seconds there has been something to write."""


class ProxyPorts:
    """Answers in the namespace `netns` of a node; `mode` is kube-proxy's, `node` gives the Node as
    it is known now. With `dual` it answers on both families."""

    def __init__(
        self,
        name: str,
        netns: Path,
        mode: str,
        proxy: MeasuredProxy,
        node: Callable[[], Node | None],
        *,
        dual: bool,
    ) -> None:
        self._netns = netns
        self._mode = mode
        self._proxy = proxy
        self._node = node
        self._dual = dual
        self._well = time.time()
        self._servers: dict[int, asyncio.Server] = {}
        self._here = 0
        self._loop = Loop(f"ports of the proxy of {name}", self._work, retry=_RETRY)
        self._pages: dict[int, dict[str, Page]] = {
            METRICS_PORT: {
                "/metrics": self._metrics,
                "/proxyMode": self._proxy_mode,
                "/healthz": self._alive,
            },
            HEALTH_PORT: {"/healthz": self._healthz, "/livez": self._livez},
        }

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
                    door = _listening(port, dual=self._dual)
                served = partial(self._serve, pages)
                self._servers[port] = await asyncio.start_server(served, sock=door)

    # -- connections -----------------------------------------------------------------------

    async def _serve(
        self, pages: dict[str, Page], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
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
        self, pages: dict[str, Page], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
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

    # -- pages -----------------------------------------------------------------------------

    async def _metrics(self) -> Answer:
        kind = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
        return Answer(200, await self._proxy.measured(), kind)

    async def _proxy_mode(self) -> Answer:
        return Answer(200, self._mode)

    async def _alive(self) -> Answer:
        return Answer(200, "ok")

    async def _healthz(self) -> Answer:
        eligible = is_eligible(self._node())
        return self._health("healthz", f', "nodeEligible": {str(eligible).lower()}', also=eligible)

    async def _livez(self) -> Answer:
        return self._health("livez", "")

    def _health(self, what: str, more: str, *, also: bool = True) -> Answer:
        now = time.time()
        if self._proxy.waiting() < LATE:
            self._well = now
        status = 200 if self._well == now and also else 503
        self._proxy.metrics.asked(what, status)
        text = f'{{"lastUpdated": "{_moment(self._well)}","currentTime": "{_moment(now)}"{more}}}'
        return Answer(status, text, "application/json")


def is_eligible(node: Node | None) -> bool:
    """Whether load balancers may choose the node: not when it is being deleted, or about to be."""
    if node is None:
        return True
    taints = meta.spec(node).get("taints") or ()
    return not meta.is_terminating(node) and all(one["key"] != LEAVING for one in taints)


def _moment(seconds: float) -> str:
    """A time as Go prints one."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")


def _written(answer: Answer, *, whole: bool) -> bytes:
    body = answer.text.encode()
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        f"Content-Type: {answer.type}\r\nX-Content-Type-Options: nosniff\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (body if whole else b"")


def _listening(port: int, *, dual: bool) -> socket.socket:
    """A socket of this thread's namespace, where kube-proxy has it by default."""
    own = port == METRICS_PORT
    family = socket.AF_INET6 if dual and not own else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    try:
        door.setblocking(False)
        if family == socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1" if own else "::" if dual else "0.0.0.0", port))
        door.listen(_BACKLOG)
    except BaseException:
        door.close()
        raise
    return door
