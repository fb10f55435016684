"""The headers of a captured packet, read by hand: a capture holds thousands of them. Pure.

Every probe carries a 32-bit key that no NAT touches: a TCP probe as its sequence number, a UDP
probe in its payload as `netlab-<8 hex digits>`. By it one packet is known again at every hop, in
an ICMP error that quotes it, and in the reply that acknowledges it.
"""

from __future__ import annotations

import re
import socket
import struct
from typing import Literal

from msgspec import Struct

Proto = Literal["tcp", "udp", "icmp"]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
TOKEN = re.compile(rb"netlab-([0-9a-f]{8})")

_PROTOCOLS: dict[int, Proto] = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp"}
# ICMP messages that quote the packet they are about, by IP version.
_ERRORS = {4: {3, 11, 12}, 6: {1, 2, 3, 4}}
_PORT_UNREACHABLE = {4: (3, 3), 6: (1, 4)}


class CapturedPacket(Struct, frozen=True):
    """What a probe's life needs of a packet; ports are 0 and `quoted` None where there is none.

    `key` is the probe this packet is, `answers` the probe it replies to (or quotes),
    `icmp_error` the type and code by which an ICMP message tells of one that did not arrive.
    """

    version: int
    src: str
    dst: str
    proto: Proto
    sport: int = 0
    dport: int = 0
    flags: int = 0
    ip_id: int = 0
    key: int | None = None
    answers: int | None = None
    icmp_error: tuple[int, int] | None = None

    @property
    def source(self) -> str:
        """`10.244.1.5:40000`, `[fd00::5]:40000`."""
        return endpoint(self.src, self.sport)

    @property
    def destination(self) -> str:
        """`10.96.0.7:80`, `[fd00::7]:80`."""
        return endpoint(self.dst, self.dport)

    @property
    def port_unreachable(self) -> bool:
        """True for the ICMP error by which nobody at all refuses: no listener, or a REJECT."""
        return self.icmp_error == _PORT_UNREACHABLE[self.version]


class Observation(Struct, frozen=True):
    """One packet passing one interface: where, in which direction, when (ns since 1970)."""

    place: str
    ifname: str
    outgoing: bool
    time: int
    packet: CapturedPacket


def endpoint(address: str, port: int) -> str:
    """Address and port in one, IPv6 in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def decode(data: bytes) -> CapturedPacket | None:
    """The packet that starts with this IP header; None for a fragment, noise, another protocol."""
    try:
        return _decode_v4(data) if data[0] >> 4 == 4 else _decode_v6(data)
    except (struct.error, IndexError, ValueError, OSError):  # too short; inet_ntoa's is OSError
        return None


def _decode_v4(data: bytes) -> CapturedPacket | None:
    ip_id, fragment = struct.unpack_from("!HH", data, 4)
    proto = _PROTOCOLS.get(data[9])
    if proto is None or fragment & 0x1FFF:
        return None
    src, dst = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    return _transport(4, src, dst, proto, data[(data[0] & 0xF) * 4 :], ip_id)


def _decode_v6(data: bytes) -> CapturedPacket | None:
    proto = _PROTOCOLS.get(data[6])
    if data[0] >> 4 != 6 or proto is None:
        return None
    src = socket.inet_ntop(socket.AF_INET6, data[8:24])
    dst = socket.inet_ntop(socket.AF_INET6, data[24:40])
    return _transport(6, src, dst, proto, data[40:], 0)


def _transport(
    version: int, src: str, dst: str, proto: Proto, data: bytes, ip_id: int
) -> CapturedPacket | None:
    if proto == "icmp":
        return _icmp(version, src, dst, data, ip_id)
    sport, dport = struct.unpack_from("!HH", data)
    if proto == "udp":
        found = TOKEN.search(data, 8)
        key = int(found[1], 16) if found else None
        # An answer that repeats the token looks like the probe; the ports tell them apart.
        return CapturedPacket(version, src, dst, proto, sport, dport, 0, ip_id, key, key)
    (seq,) = struct.unpack_from("!I", data, 4)
    if len(data) < 14:  # quoted in an ICMP error that carries no more than 8 bytes
        return CapturedPacket(version, src, dst, proto, sport, dport, SYN, ip_id, seq)
    (ack,) = struct.unpack_from("!I", data, 8)
    flags = data[13]
    answers = (ack - 1) % 2**32 if flags & ACK else None
    key = seq if flags & (SYN | ACK) == SYN else None
    return CapturedPacket(version, src, dst, proto, sport, dport, flags, ip_id, key, answers)


def _icmp(version: int, src: str, dst: str, data: bytes, ip_id: int) -> CapturedPacket:
    is_error = data[0] in _ERRORS[version]
    quoted = decode(data[8:]) if is_error and len(data) > 8 else None
    about = quoted.key if quoted is not None else None
    error = (data[0], data[1]) if is_error else None
    return CapturedPacket(version, src, dst, "icmp", ip_id=ip_id, answers=about, icmp_error=error)
