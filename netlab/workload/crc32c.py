"""CRC32c, the checksum that SCTP has. Pure; pods' programs have it, too.

Source: RFC 9260, appendix A.
"""

from __future__ import annotations

from functools import cache

_CASTAGNOLI = 0x82F63B78


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
