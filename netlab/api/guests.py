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
from collections import Counter
from collections.abc import AsyncIterator, Callable

from netlab.tasks import Background, cancel

log = logging.getLogger(__name__)

MOST, MOST_EACH = 500, 100
"""Connections in all, and from one address. Nodes stand for pods whose packets they masquerade."""

IDLE = 60.0
"""Seconds that a connection may be open and ask for nothing."""

_HANDSHAKE_SECONDS = 5.0
_ENTRIES = 0.01
"""Seconds from one connection to the next: a handshake is a hundredth of that in work, and more."""

_ALL, _EACH = 200.0, 50.0
"""Requests in a second of all, and of one address."""
_BURST = 1.0
"""Seconds' worth of requests that are answered at once."""


class Pace:
    """Whoever comes too soon waits; by key, each `rate` times a second."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._interval = 1 / rate
        self._clock = clock
        self._due: dict[str, float] = {}

    def wait(self, key: str = "") -> float:
        """Seconds that this one has to wait."""
        now = self._clock()
        if len(self._due) > MOST:
            self._due = {each: due for each, due in self._due.items() if due > now}
        due = max(self._due.get(key, 0.0), now - _BURST)
        self._due[key] = due + self._interval
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
        self._here: dict[socket.socket, str] = {}
        self._since: dict[asyncio.BaseTransport, float] = {}
        """Since when a connection asks for nothing."""
        self._entering = Background()
        self._all, self._each = Pace(_ALL, self._loop.time), Pace(_EACH, self._loop.time)
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
    async def attended(self, transport: asyncio.BaseTransport | None) -> AsyncIterator[None]:
        """A request of one of them, after its turn has come; anybody else's at once."""
        if transport is None or transport not in self._since:
            yield
            return
        host = str((transport.get_extra_info("peername") or ("",))[0])
        self._since[transport] = float("inf")
        try:
            await asyncio.sleep(max(self._all.wait(), self._each.wait(host)))
            yield
        finally:
            if transport in self._since:
                self._since[transport] = self._loop.time()

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

    def _receive(self, guest: socket.socket, host: str) -> None:
        self._here = {each: where for each, where in self._here.items() if each.fileno() != -1}
        if len(self._here) >= MOST or Counter(self._here.values())[host] >= MOST_EACH:
            guest.close()
            return
        self._here[guest] = host
        self._entering.start(str(id(guest)), self._enter(guest), f"TLS with {host}")

    async def _enter(self, guest: socket.socket) -> None:
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                self._protocols,
                guest,
                ssl=self._context,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            )
        except (OSError, ssl.SSLError) as error:
            log.debug("no TLS with %s: %s", self._here.pop(guest, ""), error)
            guest.close()
            return
        self._since[transport] = self._loop.time()

    async def _send_off(self) -> None:
        """End the connections that have asked for nothing for long, and forget those that ended."""
        while True:
            await asyncio.sleep(IDLE / 4)
            before = self._loop.time() - IDLE
            for transport, since in [*self._since.items()]:
                if transport.is_closing():
                    del self._since[transport]
                elif since < before:
                    transport.close()
