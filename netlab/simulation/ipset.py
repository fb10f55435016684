"""What `-m set --match-set NAME src,dst` asks of a packet, by the members that sets have. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Protocol

from netlab.simulation.knowledge import Unsure
from netlab.simulation.packet import Packet

_SIDES = {"src", "dst"}
_PARTS = {"ip", "net", "port", "iface"}
_WITH_PORTS = ("tcp", "udp", "sctp", "udplite")


class Members(Protocol):
    """A set: what its members are made of, those that are in it, and those that are not though a
    wider one is."""

    parts: tuple[str, ...]
    members: list[tuple[str, ...]]
    but: list[tuple[str, ...]]


class IpSets:
    """All sets by their names."""

    def __init__(self, sets: Mapping[str, Members]) -> None:
        self._sets = sets

    def __bool__(self) -> bool:
        return bool(self._sets)

    def knows(self, words: Sequence[str]) -> bool:
        """Whether it can be told what is in a set, whose name and directions these words are."""
        one = self._sets.get(words[0])
        if one is None or len(words) != 2:
            return False
        if one.parts == ("set",):
            inner = [self._sets.get(member[0]) for member in one.members]
            return all(each is not None and each.parts != one.parts for each in inner) and all(
                self.knows([member[0], words[1]]) for member in one.members
            )
        sides = words[1].split(",")
        return set(one.parts) <= _PARTS and len(sides) >= len(one.parts) and set(sides) <= _SIDES

    def has(self, words: Sequence[str], packet: Packet) -> bool:
        """Whether a packet is in a set that it knows. Raises `Unsure`, or `ValueError` for members
        that nobody understands."""
        one = self._sets[words[0]]
        if one.parts == ("set",):
            return self._in_any([[member[0], words[1]] for member in one.members], packet)
        asked = list(zip(one.parts, words[1].split(","), strict=False))
        found = [(member, True) for member in one.members if _fits(asked, member, packet)]
        found += [(member, False) for member in one.but if _fits(asked, member, packet)]
        for member, so in sorted(found, key=lambda each: widths(asked, each[0]), reverse=True):
            if _passes(asked, member, packet):
                return so
        return False

    def _in_any(self, sets: Sequence[Sequence[str]], packet: Packet) -> bool:
        """What nobody told is asked for where no set has it for certain."""
        untold: Unsure | None = None
        for words in sets:
            try:
                if self.has(words, packet):
                    return True
            except Unsure as unsure:
                untold = untold or unsure
        if untold is not None:
            raise untold
        return False


Asked = Sequence[tuple[str, str]]


def _fits(asked: Asked, member: Sequence[str], packet: Packet) -> bool:
    """All but links, which nobody may have told of."""
    if len(asked) != len(member):
        raise ValueError(",".join(member))
    return all(
        part == "iface" or (_port if part == "port" else _address)(side, text, packet)
        for (part, side), text in zip(asked, member, strict=True)
    )


def _address(side: str, text: str, packet: Packet) -> bool:
    address = packet.source if side == "src" else packet.destination
    return ipaddress.ip_address(address) in ipaddress.ip_network(text, strict=False)


def _port(side: str, text: str, packet: Packet) -> bool:
    """`tcp:80`, or `80` of whatever has ports."""
    protocol, _, number = text.rpartition(":")
    if packet.protocol not in _WITH_PORTS:
        if protocol.startswith("icmp") and "icmp" in packet.protocol:
            raise ValueError(text)
        return False
    if protocol not in ("", packet.protocol):
        return False
    low, _, high = number.partition("-")
    return int(low) <= (packet.sport if side == "src" else packet.dport) <= int(high or low)


def _passes(asked: Asked, member: Sequence[str], packet: Packet) -> bool:
    return all(
        packet.passes("comes in by" if side == "src" else "leaves by", text)
        for (part, side), text in zip(asked, member, strict=True)
        if part == "iface"
    )


def widths(asked: Asked, member: Sequence[str]) -> tuple[int, ...]:
    """The lengths of its networks: of those that a packet is in the narrowest counts."""
    return tuple(
        ipaddress.ip_network(text, strict=False).prefixlen
        for (part, _), text in zip(asked, member, strict=True)
        if part in ("ip", "net")
    )
