"""The headers of a captured packet, read by hand: a capture holds thousands of them. Pure."""

from __future__ import annotations

import socket
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from netlab.objects.addresses import join_host_port
from netlab.pathcheck.protocols import BY_NUMBER, ICMP, UDP, Protocol, ProtocolName

# ICMP messages that quote the packet they are about, by IP version.
_ERRORS = {4: {3, 11, 12}, 6: {1, 2, 3, 4}}
_KEYED = 72  # bytes of a datagram, its header among them
_PORT_UNREACHABLE = {4: (3, 3), 6: (1, 4)}


class CapturedPacket(Struct, frozen=True):
    """What a probe's life needs of a packet; ports are 0 and `quoted` None where there is none.

    `key` is the probe this packet is, `answers` the probe it replies to (or quotes),
    `icmp_error` the type and code by which an ICMP message tells of one that did not arrive.
    `ip_id` is IPv4's identification, in IPv6 the flow label: no NAT changes either.
    """

    version: int
    src: str
    dst: str
    proto: ProtocolName
    sport: int = 0
    dport: int = 0
    flags: int = 0
    ip_id: int = 0
    key: int | None = None
    answers: int | None = None
    icmp_error: tuple[int, int] | None = None

    @property
    def source(self) -> str:
        """`10.244.1.5:40000`, `[fd00::5]:40000`; without ports the address alone."""
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
    """One packet passing one interface: where, in which direction, when (ns since 1970). `data` are
    its first bytes, from its IP header on."""

    place: str
    ifname: str
    outgoing: bool
    time: int
    packet: CapturedPacket
    data: bytes = b""


@lru_cache(maxsize=8192)
def endpoint(address: str, port: int) -> str:
    """Address and port in one, IPv6 in brackets; the address alone without a port (0)."""
    return join_host_port(address, port) if port else address


def split(endpoint: str) -> tuple[str, int]:
    """The address and the port of what `endpoint` made."""
    address, _, port = endpoint.rpartition(":")
    if endpoint.startswith("[") or (address and ":" not in address):
        return address.strip("[]"), int(port)
    return endpoint, 0


Decode = Callable[[bytes], CapturedPacket | None]


def decode(data: bytes) -> CapturedPacket | None:
    """The packet that starts with this IP header; None for a fragment, noise, another protocol."""
    return _decoded(data, by_content=False)


def decode_anybody_s(data: bytes) -> CapturedPacket | None:
    """The same; a datagram that bears no probe's key has its content as one, and so has an error
    about it."""
    return _decoded(data, by_content=True)


def _decoded(data: bytes, *, by_content: bool) -> CapturedPacket | None:
    try:
        how = _decode_v4 if data[0] >> 4 == 4 else _decode_v6
        return how(data, by_content=by_content)
    except (struct.error, IndexError, ValueError, OSError):  # too short; inet_ntoa's is OSError
        return None


def _decode_v4(data: bytes, *, by_content: bool) -> CapturedPacket | None:
    ip_id, fragment = struct.unpack_from("!HH", data, 4)
    protocol = BY_NUMBER.get(data[9])
    if protocol is None or fragment & 0x1FFF:
        return None
    src, dst = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    content = data[(data[0] & 0xF) * 4 :]
    return _content(4, src, dst, protocol, content, ip_id, by_content=by_content)


def _decode_v6(data: bytes, *, by_content: bool) -> CapturedPacket | None:
    protocol = BY_NUMBER.get(data[6])
    if data[0] >> 4 != 6 or protocol is None:
        return None
    src = socket.inet_ntop(socket.AF_INET6, data[8:24])
    dst = socket.inet_ntop(socket.AF_INET6, data[24:40])
    flow_label = struct.unpack_from("!I", data)[0] & 0xFFFFF
    return _content(6, src, dst, protocol, data[40:], flow_label, by_content=by_content)


def _content(
    version: int, src: str, dst: str, protocol: Protocol, data: bytes, ip_id: int,
    *, by_content: bool,
) -> CapturedPacket:  # fmt: skip
    if protocol is ICMP and data[0] in _ERRORS[version]:
        return _error(version, src, dst, data, ip_id, by_content=by_content)
    sport, dport, flags, key, answers = protocol.read(data)
    packet = CapturedPacket(
        version, src, dst, protocol.name, sport, dport, flags, ip_id, key, answers
    )
    if by_content and protocol is UDP and key is None:
        return replace(packet, key=_content_key(data))
    return packet


def _content_key(data: bytes) -> int:
    """Of a datagram's length and first bytes, which no NAT touches and an error quotes."""
    return zlib.crc32(data[4:6] + data[8:_KEYED])


def _error(
    version: int, src: str, dst: str, data: bytes, ip_id: int, *, by_content: bool
) -> CapturedPacket:
    quoted = _decoded(data[8:], by_content=by_content) if len(data) > 8 else None
    about, error = quoted.key if quoted is not None else None, (data[0], data[1])
    return CapturedPacket(version, src, dst, "icmp", ip_id=ip_id, answers=about, icmp_error=error)
