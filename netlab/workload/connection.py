"""The asyncio side of built-in servers: a protocol for HTTP, one for plain TCP, one for UDP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from netlab.workload.access_log import AccessLog
from netlab.workload.http1 import Request, RequestParser, address
from netlab.workload.site import Site
from netlab.workload.template import compile_

KEEP_ALIVE_SECONDS = 75.0
REQUEST_SECONDS = 15.0
LEAVE_SECONDS = 5.0
_SWEEP_SECONDS = 5.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Peer = tuple[str, int]


def plain_peer(name: object) -> Peer:
    """(host, port) of a socket name; an IPv4 client of an IPv6 socket gets its IPv4 address."""
    if not isinstance(name, tuple) or len(name) < 2:
        return "", 0
    host = str(name[0]).partition("%")[0]
    return host.removeprefix("::ffff:") if "." in host else host, int(name[1])


class ConnectionDeadlines:
    """Closes connections that keep us waiting: one timer for all, as timers cost per request."""

    def __init__(self) -> None:
        self._connections: set[HttpConnection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: HttpConnection) -> None:
        """Watch a connection from now on."""
        self._connections.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def discard(self, connection: HttpConnection) -> None:
        """The connection is closed."""
        self._connections.discard(connection)

    def _sweep(self) -> None:
        self._timer = None
        now = time.monotonic()
        for connection in [entry for entry in self._connections if entry.deadline < now]:
            connection.time_out()
        if self._connections:
            self._timer = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)


class Connections:
    """The open connections of one pod, so that they end with it."""

    def __init__(self) -> None:
        self._open: set[asyncio.Transport] = set()

    def add(self, transport: asyncio.Transport) -> None:
        """A client connected."""
        self._open.add(transport)

    def discard(self, transport: asyncio.Transport) -> None:
        """It is gone."""
        self._open.discard(transport)

    def abort(self) -> None:
        """Reset them all, as the end of a process does."""
        for transport in tuple(self._open):
            transport.abort()

    def leave(self) -> None:
        """Answer who is asking, and end all others: new clients come to somebody else."""
        for transport in tuple(self._open):
            protocol = transport.get_protocol()
            if isinstance(protocol, HttpConnection):
                protocol.leave()
            else:
                transport.abort()


class HttpConnection(asyncio.Protocol):
    """One client's connection to a built-in web server."""

    def __init__(
        self, site: Site, log: AccessLog, connections: Connections, deadlines: ConnectionDeadlines
    ) -> None:
        self._site = site
        self._log = log
        self._connections = connections
        self._deadlines = deadlines
        self._parser = RequestParser()
        self._closing = False
        self._leaving = False
        self._has_asked = False
        self.deadline = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast(asyncio.Transport, transport)
        self._peer = plain_peer(transport.get_extra_info("peername"))
        self._local = plain_peer(transport.get_extra_info("sockname"))
        self.deadline = time.monotonic() + REQUEST_SECONDS
        self._connections.add(self._transport)
        self._deadlines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The client is gone."""
        self._connections.discard(self._transport)
        self._deadlines.discard(self)

    def pause_writing(self) -> None:
        """The client does not read its answers: take no more requests from it."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Answer whatever requests are complete now."""
        if self._transport.is_closing():
            return
        was_idle = self._parser.is_idle
        requests = self._parser.feed(data)
        self._transport.write(b"".join(self._answers(requests)))
        if self._closing:
            self._transport.close()
        elif self._parser.malformed is not None:
            self._refuse(self._parser.malformed)
        elif self._parser.expects_continue:
            self._parser.expects_continue = False
            self._transport.write(_CONTINUE)
        self._set_deadline(was_idle=was_idle and not requests)

    def _set_deadline(self, *, was_idle: bool) -> None:
        if self._parser.is_idle:
            self.deadline = time.monotonic() + KEEP_ALIVE_SECONDS
        elif was_idle:  # the time for a request counts from its first byte, not from its last
            self.deadline = time.monotonic() + REQUEST_SECONDS

    def _answers(self, requests: list[Request]) -> Iterator[bytes]:
        for request in requests:
            request.client, request.local = self._peer, self._local
            answer = self._site.answer(request)
            self._has_asked = True
            self._closing = self._leaving or not request.keeps_alive()
            data, size = answer.render(request, close=self._closing)
            self._log.request(request, answer.status, size)
            yield data
            if self._closing:
                return

    def _refuse(self, status: int) -> None:
        data, _ = self._site.error(status).render(None, close=True)
        self._transport.write(data)
        self._log.refused(self._peer[0], status)
        self._transport.close()

    def leave(self) -> None:
        """Answer the request that is on its way, which it is from a new client, and no other."""
        self._leaving = True
        self.deadline = min(self.deadline, time.monotonic() + LEAVE_SECONDS)
        if self._has_asked and self._parser.is_idle:
            self._transport.close()

    def time_out(self) -> None:
        """The client kept us waiting: 408 in the middle of a request, else a plain close."""
        if self._transport.is_closing():
            self._transport.abort()
        elif self._parser.is_idle:
            self._transport.close()
        else:
            self._refuse(408)


class Exchange:
    """What a template may ask of a datagram or of a plain connection."""

    headers: list[tuple[str, str]] = []  # noqa: RUF012 - never changed: there are none

    def __init__(self, client: Peer, local: Peer, body: str = "", rest: str = "") -> None:
        self._known = {
            "client": client[0],
            "client.port": str(client[1]),
            "client.address": address(client),
            "server.address": address(local),
            "body": body,
            "rest": rest,
        }

    def variable(self, name: str) -> str | None:
        """The value of one of the few variables that exist without HTTP."""
        return self._known.get(name)


class TcpConnection(asyncio.Protocol):
    """A client of a service that speaks no HTTP: it may be greeted, and is listened to."""

    def __init__(
        self,
        data: Mapping[str, Any],
        variables: Mapping[str, str],
        log: AccessLog,
        connections: Connections,
    ) -> None:
        self._greeting = compile_(str(data.get("greeting", "")), variables)
        self._close = bool(data.get("close"))
        self._echo = bool(data.get("echo"))
        self._log = log
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, if that is its way."""
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self._transport)
        client = plain_peer(transport.get_extra_info("peername"))
        local = plain_peer(transport.get_extra_info("sockname"))
        self._log.line(f"connection from {address(client)} to port {local[1]}")
        self._transport.write(self._greeting.fill(Exchange(client, local)).encode())
        if self._close:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The client is gone."""
        self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Nothing is understood; an echo server says it again."""
        if self._echo:
            self._transport.write(data)

    def pause_writing(self) -> None:
        """The client does not read its echo: take no more from it."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()


class UdpService(asyncio.DatagramProtocol):
    """Answers datagrams: `replies` by how they begin, and without a match the same again."""

    def __init__(
        self, data: Mapping[str, Any], variables: Mapping[str, str], log: AccessLog
    ) -> None:
        replies: Sequence[Mapping[str, str]] = data.get("replies", ())
        self._replies = [
            (str(reply.get("prefix", "")), compile_(str(reply["body"]), variables))
            for reply in replies
        ]
        self._log = log

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._local = plain_peer(transport.get_extra_info("sockname"))

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer one datagram."""
        client = plain_peer(addr)
        self._log.line(f"{len(data)} bytes from {address(client)} to UDP port {self._local[1]}")
        self._transport.sendto(self._reply(data, client), addr)

    def _reply(self, data: bytes, client: Peer) -> bytes:
        text = data.decode(errors="replace")
        for prefix, body in self._replies:
            if text.startswith(prefix):
                rest = text[len(prefix) :].rstrip("\r\n")
                return body.fill(Exchange(client, self._local, text, rest)).encode()
        return data
