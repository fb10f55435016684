"""What clients of the cluster's DNS talk to: it has one of two dnsmasqs answer, and loses no query.

A query goes to the one that answered last. If that is gone, which the kernel tells at once, or says
nothing for a moment, it goes to the other. Until it is answered it lies in a mailbox, where the
next front finds it should this one be killed; and what comes meanwhile waits in the socket, which
the controller keeps open. They are begun in `turns`.

Packets are passed on as they are, but for the two bytes of their id, how long they `last`, and
unless the cluster's Corefile has `plugins` before. What is kept is answered without anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from netlab.dns import nameserver, tcp
from netlab.dns.lasting import Counts, Lasting
from netlab.dns.turns import HURRY, Turns
from netlab.kernel.mailbox import Mailbox, stamp
from netlab.retry import Retry
from netlab.tasks import Background
from netlab.workload.inside import dnswire

if TYPE_CHECKING:
    from netlab.dns.plugins import Plugins

Server = tuple[str, int]
"""Address and port."""

Finish = Callable[[bytes], bytes] | None
"""What plugins make of a reply."""

_HEADER = 12
_BATCH = 16  # queries, or answers, in a row, before others have their turn
_RECEIVED = 2048  # datagrams in a row: taking one in is much less work than answering it
_SILENCE = Retry(0.05, 1.0)  # until the other is asked too
_LOOK = 0.02
_PATIENCE = 8.0  # seconds after which nobody waits for an answer any more
_TCP_TRIES, _TCP_RETRY = 100, 0.05


class _Query(Struct):
    """One that is being answered: the slot it is in, its packet, and who was asked when."""

    slot: int
    packet: bytes
    came: float
    server: int
    asks: bytes
    finish: Finish = None
    zone: str = "."
    asked: float = 0.0
    times: int = 0


class Front:
    """Passes on what comes to two sockets, of UDP and of TCP, to any of the `servers`."""

    def __init__(
        self,
        box: Mailbox,
        udp: socket.socket,
        listening: socket.socket,
        servers: Sequence[Server],
    ) -> None:
        self.plugins: Plugins | None = None
        self.lasting: Lasting | None = None
        self.counts = Counts()
        self._elsewhere = Background()
        self._box = box
        self._udp = udp
        self._tcp = tcp.TcpDoor(listening, self._over_tcp)
        self._servers = list(servers)
        self._sockets: list[socket.socket] = []
        self._queries: dict[int, _Query] = {}
        self._last_id = 0
        self._first = 0
        self._looking: asyncio.TimerHandle | None = None
        self._turns = Turns(box.came, box.release)
        self._is_due = False

    async def open(self) -> None:
        """Begin with what a front before left unanswered."""
        self._loop = asyncio.get_running_loop()
        for number, server in enumerate(self._servers):
            asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            asking.connect(server)
            self._sockets.append(asking)
            self._loop.add_reader(asking, partial(self._answered, number))
        stamp(self._udp)
        for slot in self._box.left:
            self._keep(slot)
        self._begin()
        self._loop.add_reader(self._udp, self._came)
        await self._tcp.open()

    # -- queries ---------------------------------------------------------------------------

    def _came(self) -> None:
        """Take in what there is, so that nobody waits in the socket behind another."""
        for _ in range(_RECEIVED):
            slot = self._box.receive(self._udp)
            if slot is None:
                break
            self._keep(slot)
        self._begin()

    def _keep(self, slot: int) -> None:
        """Have one wait for its turn. There is always room for the next one that comes."""
        self._turns.add(slot, self._box.sender(slot))
        if self._box.full:
            self._turns.make_room(time.time())

    def _begin(self) -> None:
        """Begin those whose turn it is, some now and the others soon."""
        now = time.time()
        for _ in range(_BATCH):
            slot = self._turns.next(now)
            if slot is None:
                return
            self._take(slot)
        self._begin_soon()

    def _begin_soon(self) -> None:
        if not self._is_due and self._turns.waits:
            self._is_due = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_due = False
        self._begin()

    def _take(self, slot: int) -> None:
        packet = self._box.packet(slot)
        if len(packet) < _HEADER:
            self._release(slot)
            return
        query = _Query(slot, packet, self._loop.time(), self._first, packet)
        if (lasts := self.lasting) is not None:
            query.zone = lasts.zone(packet)
        self.counts.asked(query.zone, packet, "udp", self._box.family(slot))
        if lasts is not None and (kept := lasts.kept(packet, stream=False)) is not None:
            self._answer(query, kept)
            return
        if self.plugins is not None:
            given = self.plugins.begin(packet, stream=False)
            if isinstance(given, bytes):
                self._answer(query, self._learnt(packet, given))
                return
            if given is not None:
                query.asks, query.finish = given.packet, given.finish
                if given.servers:
                    asking = self._ask_elsewhere(query, given.servers)
                    self._elsewhere.start("udp", asking, "a query of other servers")
                    return
        number = self._free_id()
        self._queries[number] = query
        self._ask(number)
        if self._looking is None:
            self._looking = self._loop.call_later(_LOOK, self._look)

    def _free_id(self) -> int:
        """An id that no query under way has, and none had a short while ago."""
        while True:
            self._last_id = (self._last_id + 1) & 0xFFFF
            if self._last_id not in self._queries:
                return self._last_id

    def _ask(self, number: int) -> None:
        query = self._queries[number]
        query.asked = self._loop.time()
        query.times += 1
        try:
            self._sockets[query.server].send(number.to_bytes(2, "big") + query.asks[2:])
        except ConnectionRefusedError:  # so ended one before, and this one was not sent
            self._loop.call_soon(self._refused, query.server)
        except BlockingIOError:
            pass  # it will be asked again, as for any that is lost

    def _ask_other(self, number: int) -> None:
        query = self._queries[number]
        query.server = (query.server + 1) % len(self._servers)
        self._ask(number)

    def _refused(self, server: int) -> None:
        """A server is gone: what it was asked, the other is now. If that is gone too, it waits."""
        self._first = (server + 1) % len(self._servers)
        for number, query in list(self._queries.items()):
            if query.server == server and query.times <= len(self._servers):
                self._ask_other(number)

    def _look(self) -> None:
        """Ask again where there is no answer yet."""
        now = self._loop.time()
        for number, query in list(self._queries.items()):
            if now - query.came > (HURRY if self._turns.is_pressed(query.slot) else _PATIENCE):
                self._give_up(number)
            elif now - query.asked > _SILENCE.delay(query.times):
                self._ask_other(number)
        self._looking = self._loop.call_later(_LOOK, self._look) if self._queries else None

    def _give_up(self, number: int) -> None:
        self._done(self._queries.pop(number), None)

    def _done(self, query: _Query, reply: bytes | None) -> None:
        if reply is None:
            self._release(query.slot)
        else:
            said = self._finished(query.packet, reply, query.finish, stream=False)
            self._answer(query, query.packet[:2] + said[2:])
        self._begin_soon()

    def _release(self, slot: int) -> None:
        self._turns.done(slot)
        self._box.release(slot)

    async def _ask_elsewhere(self, query: _Query, servers: Sequence[Server]) -> None:
        """Others than the dnsmasqs would."""
        reply = await nameserver.ask(query.asks, servers)
        self._done(query, reply if reply is not None else _failure(query.asks))

    def _answer(self, query: _Query, said: bytes) -> None:
        self.counts.told(query.zone, said, self._loop.time() - query.came)
        self._turns.done(query.slot)
        self._box.answer(query.slot, said, self._udp)

    def _finished(self, packet: bytes, reply: bytes, finish: Finish, *, stream: bool) -> bytes:
        """What a client is told of a dnsmasq's reply."""
        lasts = self.lasting.given(reply) if self.lasting is not None else reply
        return self._learnt(packet, finish(lasts) if finish is not None else lasts, stream=stream)

    def _learnt(self, packet: bytes, said: bytes, *, stream: bool = False) -> bytes:
        lasts = self.lasting
        return lasts.learnt(packet, said, stream=stream) if lasts is not None else said

    # -- answers ---------------------------------------------------------------------------

    def _answered(self, server: int) -> None:
        for _ in range(_BATCH):
            try:
                reply = self._sockets[server].recv(65535)
            except ConnectionRefusedError:
                self._refused(server)
                continue
            except OSError:
                return
            query = self._queries.pop(int.from_bytes(reply[:2], "big"), None)
            if query is not None:
                self._first = server
                self._done(query, reply)

    async def _over_tcp(self, query: bytes) -> bytes | None:
        """TCP has its own way to tell that a server is gone; its connections are not kept."""
        lasts, came = self.lasting, self._loop.time()
        zone = lasts.zone(query) if lasts is not None else "."
        self.counts.asked(zone, query, "tcp", "1")
        said = lasts.kept(query, stream=True) if lasts is not None else None
        if said is None:
            said = await self._asked_over_tcp(query)
        if said is not None:
            self.counts.told(zone, said, self._loop.time() - came)
        return said

    async def _asked_over_tcp(self, query: bytes) -> bytes | None:
        given = self.plugins.begin(query, stream=True) if self.plugins is not None else None
        if isinstance(given, bytes):
            return self._learnt(query, given, stream=True)
        said: bytes | None
        asks, finish = (query, None) if given is None else (given.packet, given.finish)
        if given is not None and given.servers:
            said = await nameserver.ask(asks, given.servers) or _failure(asks)
        else:
            said = await self._exchanged(asks)
        return self._finished(query, said, finish, stream=True) if said is not None else None

    async def _exchanged(self, query: bytes) -> bytes | None:
        for attempt in range(_TCP_TRIES):
            server = self._servers[(self._first + attempt) % len(self._servers)]
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    return await tcp.exchange(query, *server)
            if attempt % len(self._servers):
                await asyncio.sleep(_TCP_RETRY)
        return None


def _failure(asked: bytes) -> bytes:
    """The reply where nobody answers."""
    return dnswire.answer(dnswire.read(asked), dnswire.SERVFAIL)
