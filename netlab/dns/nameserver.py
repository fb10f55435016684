"""What answers behind dnsmasq in the cluster, and for the internet: replies made of a zone.

It runs in the names process (`process`), which has no rights on the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import socket
import struct
import time
from collections.abc import Coroutine, Sequence
from typing import NamedTuple, Protocol

from dnslib import DNSHeader, DNSQuestion, DNSRecord

from netlab.dns import answers, tcp
from netlab.dns.outside import Outside
from netlab.dns.turns import AT_ONCE, Turns
from netlab.dns.zone import Zone

_UPSTREAM_SECONDS = 2.0
_BATCH = 4  # queries in a row, before what has come meanwhile is taken in
_RECEIVED = 2048  # datagrams in a row: taking one in is much less work than answering it
_HELD = 2048

_IP_PKTINFO = 8  # linux/in.h; Python 3.11 does not name it
_WAY = 64
"""Bytes that suffice to tell at which of a machine's addresses a datagram came."""

Server = tuple[str, int]

Way = list[tuple[int, int, bytes]]
"""By which address a reply is sent: that at which the query came."""

Given = bytes | Coroutine[None, None, bytes | None] | None
"""A reply, one that takes time, or none."""


class _Query(NamedTuple):
    """One that came: its packet, from whom, what told at which address, and when."""

    packet: bytes
    address: Server
    told: Way
    came: float


class Replies(Protocol):
    """Whoever knows the reply to a packet."""

    def reply(self, packet: bytes, *, udp: bool) -> Given:
        """The reply to one query; what is no query gets none."""


class NameServer:
    """Answers what comes to a UDP and to a listening TCP socket, in turns by who asks: so many
    `at_once` of one address."""

    def __init__(
        self,
        replies: Replies,
        udp: socket.socket,
        listening: socket.socket,
        at_once: int = AT_ONCE,
    ) -> None:
        self._replies = replies
        self._udp = udp
        _tell_the_way(udp)
        self._tcp = tcp.TcpDoor(listening, self._over_tcp)
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[int, _Query] = {}
        """What came and is not answered yet, by number."""
        self._numbers = itertools.count()
        self._turns = Turns(lambda number: self._held[number].came, self._drop, at_once)
        self._is_due = False

    async def open(self) -> None:
        """Answer from now on."""
        asyncio.get_running_loop().add_reader(self._udp, self._came)
        await self._tcp.open()

    def _came(self) -> None:
        """Take in what there is, so that nobody waits in the socket behind another."""
        now = time.monotonic()
        for _ in range(_RECEIVED):
            try:
                packet, told, _, address = self._udp.recvmsg(4096, _WAY)
            except OSError:
                break
            if len(self._held) >= _HELD:
                self._turns.make_room(now)
            number = next(self._numbers)
            self._held[number] = _Query(packet, address, told, now)
            self._turns.add(number, address[0].encode())
        self._begin()

    def _drop(self, number: int) -> None:
        del self._held[number]

    def _begin(self) -> None:
        """Answer those whose turn it is, some now and the others soon."""
        self._is_due = False
        now = time.monotonic()
        for _ in range(_BATCH):
            number = self._turns.next(now)
            if number is None:
                return
            self._take(number)
        self._begin_soon()

    def _begin_soon(self) -> None:
        if not self._is_due and self._turns.waits:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _take(self, number: int) -> None:
        given = self._replies.reply(self._held[number].packet, udp=True)
        if isinstance(given, Coroutine):
            task = asyncio.create_task(self._later(given, number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._done(number, given)

    async def _later(self, given: Coroutine[None, None, bytes | None], number: int) -> None:
        reply = None
        try:
            reply = await given
        finally:
            self._done(number, reply)
            self._begin_soon()

    def _done(self, number: int, reply: bytes | None) -> None:
        """Answered, if there is a reply."""
        self._turns.done(number)
        query = self._held.pop(number)
        if reply is not None:
            with contextlib.suppress(OSError):  # lost, as it would be on its way
                self._udp.sendmsg([reply], _back(query.told), 0, query.address)

    async def _over_tcp(self, packet: bytes) -> bytes | None:
        given = self._replies.reply(packet, udp=False)
        return await given if isinstance(given, Coroutine) else given


def _tell_the_way(udp: socket.socket) -> None:
    """Have a socket tell at which address each datagram comes, as `ip(7)` and `ipv6(7)` have it."""
    if udp.family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _back(told: Sequence[tuple[int, int, bytes]]) -> Way:
    """The same way back, by whichever link leads there."""
    way: Way = []
    for level, kind, data in told:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            way.append((level, kind, struct.pack("=i4s4x", 0, data[4:8])))
        elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            way.append((level, kind, data[:16] + bytes(4)))
    return way


class ClusterReplies:
    """SRV, CNAME and pod names of the cluster; what a CNAME leads to outside, `upstreams` know."""

    def __init__(self, zone: Zone, upstreams: Sequence[Server]) -> None:
        self._zone = zone
        self._upstreams = tuple(upstreams)

    def reply(self, packet: bytes, *, udp: bool) -> Given:
        """See `Replies`."""
        query = answers.parse(packet)
        if query is None:
            return None
        reply = answers.answer(query, self._zone)
        if reply.outside is None:
            return answers.encode(query, reply.record, udp=udp)
        return self._completed(query, reply, reply.outside, udp=udp)

    async def _completed(
        self, query: DNSRecord, reply: answers.Reply, target: str, *, udp: bool
    ) -> bytes:
        question = DNSQuestion(target, query.questions[0].qtype)
        asked = DNSRecord(DNSHeader(id=secrets.randbits(16)), q=question).pack()
        said = await ask(asked, self._upstreams)
        outside = answers.parse_reply(said) if said is not None else None
        return answers.encode(query, answers.with_outside(reply, outside), udp=udp)


class InternetReplies:
    """The names that the lab's internet knows; others are unknown, or `upstreams` are asked."""

    def __init__(self, outside: Outside, upstreams: Sequence[Server]) -> None:
        self._outside = outside
        self._upstreams = tuple(upstreams)

    def reply(self, packet: bytes, *, udp: bool) -> Given:
        """See `Replies`."""
        query = answers.parse(packet)
        if query is None:
            return None
        record = self._outside.answer(query, is_all=not self._upstreams)
        if record is None:
            return self._passed_on(packet, query, udp=udp)
        return answers.encode(query, record, udp=udp)

    async def _passed_on(self, packet: bytes, query: DNSRecord, *, udp: bool) -> bytes:
        said = await ask(packet, self._upstreams, udp=udp)
        if said is not None:
            return said
        return answers.encode(query, answers.failure(query), udp=udp)


async def ask(query: bytes, servers: Sequence[Server], *, udp: bool | None = None) -> bytes | None:
    """The reply of the first server that gives one in time, under the query's own id.

    With `udp` None one that UDP cannot carry is fetched over TCP.
    """
    for server in servers:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_UPSTREAM_SECONDS):
                reply = await _over_udp(query, server) if udp is not False else None
                if reply is None or (udp is None and reply[2] & answers.TRUNCATED):
                    reply = await tcp.exchange(query, *server)
                return reply
    return None


async def _over_udp(query: bytes, server: Server) -> bytes:
    """Ask from a port, and under an id, that nobody can foretell."""
    loop = asyncio.get_running_loop()
    number = secrets.token_bytes(2)
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asking:
        asking.connect(server)
        await loop.sock_sendall(asking, number + query[2:])
        while True:
            reply = await loop.sock_recv(asking, 65535)
            if reply[:2] == number and answers.is_reply_to(query, reply):
                return query[:2] + reply[2:]
