"""Which packets a capture is to keep: those between two sides, whatever NAT made of them. Pure."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

_FRAGMENT = 44
_WITH_PORTS = (6, 17, 132)
_ERRORS = {1: (3, 5, 11, 12), 58: (1, 2, 3, 4, 137)}
"""Types of ICMP messages, by its protocol number, that quote a packet."""


class Ends(NamedTuple):
    """Who a packet is from and for. Ports are 0 where it has none, or is a fragment without them;
    `protocol` is the IP header's number, `content` what follows that."""

    protocol: int
    source: str
    sport: int
    destination: str
    dport: int
    content: bytes


class Side(Struct, frozen=True):
    """One side of a conversation: addresses with whatever port, and `doors` with one of theirs."""

    addresses: frozenset[str] = frozenset()
    doors: frozenset[tuple[str, int]] = frozenset()

    def all(self) -> frozenset[str]:
        """Its addresses, with ports or without."""
        return self.addresses | {address for address, _ in self.doors}

    def has(self, address: str, port: int) -> bool:
        """Whether a packet's end is on this side; without a port (0) the address alone counts."""
        if address in self.addresses or (address, port) in self.doors:
            return True
        return not port and address in self.all()


class Conversation(Struct, frozen=True):
    """What is between two sides in either direction, and ICMP errors about it; None is anybody.
    `protocols` are numbers, empty for any."""

    sender: Side | None = None
    target: Side | None = None
    protocols: frozenset[int] = frozenset()

    def addresses(self) -> frozenset[str]:
        """Addresses of which each of its packets has one; none where any packet may be one."""
        side = self.target or self.sender
        return side.all() if side is not None else frozenset()

    def has(self, data: bytes) -> bool:
        """Whether a packet, from its IP header on, is part of it."""
        if self.sender is None and self.target is None and not self.protocols:
            return True
        return any(self._is_between(ends) for ends in _told(data))

    def _is_between(self, ends: Ends) -> bool:
        if self.protocols and ends.protocol not in self.protocols:
            return False
        there = (ends.source, ends.sport), (ends.destination, ends.dport)
        return self._goes(*there) or self._goes(*reversed(there))

    def _goes(self, source: tuple[str, int], destination: tuple[str, int]) -> bool:
        return (self.sender is None or self.sender.has(*source)) and (
            self.target is None or self.target.has(*destination)
        )


def _told(data: bytes) -> Iterator[Ends]:
    """The packet's ends, and those of one that it quotes."""
    ends = ends_of(data)
    if ends is None:
        return
    yield ends
    if ends.content[:1] and ends.content[0] in _ERRORS.get(ends.protocol, ()):
        quoted = ends_of(ends.content[8:])
        if quoted is not None:
            yield quoted


def ends_of(data: bytes) -> Ends | None:
    """Whose a packet is; None for what is too short to tell."""
    try:
        return _ends_v4(data) if data[0] >> 4 == 4 else _ends_v6(data)
    except (IndexError, struct.error, ValueError, OSError):  # inet_ntoa's is OSError
        return None


def _ends_v4(data: bytes) -> Ends:
    (fragment,) = struct.unpack_from("!H", data, 6)
    source, destination = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    content = data[(data[0] & 0xF) * 4 :]
    return _ends(data[9], source, destination, content, whole=not fragment & 0x1FFF)


def _ends_v6(data: bytes) -> Ends:
    protocol, content, whole = data[6], data[40:], True
    if protocol == _FRAGMENT:
        protocol, (offset,) = content[0], struct.unpack_from("!H", content, 2)
        content, whole = content[8:], not offset >> 3
    source = socket.inet_ntop(socket.AF_INET6, data[8:24])
    destination = socket.inet_ntop(socket.AF_INET6, data[24:40])
    return _ends(protocol, source, destination, content, whole=whole)


def _ends(protocol: int, source: str, destination: str, content: bytes, *, whole: bool) -> Ends:
    sport = dport = 0
    if whole and protocol in _WITH_PORTS:
        sport, dport = struct.unpack_from("!HH", content)
    return Ends(protocol, source, sport, destination, dport, content if whole else b"")
