"""The kernel's events → passages: a packet at one hook's chain of one table, rule by rule. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from netlab.kernel.nftrace import TABLE, TraceEvent
from netlab.pathcheck.decode import CapturedPacket, decode

FAMILIES: Mapping[int, str] = {1: "inet", 2: "ip", 10: "ip6"}

FindRule = Callable[[str, str, str, int, str], tuple[int, str]]
"""A rule's number, from 1, and text by family, table, chain, handle and the chain that it sent the
packet to, or ""; 0 for one that is not there any more."""


TURN_AWAY = ("drop", "reject")


class MetRule(Struct, frozen=True):
    """A rule that matched: where it stands, its text, and what it did. `verdict` is accept, drop,
    continue, jump, goto or return; `to` the chain that it jumps to. `handle` is what nft knows it
    by in the table of that `family`, where the kernel told of it; `mark` the packet's then."""

    table: str
    chain: str
    number: int
    text: str
    verdict: str
    to: str = ""
    family: str = ""
    handle: int = 0
    mark: int = 0


class Passage(Struct, frozen=True):
    """A packet at one hook's chain: as it came there, the rules it met, how it left.

    `source` and `destination` are `address:port`; `verdict` is accept or drop, or "" if the kernel
    told of none. `family` is that of the table; `state` the connection's, "" if it told of none.
    """

    place: str
    table: str
    chain: str
    source: str
    destination: str
    iif: str
    oif: str
    mark: int
    reply: bool
    rules: tuple[MetRule, ...]
    verdict: str
    family: str = ""
    state: str = ""

    @property
    def is_denied(self) -> bool:
        """Whether no rule let the packet go on or turned it away: the chain's policy did."""
        turned_away = any(rule.verdict in TURN_AWAY for rule in self.rules)
        return self.verdict == "drop" and not self.reply and not turned_away


def passages(
    place: str,
    events: Iterable[TraceEvent],
    interfaces: Mapping[int, str],
    find: FindRule,
    is_ours: Callable[[CapturedPacket], bool | None],
) -> list[Passage]:
    """All passages at a place, in their order. `is_ours` says of a packet whether it is a reply,
    and None of one that is no business of ours. One that is sent again, because nobody answered,
    passes the same hooks again: that is left out. (In a loop it has fewer hops left each time.)"""
    found: list[Passage] = []
    known: set[object] = set()
    for group in _groups(events):
        first = group[0]
        packet = decode(first.header + first.transport)
        reply = is_ours(packet) if packet is not None else None
        if packet is None or reply is None or first.table.startswith(TABLE):
            continue
        family = FAMILIES.get(first.family, str(first.family))
        ends = (packet.source, packet.destination, first.iif, first.oif, _hops_left(first.header))
        once = (family, first.table, first.chain, ends)
        if once in known:
            continue
        known.add(once)
        found.append(
            Passage(
                place=place,
                table=first.table,
                chain=first.chain,
                source=packet.source,
                destination=packet.destination,
                iif=interfaces.get(first.iif, ""),
                oif=interfaces.get(first.oif, ""),
                mark=first.mark,
                reply=reply,
                rules=tuple(_met(family, event, find) for event in group if event.handle),
                verdict=group[-1].verdict if group[-1].verdict in ("accept", "drop") else "",
                family=family,
                state=first.state,
            )
        )
    return found


def _hops_left(header: bytes) -> int:
    """IPv4's time to live, IPv6's hop limit."""
    return header[8] if header[0] >> 4 == 4 else header[7]


def _groups(events: Iterable[TraceEvent]) -> list[list[TraceEvent]]:
    """The events of each passage: a packet's header is told with the first of them alone. (One
    without a handle tells that a chain is over.)"""
    groups: list[list[TraceEvent]] = []
    by_packet: dict[int, list[TraceEvent]] = {}
    for event in events:
        if event.header:
            by_packet[event.id] = []
            groups.append(by_packet[event.id])
        if event.id in by_packet:
            by_packet[event.id].append(event)
    return groups


def _met(family: str, event: TraceEvent, find: FindRule) -> MetRule:
    number, text = find(family, event.table, event.chain, event.handle, event.to)
    met = (event.table, event.chain, number, text, event.verdict, event.to)
    return MetRule(*met, family, event.handle, event.mark)
