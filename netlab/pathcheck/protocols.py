"""What checks know of each protocol, as a record: how its probe is built, and read again.

Every probe carries a 32-bit key that no NAT touches: a TCP probe as its sequence number, one of
SCTP as the tag that answers bear, the others in their payload as `netlab-<8 hex digits>`. By it one
packet is known again at every hop, in an ICMP error that quotes it, and in the reply that
acknowledges it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Literal, NamedTuple

from msgspec import Struct

ProtocolName = Literal["tcp", "udp", "icmp", "sctp"]

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

    `write` gives what of a probe follows its IP header, with a checksum of 0 at `checksum_at`;
    `read` raises `struct.error` or `IndexError` for what is too short. One that `acknowledges`
    names the probe it is for; without, silence is no fault. `connects`: a real connection, too.
    `seconds` is how long an answer is waited for: a packet crosses the lab in well under a
    millisecond, so this is for a machine that is busy.
    """

    name: ProtocolName
    numbers: tuple[int, ...]
    write: Callable[[Outgoing], bytes]
    read: Callable[[bytes], Content]
    checksum_at: int
    has_ports: bool = True
    acknowledges: bool = True
    connects: bool = False
    seconds: float = 1.0


def _syn(probe: Outgoing) -> bytes:
    words = 6  # of 4 bytes, with an option: segments of 1400 bytes at most
    head = struct.pack(
        "!HHIIBBHHH", probe.sport, probe.dport, probe.key, 0, words << 4, SYN, 8192, 0, 0
    )
    return head + struct.pack("!BBH", 2, 4, 1400)


def _read_tcp(data: bytes) -> Content:
    sport, dport, seq = struct.unpack_from("!HHI", data)
    if len(data) < 14:  # quoted in an ICMP error that carries no more than 8 bytes
        return Content(sport, dport, SYN, seq)
    (ack,) = struct.unpack_from("!I", data, 8)
    flags = data[13]
    answers = (ack - 1) % 2**32 if flags & ACK else None
    key = seq if flags & (SYN | ACK) == SYN else None if flags & SYN else _token(data)
    return Content(sport, dport, flags, key, answers)


def _datagram(probe: Outgoing) -> bytes:
    data = _payload(probe)
    return struct.pack("!HHHH", probe.sport, probe.dport, 8 + len(data), 0) + data


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


def _echo(probe: Outgoing) -> bytes:
    kind = _ECHO_REQUESTS[probe.version == 6]
    return struct.pack("!BBHHH", kind, 0, 0, probe.sport, 1) + _payload(probe)


def _read_icmp(data: bytes) -> Content:
    if data[0] in _ECHO_REQUESTS:
        return Content(key=_token(data))
    return Content(answers=_token(data) if data[0] in _ECHO_REPLIES else None)


def _token(data: bytes) -> int | None:
    found = _TOKEN.search(data, 8)
    return int(found[1], 16) if found else None


_INIT, _INIT_ACK, _ABORT = 1, 2, 6


def _init(probe: Outgoing) -> bytes:
    """An INIT chunk, which asks for an association of one stream each way."""
    head = struct.pack("!HHII", probe.sport, probe.dport, 0, 0)
    chunk = struct.pack("!IIHHI", probe.key, 1500, 1, 1, probe.key)
    return head + struct.pack("!BBH", _INIT, 0, 4 + len(chunk)) + chunk


def _read_sctp(data: bytes) -> Content:
    sport, dport, tag = struct.unpack_from("!HHI", data)
    if len(data) < 20:  # quoted in an ICMP error that carries no more than 8 bytes
        return Content(sport, dport)
    kind = data[12]
    if kind == _INIT:
        return Content(sport, dport, 0, struct.unpack_from("!I", data, 16)[0])
    answers = tag if kind in (_INIT_ACK, _ABORT) else None
    return Content(sport, dport, RST if kind == _ABORT else 0, None, answers)


TCP = Protocol("tcp", (6,), _syn, _read_tcp, 16, connects=True)
UDP = Protocol("udp", (17,), _datagram, _read_udp, 6, acknowledges=False, seconds=0.3)
ICMP = Protocol("icmp", (1, 58), _echo, _read_icmp, 2, has_ports=False)
SCTP = Protocol("sctp", (132,), _init, _read_sctp, 8)

PROTOCOLS = (TCP, UDP, ICMP, SCTP)
BY_NAME = {protocol.name: protocol for protocol in PROTOCOLS}
BY_NUMBER = {number: protocol for protocol in PROTOCOLS for number in protocol.numbers}
