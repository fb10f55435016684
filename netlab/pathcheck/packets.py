"""Probes, built with scapy: one packet each, known again by its key."""

from __future__ import annotations

import secrets

from msgspec import Struct, field

from netlab.pathcheck.decode import endpoint
from netlab.pathcheck.protocols import BY_NAME, Outgoing, Protocol, ProtocolName

# Below the range from which kernels pick ports, above the well-known servers.
_PORTS = range(10240, 29952)


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
    from netlab.pathcheck.layers import IP, IPv6

    if ":" in probe.dst:
        version, head = 6, IPv6(src=probe.src, dst=probe.dst, fl=probe.ip_id)
    else:
        version, head = 4, IP(src=probe.src, dst=probe.dst, id=probe.ip_id, flags="DF")
    content = Outgoing(version, probe.sport, probe.dport, probe.key, probe.payload)
    return bytes(head / probe.protocol.layer(content))
