"""Netlink attributes, byte by byte: for messages of which there are several a pod."""

from __future__ import annotations

import struct
from collections.abc import Iterator

NESTED = 0x8000

_HEAD = struct.Struct("=HH")  # length, kind


def packed(kind: int, content: bytes) -> bytes:
    """One attribute, padded; attributes nested in it are its content."""
    length = _HEAD.size + len(content)
    return _HEAD.pack(length, kind) + content + bytes(-length % 4)


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, content) of each attribute."""
    offset = 0
    while offset + _HEAD.size <= len(data):
        length, kind = _HEAD.unpack_from(data, offset)
        yield kind & ~NESTED, data[offset + _HEAD.size : offset + length]
        offset += max((length + 3) & ~3, _HEAD.size)


def number(value: int) -> bytes:
    """Content: 32 bits."""
    return struct.pack("=I", value)


def text(value: str) -> bytes:
    """Content: a name."""
    return value.encode() + b"\0"


def mac(value: str) -> bytes:
    """Content: a hardware address."""
    return bytes.fromhex(value.replace(":", ""))
