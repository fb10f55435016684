"""What connection tracking tells: of one direction, of a connection that is new; and what
conntrack(8) lists of UDP, as flows, for whoever looks for those that lead nowhere. Pure."""

from __future__ import annotations

import re

from msgspec import Struct


class Tuple(Struct, frozen=True):
    """One direction of a connection; of an echo, `sport` is its identifier and `dport` 0."""

    source: str
    sport: int
    destination: str
    dport: int


class NewConnection(Struct, frozen=True):
    """How a connection's first packet came, and how its replies will; `time` in seconds since the
    epoch, of when it was read. A protocol that has no name here is its number."""

    time: float
    protocol: str
    original: Tuple
    reply: Tuple


class Flow(Struct, frozen=True):
    """An entry: `source` asks `destination`, and `answering` is who is expected to answer. All are
    (address, port)."""

    source: tuple[str, int]
    destination: tuple[str, int]
    answering: tuple[str, int]


def parsed(text: str) -> list[Flow]:
    """The flows of UDP that `conntrack -L` tells of."""
    return [flow for line in text.splitlines() if (flow := _flow(line)) is not None]


_KEYS = tuple(re.compile(rf"\b{key}=(\S+)") for key in ("src", "sport", "dst", "dport"))


def _flow(line: str) -> Flow | None:
    found = [key.findall(line) for key in _KEYS]
    if not line.startswith("udp ") or any(len(each) != 2 for each in found):
        return None
    (source, answering), (sport, answering_port), (to, _), (dport, _) = found
    return Flow((source, int(sport)), (to, int(dport)), (answering, int(answering_port)))
