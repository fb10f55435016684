"""The responder behind dnsmasq: UDP and TCP on a loopback address of the DNS pod.

Its sockets live in the pod's namespace, its code in the caller's asyncio loop. It answers SRV,
CNAME and pod names; for a CNAME to an outside name it asks upstream for the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from dnslib import DNSHeader, DNSQuestion, DNSRecord

from netlab.dns import answers
from netlab.dns.config import RESPONDER_PORT
from netlab.dns.zone import Zone
from netlab.kernel import netns as namespaces

_ADDRESS = "127.0.0.1"
_UPSTREAM_SECONDS = 2.0
_TCP_IDLE_SECONDS = 10.0


class Responder:
    """Answers from `zone`, which its owner may change at any time between two queries."""

    def __init__(self, zone: Zone, upstreams: Sequence[str], port: int = RESPONDER_PORT) -> None:
        self._zone = zone
        self._upstreams = tuple(upstreams)
        self._port = port
        self._netns: int | Path | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, netns: int | Path | None) -> None:
        """Listen inside a namespace (a descriptor must stay open until `stop`)."""
        self._netns = netns
        loop = asyncio.get_running_loop()
        with namespaces.entered(netns):
            udp = _bound(socket.SOCK_DGRAM, self._port)
            tcp = _bound(socket.SOCK_STREAM, self._port)
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=udp)
        self._tcp = await asyncio.start_server(self._converse, sock=tcp)

    async def stop(self) -> None:
        """Close the sockets and drop the queries under way. Idempotent."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._udp = self._tcp = None

    def datagram(self, packet: bytes, address: tuple[str, int]) -> None:
        """Answer one UDP packet; what is no query gets no answer."""
        query = answers.parse(packet)
        if query is None:
            return
        reply = answers.answer(query, self._zone)
        if reply.outside is None:
            self._send(answers.encode(query, reply.record, udp=True), address)
            return
        task = asyncio.get_running_loop().create_task(self._complete(query, reply, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _complete(
        self, query: DNSRecord, reply: answers.Reply, address: tuple[str, int]
    ) -> None:
        record = await self._with_outside(query, reply)
        self._send(answers.encode(query, record, udp=True), address)

    def _send(self, packet: bytes, address: tuple[str, int]) -> None:
        if self._udp is not None:
            self._udp.sendto(packet, address)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One TCP connection: length-prefixed queries until the client has no more."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks.add(task)
        try:
            while packet := await asyncio.wait_for(_message(reader), _TCP_IDLE_SECONDS):
                query = answers.parse(packet)
                if query is None:
                    break
                record = await self._with_outside(query, answers.answer(query, self._zone))
                reply = answers.encode(query, record, udp=False)
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass  # the client went away, or stays silent
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _with_outside(self, query: DNSRecord, reply: answers.Reply) -> DNSRecord:
        if reply.outside is None:
            return reply.record
        outside = await self._ask_upstream(reply.outside, query.questions[0].qtype)
        return answers.with_outside(reply, outside)

    async def _ask_upstream(self, name: str, qtype: int) -> DNSRecord | None:
        """The first upstream's reply; None when none answers in time."""
        query = DNSRecord(DNSHeader(id=secrets.randbits(16)), q=DNSQuestion(name, qtype))
        for upstream in self._upstreams:
            with contextlib.suppress(TimeoutError, OSError):
                return await asyncio.wait_for(self._exchange(query, upstream), _UPSTREAM_SECONDS)
        return None

    async def _exchange(self, query: DNSRecord, upstream: str) -> DNSRecord:
        loop = asyncio.get_running_loop()
        host, _, port = upstream.partition("#")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with namespaces.entered(self._netns):
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with sock:
            await loop.sock_connect(sock, (host, int(port or 53)))
            await loop.sock_sendall(sock, query.pack())
            while True:
                reply = _reply_to(query, await loop.sock_recv(sock, 65535))
                if reply is not None:
                    return reply


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, responder: Responder) -> None:
        self._responder = responder

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._responder.datagram(data, addr)


def _bound(kind: socket.SocketKind, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    # A controller that takes over may find its predecessor's connections in TIME_WAIT.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == socket.SOCK_STREAM else 0)
    try:
        sock.bind((_ADDRESS, port))
    except OSError:
        sock.close()
        raise
    return sock


async def _message(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(2), "big")
    return await reader.readexactly(length)


def _reply_to(query: DNSRecord, packet: bytes) -> DNSRecord | None:
    """The packet as the reply to our query; anything else on the socket is not believed."""
    try:
        reply = DNSRecord.parse(packet)
    except Exception:  # dnslib raises many kinds on malformed packets
        return None
    ours = reply.header.id == query.header.id and reply.header.qr == 1
    return reply if ours and reply.questions == query.questions else None
