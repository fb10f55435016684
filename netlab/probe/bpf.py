"""The kernel's filter for captures: what can be a probe, its answer, or an error about it. Pure.

Classic BPF, written with names and assembled here, since its jumps are relative and easily wrong.
"""

from __future__ import annotations

import struct

SNAP = 256  # bytes taken of each packet: headers, and a UDP probe's token

_CODES = {
    "load-ethertype": 0x28,
    "load-byte": 0x30,
    "load-byte-after-header": 0x50,
    "load-header-length": 0xB1,
    "equal": 0x15,
    "any-bit": 0x45,
    "return": 0x06,
}
_ETHERTYPE = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL
_NEXT = ""
_SYN_OR_RST = 0x06

# (label, operation, operand, where to when true, where to when false); the IP header is at 0.
_PROGRAM: tuple[tuple[str, str, int, str, str], ...] = (
    ("", "load-ethertype", _ETHERTYPE, _NEXT, _NEXT),
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


def assembled() -> bytes:
    """The program as an array of `struct sock_filter`."""
    labels = {label: line for line, (label, *_) in enumerate(_PROGRAM) if label}

    def distance(line: int, label: str) -> int:
        return labels[label] - line - 1 if label else 0

    return b"".join(
        struct.pack("HBBI", _CODES[name], distance(line, yes), distance(line, no), operand)
        for line, (_, name, operand, yes, no) in enumerate(_PROGRAM)
    )


def instructions() -> int:
    """The program's length, as `struct sock_fprog` counts it."""
    return len(_PROGRAM)
