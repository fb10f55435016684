"""Probes, built by hand: one packet each, known again by its key."""

from __future__ import annotations

import secrets
import socket
import struct

from msgspec import Struct, field

from netlab.pathcheck.checksums import checksum, with_checksum, with_sum
from netlab.pathcheck.decode import endpoint
from netlab.pathcheck.protocols import BY_NAME, Outgoing, Protocol, ProtocolName

# Below the range from which kernels pick ports, above the well-known servers.
_PORTS = range(10240, 29952)

_TTL = 64
_DONT_FRAGMENT = 0x4000


class ProbePacket(Struct, frozen=True):
    """One packet to send: from a place and address, to an address and port. Without ports in its
    protocol, `sport` is what identifies it, and `dport` 0; with an `ip_id` of 0 it has one that the
    kernel chose. `payload` is what it carries behind its mark."""

    key: int
    proto: ProtocolName
    src: str
    sport: int
    dst: str
    dport: int
    ip_id: int
    payload: str = ""

    @property
    def protocol(self) -> Protocol:
        """What is known of its protocol."""
        return BY_NAME[self.proto]

    @property
    def source(self) -> str:
        """`10.244.1.5:40000`, or the address alone."""
        return endpoint(self.src, self.sport if self.protocol.has_ports else 0)

    @property
    def destination(self) -> str:
        """`10.96.0.7:80`, or the address alone."""
        return endpoint(self.dst, self.dport)


class ProbeNumbers(Struct):
    """Keys, source ports and IP ids that no other probe of this run has.

    They start at random, so that a run does not meet conntrack's memory of the one before.
    """

    _prefix: int = field(default_factory=lambda: secrets.randbits(16) << 16)
    _port: int = field(default_factory=lambda: secrets.choice(_PORTS))
    _next: int = 0

    def probe(self, proto: ProtocolName, src: str, dst: str, dport: int) -> ProbePacket:
        """The next probe of this run."""
        number = self._next = self._next + 1
        sport = _PORTS[(self._port + number) % len(_PORTS)]
        # IP id 0 would be filled in by the kernel.
        ip_id = (number - 1) % 0xFFFF + 1
        return ProbePacket(self._prefix + number % 2**16, proto, src, sport, dst, dport, ip_id)


def build(probe: ProbePacket) -> bytes:
    """The probe as bytes from its IP header on, with checksums."""
    version = 6 if ":" in probe.dst else 4
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    ends = socket.inet_pton(family, probe.src) + socket.inet_pton(family, probe.dst)
    outgoing = Outgoing(version, probe.sport, probe.dport, probe.key, probe.payload)
    protocol = probe.protocol
    number = protocol.numbers[-1 if version == 6 else 0]
    content = with_checksum(number, ends, protocol.write(outgoing), protocol.checksum_at)
    if version == 6:
        first = 6 << 28 | probe.ip_id
        return struct.pack("!IHBB", first, len(content), number, _TTL) + ends + content
    head = struct.pack(
        "!BBHHHBBH", 0x45, 0, 20 + len(content), probe.ip_id, _DONT_FRAGMENT, _TTL, number, 0
    )
    return with_sum(head + ends, 10, checksum(head + ends)) + content
