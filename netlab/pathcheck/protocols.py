"""What checks know of each protocol, as a record: how its probe is built, and read again.

Every probe carries a 32-bit key that no NAT touches: a TCP probe as its sequence number, the others
in their payload as `netlab-<8 hex digits>`. By it one packet is known again at every hop, in an
ICMP error that quotes it, and in the reply that acknowledges it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from msgspec import Struct

ProtocolName = Literal["tcp", "udp", "icmp"]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
_TOKEN = re.compile(rb"netlab-([0-9a-f]{8})")
_ECHO_REQUESTS, _ECHO_REPLIES = (8, 128), (0, 129)


class Content(NamedTuple):
    """What follows the IP header. `key` is the probe this is, `answers` the one it replies to."""

    sport: int = 0
    dport: int = 0
    flags: int = 0
    key: int | None = None
    answers: int | None = None


class Outgoing(NamedTuple):
    """What of a probe follows its IP header; without ports, `sport` is its identifier. `payload`
    is what it carries beside its key."""

    version: int
    sport: int
    dport: int
    key: int
    payload: str = ""


class Protocol(Struct, frozen=True):
    """A protocol that a PathCheck can name; `numbers` are those in IPv4's and IPv6's headers.

    `layer` builds a probe with scapy, `read` raises `struct.error` or `IndexError` for what is too
    short. An answer that `acknowledges` says which probe it is for; without, silence is no fault.
    `connects`: a real connection is made, too. `seconds` is how long an answer is waited for: a
    packet crosses the lab in well under a millisecond, so this is for a machine that is busy.
    """

    name: ProtocolName
    numbers: tuple[int, ...]
    layer: Callable[[Outgoing], Any]
    read: Callable[[bytes], Content]
    has_ports: bool = True
    acknowledges: bool = True
    connects: bool = False
    seconds: float = 1.0


def _syn(probe: Outgoing) -> Any:
    from netlab.pathcheck.layers import TCP

    options = [("MSS", 1400)]
    return TCP(sport=probe.sport, dport=probe.dport, flags="S", seq=probe.key, options=options)


def _read_tcp(data: bytes) -> Content:
    sport, dport, seq = struct.unpack_from("!HHI", data)
    if len(data) < 14:  # quoted in an ICMP error that carries no more than 8 bytes
        return Content(sport, dport, SYN, seq)
    (ack,) = struct.unpack_from("!I", data, 8)
    flags = data[13]
    answers = (ack - 1) % 2**32 if flags & ACK else None
    key = seq if flags & (SYN | ACK) == SYN else None if flags & SYN else _token(data)
    return Content(sport, dport, flags, key, answers)


def _datagram(probe: Outgoing) -> Any:
    from netlab.pathcheck.layers import UDP

    return UDP(sport=probe.sport, dport=probe.dport) / _payload(probe)


def _payload(probe: Outgoing) -> bytes:
    """The text that carries a probe's key; for DNS servers as a question they can answer."""
    token = f"netlab-{probe.key:08x}"
    if probe.payload:
        return f"{token} {probe.payload}\n".encode()
    if probe.dport != 53:
        return f"{token}\n".encode()
    from dnslib import DNSRecord

    return bytes(DNSRecord.question(f"{token}.invalid").pack())


def _read_udp(data: bytes) -> Content:
    sport, dport = struct.unpack_from("!HH", data)
    key = _token(data)
    # An answer that repeats the token looks like the probe; the ports tell them apart.
    return Content(sport, dport, 0, key, key)


def _echo(probe: Outgoing) -> Any:
    from netlab.pathcheck.layers import ICMP, ICMPv6EchoRequest

    if probe.version == 6:
        return ICMPv6EchoRequest(id=probe.sport, seq=1, data=_payload(probe))
    return ICMP(id=probe.sport, seq=1) / _payload(probe)


def _read_icmp(data: bytes) -> Content:
    if data[0] in _ECHO_REQUESTS:
        return Content(key=_token(data))
    return Content(answers=_token(data) if data[0] in _ECHO_REPLIES else None)


def _token(data: bytes) -> int | None:
    found = _TOKEN.search(data, 8)
    return int(found[1], 16) if found else None


TCP = Protocol("tcp", (6,), _syn, _read_tcp, connects=True)
UDP = Protocol("udp", (17,), _datagram, _read_udp, acknowledges=False, seconds=0.3)
ICMP = Protocol("icmp", (1, 58), _echo, _read_icmp, has_ports=False)

PROTOCOLS = (TCP, UDP, ICMP)
BY_NAME = {protocol.name: protocol for protocol in PROTOCOLS}
BY_NUMBER = {number: protocol for protocol in PROTOCOLS for number in protocol.numbers}
