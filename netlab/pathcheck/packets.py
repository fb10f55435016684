"""Probes, built with scapy: one TCP SYN or one UDP datagram each, known again by its key."""

from __future__ import annotations

import secrets
from typing import Literal

from msgspec import Struct, field

# Below the range from which kernels pick ports, above the well-known servers.
_PORTS = range(10240, 29952)


class ProbePacket(Struct, frozen=True):
    """One packet to send: from a place and address, to an address and port."""

    key: int
    proto: Literal["tcp", "udp"]
    src: str
    sport: int
    dst: str
    dport: int
    ip_id: int


class ProbeNumbers(Struct):
    """Keys, source ports and IP ids that no other probe of this run has.

    They start at random, so that a run does not meet conntrack's memory of the one before.
    """

    _prefix: int = field(default_factory=lambda: secrets.randbits(16) << 16)
    _port: int = field(default_factory=lambda: secrets.choice(_PORTS))
    _next: int = 0

    def probe(self, proto: Literal["tcp", "udp"], src: str, dst: str, dport: int) -> ProbePacket:
        """The next probe of this run."""
        number = self._next = self._next + 1
        sport = _PORTS[(self._port + number) % len(_PORTS)]
        # IP id 0 would be filled in by the kernel.
        ip_id = (number - 1) % 0xFFFF + 1
        return ProbePacket(self._prefix + number % 2**16, proto, src, sport, dst, dport, ip_id)


def build(probe: ProbePacket) -> bytes:
    """The probe as bytes from its IP header on, with checksums."""
    # Imported late: it takes 0.2 s, which only `netlab check` should pay.
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6

    if ":" in probe.dst:
        head = IPv6(src=probe.src, dst=probe.dst)
    else:
        head = IP(src=probe.src, dst=probe.dst, id=probe.ip_id, flags="DF")
    if probe.proto == "tcp":
        options = [("MSS", 1400)]
        tcp = TCP(sport=probe.sport, dport=probe.dport, flags="S", seq=probe.key, options=options)
        return bytes(head / tcp)
    return bytes(head / UDP(sport=probe.sport, dport=probe.dport) / payload(probe))


def payload(probe: ProbePacket) -> bytes:
    """The text that carries a UDP probe's key; for DNS servers as a question they can answer."""
    token = f"netlab-{probe.key:08x}"
    if probe.dport != 53:
        return f"{token}\n".encode()
    from dnslib import DNSRecord

    return bytes(DNSRecord.question(f"{token}.invalid").pack())
