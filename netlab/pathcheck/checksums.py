"""Checksums of the headers that probes have. Pure.

Source: RFC 1071 (the internet's).
"""

from __future__ import annotations

import struct

from netlab.workload.crc32c import crc32c

_ICMP, _SCTP = 1, 132


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
