"""pcapng, as Wireshark reads it: packets from their IP header on, at interfaces with names. Pure.

scapy writes it too, in microseconds that lose their order, and with an interface that nobody has.

    section header, then for each interface its description before the first of its packets
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Protocol

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_MAGIC = 0x1A2B3C4D
# LINKTYPE_LINUX_SLL, as `tcpdump -i any` has it: a header that says which way, and which protocol.
# (LINKTYPE_RAW would need none, but libpcap reads no file with several interfaces of that.)
_COOKED = 113
_COOKED_HEADER = struct.Struct("!HHHxxxxxxxxH")
_TO_US, _FROM_US, _ETHER = 0, 4, 1
_COMMENT, _APPLICATION, _NAME, _FLAGS, _RESOLUTION = 1, 4, 2, 2, 9
_NANOSECONDS = b"\x09"
_LONGEST = 0xFFFF
"""Bytes that a comment may have."""

_INWARD, _OUTWARD = 1, 2


class Copy(Protocol):
    """A packet at an interface: when (ns since 1970), and what of it, from its IP header on."""

    @property
    def place(self) -> str: ...  # noqa: D102
    @property
    def ifname(self) -> str: ...  # noqa: D102
    @property
    def outgoing(self) -> bool: ...  # noqa: D102
    @property
    def time(self) -> int: ...  # noqa: D102
    @property
    def data(self) -> bytes: ...  # noqa: D102


class Writer:
    """Makes the blocks of one file, in order: first `header`, then of each packet `blocks`."""

    def __init__(self) -> None:
        self._interfaces: dict[str, int] = {}

    def header(self) -> bytes:
        """What a file begins with."""
        body = struct.pack("<IHHq", _MAGIC, 1, 0, -1)
        return _block(_SECTION, body, [(_APPLICATION, b"netlab")])

    def blocks(self, seen: Copy, comment: str = "") -> bytes:
        """A packet at the interface `place:ifname`, which is described if it is a new one.

        Each line of `comment` is a comment: one of several lines tshark 4.4 shows line by line and
        as a whole, 4.0 as a whole.
        """
        name = f"{seen.place}:{seen.ifname}"
        described = b""
        if name not in self._interfaces:
            self._interfaces[name] = len(self._interfaces)
            body = struct.pack("<HHI", _COOKED, 0, 0)
            described = _block(
                _INTERFACE, body, [(_NAME, _text(name)), (_RESOLUTION, _NANOSECONDS)]
            )
        return described + _packet(self._interfaces[name], seen, comment)


def file(packets: Iterable[tuple[Copy, str]]) -> bytes:
    """All of a file: packets with their comments."""
    return b"".join(_blocks(packets))


def _blocks(packets: Iterable[tuple[Copy, str]]) -> Iterator[bytes]:
    writer = Writer()
    yield writer.header()
    for seen, comment in packets:
        yield writer.blocks(seen, comment)


def _packet(interface: int, seen: Copy, comment: str) -> bytes:
    high, low = divmod(seen.time, 2**32)
    data = _header(seen) + seen.data
    length = max(_COOKED_HEADER.size + _length(seen.data), len(data))
    body = struct.pack("<IIIII", interface, high, low, len(data), length)
    flags = struct.pack("<I", _OUTWARD if seen.outgoing else _INWARD)
    options = [(_COMMENT, _text(line)) for line in comment.splitlines()]
    return _block(_PACKET, body + _padded(data), [*options, (_FLAGS, flags)])


def _header(seen: Copy) -> bytes:
    ethertype = 0x0800 if seen.data[0] >> 4 == 4 else 0x86DD
    return _COOKED_HEADER.pack(_FROM_US if seen.outgoing else _TO_US, _ETHER, 0, ethertype)


def _length(data: bytes) -> int:
    """A packet's bytes on the wire: its beginning is all that a capture takes."""
    if data[0] >> 4 == 4:
        return int(struct.unpack_from("!H", data, 2)[0])
    return 40 + int(struct.unpack_from("!H", data, 4)[0])


def _block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    body += b"".join(
        struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options
    )
    body += bytes(4)  # no more options
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _text(text: str) -> bytes:
    """As UTF-8, of whole characters, however much of it there is room for."""
    found = text.encode(errors="replace")[:_LONGEST]
    return found.decode(errors="ignore").encode()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
