"""The kernel's filters for captures: what can be a probe, an answer, an error about it. Pure."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from netlab import bpf

SNAP = 256  # bytes taken of each packet: headers, and a UDP probe's token

WHOLE = 0x40000
"""More than any packet has."""

_LARGEST = 0x10000
"""Bytes of the largest packet; IP's length field has no room for more."""

_MOST = 300  # addresses: a program has at most 4096 instructions
_LAST_WORDS = (12, 16, 20, 36)  # of IPv4's source and destination, and of IPv6's
_NEXT = ""

# ICMP tells its receiver of packets to others; there is little of it.
_ERRORS: tuple[bpf.Line, ...] = (
    ("IP", "load-byte", 9, _NEXT, _NEXT),
    ("", "equal", 1, "take", _NEXT),
    ("", "load-byte", 6, _NEXT, _NEXT),
    ("", "equal", 58, "take", "12"),
    ("take", "return", WHOLE, _NEXT, _NEXT),
)
_SYN_OR_RST = 0x06

# The IP header is at 0.
_PROGRAM: tuple[bpf.Line, ...] = (
    ("", "load-half", bpf.ETHERTYPE, _NEXT, _NEXT),
    ("", "equal", 0x0800, _NEXT, "IPv6"),
    ("", "load-byte", 9, _NEXT, _NEXT),
    ("", "equal", 17, "take", _NEXT),  # UDP
    ("", "equal", 1, "take", _NEXT),  # ICMP
    ("", "equal", 132, "take", _NEXT),  # SCTP
    ("", "equal", 6, _NEXT, "drop"),  # TCP
    ("", "load-header-length", 0, _NEXT, _NEXT),
    ("", "load-byte-after-header", 13, _NEXT, _NEXT),
    ("", "any-bit", _SYN_OR_RST, "take", "drop"),
    ("IPv6", "equal", 0x86DD, _NEXT, "drop"),
    ("", "load-byte", 6, _NEXT, _NEXT),
    ("", "equal", 17, "take", _NEXT),
    ("", "equal", 58, "take", _NEXT),  # ICMPv6
    ("", "equal", 132, "take", _NEXT),
    ("", "equal", 6, _NEXT, "drop"),
    ("", "load-byte", 40 + 13, _NEXT, _NEXT),
    ("", "any-bit", _SYN_OR_RST, "take", "drop"),
    ("drop", "return", 0, _NEXT, _NEXT),
    ("take", "return", SNAP, _NEXT, _NEXT),
)


_ACK_OR_RST = 0x14
_SYN = 0x02


def _onward(line: bpf.Line) -> tuple[bpf.Line, ...]:
    """Of TCP what asks alone: a SYN that answers nobody."""
    if line[1:3] != ("any-bit", _SYN_OR_RST):
        return (line,)
    return (line[0], "any-bit", _ACK_OR_RST, "drop", _NEXT), ("", "any-bit", _SYN, "take", "drop")


_LOOPBACK = 0x7F000001
_OF_TCP: tuple[bpf.Line, ...] = (
    ("", "equal", 6, _NEXT, "canary"),
    ("", "load-header-length", 0, _NEXT, _NEXT),
    ("", "load-byte-after-header", 13, _NEXT, _NEXT),
    ("", "any-bit", _SYN_OR_RST, "12", "drop"),
    ("canary", "equal", 17, _NEXT, "drop"),
    ("", "load-word", 16, _NEXT, _NEXT),
    ("", "equal", _LOOPBACK, "take", "drop"),
)
_OF_TCP_V6: tuple[bpf.Line, ...] = (
    ("", "equal", 6, _NEXT, "drop"),
    ("", "load-byte", 40 + 13, _NEXT, _NEXT),
    ("", "any-bit", _SYN_OR_RST, "12", "drop"),
)
_OF_UDP: tuple[bpf.Line, ...] = (
    ("", "equal", 17, _NEXT, "drop"),
    ("", "load-word", 16, _NEXT, _NEXT),
    ("", "equal", _LOOPBACK, "take", "12"),
)
_OF_UDP_V6: tuple[bpf.Line, ...] = (("", "equal", 17, "12", "drop"),)

_STREAM_SNAP = 4096

_STREAMS: tuple[bpf.Line, ...] = (
    ("", "load-half", bpf.ETHERTYPE, _NEXT, _NEXT),
    ("", "equal", 0x0800, _NEXT, "IPv6"),
    ("", "load-byte", 9, _NEXT, _NEXT),
    ("", "equal", 6, "take", _NEXT),
    ("", "equal", 17, "take", "drop"),
    ("IPv6", "equal", 0x86DD, _NEXT, "drop"),
    ("", "load-byte", 6, _NEXT, _NEXT),
    ("", "equal", 6, "take", "drop"),
    ("drop", "return", 0, _NEXT, _NEXT),
    ("take", "return", _STREAM_SNAP, _NEXT, _NEXT),
)


class Filter(Struct, frozen=True):
    """What a capture takes: a program, and how many bytes of a packet that leaves at most."""

    program: tuple[bpf.Line, ...]
    snap: int

    def assembled(self) -> bytes:
        """The program as an array of `struct sock_filter`."""
        return b"".join(struct.pack(bpf.FORMAT, *line) for line in bpf.assembled(self.program))

    @property
    def instructions(self) -> int:
        """The program's length, as `struct sock_fprog` counts it."""
        return len(self.program)


PROBES = Filter(_PROGRAM, SNAP)
QUESTIONS = Filter(tuple(each for line in _PROGRAM for each in _onward(line)), SNAP)
"""Probes, and of answers to TCP's none: for places where nobody waits for one."""

STREAMS = Filter(_STREAMS, _STREAM_SNAP)
"""All of TCP, with what it carries; and the canaries, which are of UDP."""


def of_machines(addresses: Collection[str], protocol: Literal["tcp", "udp"]) -> Filter:
    """The filter for what begins or answers a flow of these machines, or refuses it, and for
    canaries; it may let through others', too, and takes those of all where there are too many."""
    words = sorted({_last_word(each) for each in addresses})
    if len(words) > _MOST:
        return PROBES
    v4, v6 = (_OF_TCP, _OF_TCP_V6) if protocol == "tcp" else (_OF_UDP, _OF_UDP_V6)
    program: tuple[bpf.Line, ...] = (
        ("", "load-half", bpf.ETHERTYPE, _NEXT, _NEXT),
        ("", "equal", 0x0800, _NEXT, "IPv6"),
        ("", "load-byte", 9, _NEXT, _NEXT),
        ("", "equal", 1, "12", _NEXT),
        *v4,
        ("IPv6", "equal", 0x86DD, _NEXT, "drop"),
        ("", "load-byte", 6, _NEXT, _NEXT),
        ("", "equal", 58, "12", _NEXT),
        *v6,
        ("drop", "return", 0, _NEXT, _NEXT),
        ("take", "return", SNAP, _NEXT, _NEXT),
    )
    return Filter((*program, *_tests(words, SNAP)), SNAP)


def of_addresses(addresses: Collection[str]) -> Filter:
    """The filter for IP packets from or to these addresses, or for all where there are none; it may
    let through others, too. Whole packets are taken."""
    program: list[bpf.Line] = [
        ("", "load-half", bpf.ETHERTYPE, _NEXT, _NEXT),
        ("", "equal", 0x0800, "IP", _NEXT),
        ("", "equal", 0x86DD, "IP", _NEXT),
        ("", "return", 0, _NEXT, _NEXT),
    ]
    words = {_last_word(each) for each in addresses}
    if not words or len(words) > _MOST:
        return Filter((*program, ("IP", "return", WHOLE, _NEXT, _NEXT)), _LARGEST)
    return Filter((*program, *_ERRORS, *_tests(sorted(words), WHOLE)), _LARGEST)


def _tests(words: Sequence[int], size: int) -> Iterator[bpf.Line]:
    """Take so much of what has any of the words at any of the places. IPv4's come first: what is
    shorter than IPv6's header goes no further."""
    for place, after in zip(_LAST_WORDS, (*_LAST_WORDS[1:], "none"), strict=True):
        yield str(place), "load-word", place, _NEXT, _NEXT
        for number, word in enumerate(words, 1):
            other = str(after) if number == len(words) else f"{place} {number}"
            yield f"{place} {number - 1}", "equal", word, _NEXT, other
            yield "", "return", size, _NEXT, _NEXT
    yield "none", "return", 0, _NEXT, _NEXT


def _last_word(address: str) -> int:
    return int.from_bytes(ipaddress.ip_address(address).packed[-4:], "big")
