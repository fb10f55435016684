"""Connections that come from inside the lab: how many there may be, how fast, and how idle.

Pods are strangers, and share one event loop with all that keeps the lab. So who comes is let in one
after the other, who asks is answered at a measured pace, and who stands in the way is sent off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from weakref import WeakValueDictionary

from aiohttp import web

from netlab.api.guestbook import ASKING, Full, Guest, holder_of, leaver
from netlab.errors import TooManyRequests
from netlab.objects.rbac import User
from netlab.tasks import Background, cancel

log = logging.getLogger(__name__)

MOST, MOST_EACH = 500, 100
"""Connections in all, and of one pod or account, or of all at one address whom nobody knows."""

IDLE = 60.0
"""Seconds that a connection may be open and ask for nothing."""

_HANDSHAKE_SECONDS = 5.0
_ENTRIES = 0.01
"""Seconds from one connection to the next: a handshake is a hundredth of that in work, and more."""

_ALL, _EACH = 200.0, 50.0
"""Requests in a second of all, and of one address."""
_BURST = 1.0
"""Seconds' worth of requests that are answered at once."""

_LARGE = 64 * 1024
"""Bytes of a body of which one address sends no two at a time: it is kept until it is whole."""
_PORTION = 4 * 1024
"""Bytes of a body that are as much work as one more request."""


class Pace:
    """Whoever comes too soon waits; by key, each `rate` times a second."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._interval = 1 / rate
        self._clock = clock
        self._due: dict[str, float] = {}

    def wait(self, key: str = "", turns: float = 1.0) -> float:
        """Seconds that this one has to wait, who takes so many turns."""
        now = self._clock()
        if len(self._due) > MOST:
            self._due = {each: due for each, due in self._due.items() if due > now}
        due = max(self._due.get(key, 0.0), now - _BURST)
        self._due[key] = due + turns * self._interval
        return max(0.0, due - now)


class Guests:
    """Serves `protocols` to those who come to the sockets that it is given."""

    def __init__(
        self, protocols: Callable[[], asyncio.BaseProtocol], context: ssl.SSLContext
    ) -> None:
        self._protocols = protocols
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._doors: dict[str, tuple[socket.socket, asyncio.Task[None]]] = {}
        self._here: dict[int, Guest] = {}
        """By their sockets' descriptors; some may be closed by now."""
        self._entering = Background()
        self._all, self._each = Pace(_ALL, self._loop.time), Pace(_EACH, self._loop.time)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """Of large bodies, by whence they come."""
        self._looking = asyncio.create_task(self._send_off(), name="idle guests")

    def listen(self, name: str, door: socket.socket) -> None:
        """Let in who comes to this listening socket, in place of the former one of that name."""
        self.close(name)
        task = asyncio.create_task(self._let_in(door), name=f"API of {name}")
        self._doors[name] = (door, task)

    def close(self, name: str) -> None:
        """Let nobody in there any more; who is here stays."""
        if name in self._doors:
            door, task = self._doors.pop(name)
            task.cancel()
            door.close()

    async def stop(self) -> None:
        """Let nobody in any more; the connections are the runner's to end."""
        tasks = [task for _, task in self._doors.values()]
        await cancel(self._looking, *tasks)
        await self._entering.stop_all()
        for door, _ in self._doors.values():
            door.close()

    @contextlib.asynccontextmanager
    async def attended(self, request: web.Request) -> AsyncIterator[None]:
        """A request of one of them, after its turn has come; anybody else's at once."""
        guest = self._known(request.transport)
        if guest is None:
            yield
            return
        guest.since = ASKING
        try:
            await asyncio.sleep(max(self._all.wait(), self._each.wait(guest.host)))
            async with self._apart(guest.host) if _is_large(request) else nullcontext():
                yield
        finally:
            self._each.wait(guest.host, request.content.total_bytes / _PORTION)
            guest.since = self._loop.time()

    def identify(self, request: web.Request, user: User) -> None:
        """Somebody has shown who he is: from now on his connection counts for him. One too many is
        answered 429, and ends."""
        guest = self._known(request.transport)
        if guest is None or guest.holder == (holder := holder_of(user, guest.host)):
            return
        guest.holder = holder
        if holder and sum(each.holder == holder for each in self._here.values()) > MOST_EACH:
            self._loop.call_soon(self._send_away, guest)
            raise TooManyRequests

    @contextlib.asynccontextmanager
    async def _apart(self, host: str) -> AsyncIterator[None]:
        """After others of that size from there, and what these have cost."""
        async with self._turns.setdefault(host, asyncio.Lock()):
            await asyncio.sleep(self._each.wait(host, 0))
            yield

    def _known(self, transport: asyncio.BaseTransport | None) -> Guest | None:
        """Who asks, if he is a guest, and None if he came in elsewhere.

        His first request may be here before his entry has been noted, so it goes by the socket.
        """
        sock = transport.get_extra_info("socket") if transport else None
        known = self._here.get(sock.fileno()) if sock else None
        return known if known and known.socket.fileno() != -1 else None

    # -- coming and going ------------------------------------------------------------------

    async def _let_in(self, door: socket.socket) -> None:
        while True:
            try:
                guest, address = await self._loop.sock_accept(door)
            except OSError as error:  # out of descriptors, or gone before it was let in
                log.debug("nobody is let in: %s", error)
            else:
                self._receive(guest, str(address[0]))
            await asyncio.sleep(_ENTRIES)

    def _receive(self, sock: socket.socket, host: str) -> None:
        self._here = {fd: one for fd, one in self._here.items() if one.socket.fileno() != -1}
        guests = list(self._here.values())
        try:
            if (other := leaver(guests, host, MOST, MOST_EACH)) is not None:
                self._send_away(other)
        except Full:
            sock.close()
            return
        guest = self._here[sock.fileno()] = Guest(sock, host, host, self._loop.time())
        self._entering.start(str(id(guest)), self._enter(guest), f"TLS with {host}")

    def _send_away(self, guest: Guest) -> None:
        self._here = {fd: one for fd, one in self._here.items() if one is not guest}
        if guest.transport is not None:
            guest.transport.abort()
        else:  # whoever waits for his handshake finds that he has gone
            with contextlib.suppress(OSError):
                guest.socket.shutdown(socket.SHUT_RDWR)

    async def _enter(self, guest: Guest) -> None:
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                self._protocols,
                guest.socket,
                ssl=self._context,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            )
        except (OSError, ssl.SSLError) as error:
            log.debug("no TLS: %s", error)
            guest.socket.close()
            return
        guest.transport = transport

    async def _send_off(self) -> None:
        """End the connections that have asked for nothing for long."""
        while True:
            await asyncio.sleep(IDLE / 4)
            before = self._loop.time() - IDLE
            for guest in [*self._here.values()]:
                if guest.transport is not None and guest.since < before:
                    guest.transport.close()


def _is_large(request: web.Request) -> bool:
    """Whether the body is, or does not say."""
    length = request.content_length
    return "Transfer-Encoding" in request.headers if length is None else length > _LARGE
