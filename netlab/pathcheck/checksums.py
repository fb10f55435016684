"""Checksums of the headers that probes have. Pure.

Sources: RFC 1071 (the internet's), RFC 9260, appendix A (CRC32c, which SCTP has).
"""

from __future__ import annotations

import struct
from functools import cache

_ICMP, _SCTP = 1, 132
_CASTAGNOLI = 0x82F63B78


def with_checksum(number: int, ends: bytes, content: bytes, at: int) -> bytes:
    """What follows an IP header, with its checksum, which is 0 there. `ends` are both addresses, of
    either version, `number` is the protocol's."""
    if number == _SCTP:
        return content[:at] + struct.pack("<I", crc32c(content)) + content[at + 4 :]
    pseudo = b"" if number == _ICMP else ends + struct.pack("!II", len(content), number)
    return with_sum(content, at, checksum(pseudo + content))


def with_sum(data: bytes, at: int, value: int) -> bytes:
    """The data with a number of 16 bits at a place."""
    return data[:at] + struct.pack("!H", value) + data[at + 2 :]


def checksum(data: bytes) -> int:
    """The internet's."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def crc32c(data: bytes) -> int:
    """Castagnoli's."""
    table, value = _table(), 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    found = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (_CASTAGNOLI if number & 1 else 0)
        found.append(number)
    return tuple(found)
