"""The kernel's filters for captures: what can be a probe, an answer, an error about it. Pure."""

from __future__ import annotations

import struct

from msgspec import Struct

from netlab import bpf

SNAP = 256  # bytes taken of each packet: headers, and a UDP probe's token

_NEXT = ""
_SYN_OR_RST = 0x06

# The IP header is at 0.
_PROGRAM: tuple[bpf.Line, ...] = (
    ("", "load-half", bpf.ETHERTYPE, _NEXT, _NEXT),
    ("", "equal", 0x0800, _NEXT, "IPv6"),
    ("", "load-byte", 9, _NEXT, _NEXT),
    ("", "equal", 17, "take", _NEXT),  # UDP
    ("", "equal", 1, "take", _NEXT),  # ICMP
    ("", "equal", 6, _NEXT, "drop"),  # TCP
    ("", "load-header-length", 0, _NEXT, _NEXT),
    ("", "load-byte-after-header", 13, _NEXT, _NEXT),
    ("", "any-bit", _SYN_OR_RST, "take", "drop"),
    ("IPv6", "equal", 0x86DD, _NEXT, "drop"),
    ("", "load-byte", 6, _NEXT, _NEXT),
    ("", "equal", 17, "take", _NEXT),
    ("", "equal", 58, "take", _NEXT),  # ICMPv6
    ("", "equal", 6, _NEXT, "drop"),
    ("", "load-byte", 40 + 13, _NEXT, _NEXT),
    ("", "any-bit", _SYN_OR_RST, "take", "drop"),
    ("drop", "return", 0, _NEXT, _NEXT),
    ("take", "return", SNAP, _NEXT, _NEXT),
)


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
STREAMS = Filter(_STREAMS, _STREAM_SNAP)
"""All of TCP, with what it carries; and the canaries, which are of UDP."""
