"""What is known of a packet's way beside its hops and rules: each from the kernel. Pure.

The answer's way back as captures saw it, what connection tracking remembers, where each machine
sends the packet.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from netlab.kernel.conntrack import Connection as Connection
from netlab.kernel.conntrack import Tuple as Tuple
from netlab.kernel.routes import Route
from netlab.pathcheck.decode import CapturedPacket, Observation, endpoint, split
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Hop, Journey, Rewrite
from netlab.pathcheck.protocols import ACK, FIN, RST, SYN

NOWHERE = ("none", "blackhole", "unreachable", "prohibit")
"""The kinds of routes that lead nowhere."""


class WayBack(Struct, frozen=True):
    """The answer: in words `what` it is, the place that `sent` it, its hops, and where conntrack
    turned its source or its destination back. `begin` and `end` are its addresses as it was sent
    and as it was received. `error` is an ICMP error's type and code."""

    what: str
    sent: str
    hops: tuple[Hop, ...]
    begin: Hop
    end: Hop
    sources: tuple[Rewrite, ...]
    destinations: tuple[Rewrite, ...]
    error: tuple[int, int] | None = None

    @property
    def last(self) -> str:
        """The place where it was seen last."""
        return self.hops[-1].place


class Tracked(Struct, frozen=True):
    """What connection tracking of a place remembers of the packet; None for nothing."""

    place: str
    connection: Connection | None


class Decision(Struct, frozen=True):
    """Where a place sends the packet: the destination as it was then, the `route` used, None for
    a packet that is only bridged there; the address of the `neighbour` next and its hardware
    address `mac`, "" where none is known (`asked`: because nobody answers); the bridge and its
    port behind which that is."""

    place: str
    destination: str
    route: Route | None
    neighbour: str = ""
    mac: str = ""
    asked: bool = False
    bridge: str = ""
    port: str = ""


class Evidence(Struct, frozen=True):
    """All of it. `back` is None where no answer was seen; `dropped` is the kernel's reason, "" if
    it gave none that is this packet's for certain."""

    back: WayBack | None = None
    tracked: tuple[Tracked, ...] = ()
    decisions: tuple[Decision, ...] = ()
    dropped: str = ""


def way_back(
    probe: ProbePacket,
    place: str,
    copies: Sequence[Observation],
    seen: Sequence[Observation],
    tracked: Sequence[Tracked] = (),
) -> WayBack | None:
    """The first answer to a probe sent at `place`, from all that captures saw of its protocol.

    What was turned back where it begins or ends no capture sees, but conntrack knows it.
    """
    pairs = {(place, probe.source, probe.destination)}
    pairs |= {(one.place, one.packet.source, one.packet.destination) for one in copies}
    answers = [one for one in sorted(seen, key=lambda one: one.time) if _answers(one, probe, pairs)]
    if not answers:
        return None
    first = answers[0].packet
    kind = (first.proto, first.icmp_error, first.flags)
    hops: list[Hop] = []
    for one in answers:
        packet = one.packet
        hop = Hop(one.place, one.ifname, packet.source, packet.destination)
        if (packet.proto, packet.icmp_error, packet.flags) == kind and hop not in hops:
            hops.append(hop)
    sent, begin, end = answers[0].place, hops[0], hops[-1]
    if first.icmp_error is None:
        known = {one.place: one.connection for one in tracked}
        begin = _as_sent(begin, known.get(sent), probe)
        end = _as_received(end, known.get(place) if end.place == place else None, probe)
    way = (begin, *hops, end)
    return WayBack(
        what=_named(first),
        sent=sent,
        hops=tuple(hops),
        begin=begin,
        end=end,
        sources=_changes(way, "source"),
        destinations=_changes(way, "destination"),
        error=first.icmp_error,
    )


def _as_sent(hop: Hop, known: Connection | None, probe: ProbePacket) -> Hop:
    """By the connection of the place where it begins."""
    if known is None:
        return hop
    way = known.reply
    source, destination = _ends(way.source, way.sport, way.destination, way.dport, probe)
    return replace(hop, source=source, destination=destination)


def _as_received(hop: Hop, known: Connection | None, probe: ProbePacket) -> Hop:
    """By the connection of the place that sent the probe."""
    if known is None:
        return hop
    way = known.original
    source, destination = _ends(way.destination, way.dport, way.source, way.sport, probe)
    return replace(hop, source=source, destination=destination)


def _ends(src: str, sport: int, dst: str, dport: int, probe: ProbePacket) -> tuple[str, str]:
    if not probe.protocol.has_ports:
        return src, dst
    return endpoint(src, sport), endpoint(dst, dport)


def as_journey(back: WayBack, probe: ProbePacket, sender: str) -> Journey:
    """The answer as a packet of its own, which goes to who sent the probe."""
    begin, end = back.begin, back.end
    (src, sport), (dst, dport) = split(begin.source), split(begin.destination)
    arrived = end.place == sender
    return Journey(
        probe=ProbePacket(probe.key, probe.proto, src, sport, dst, dport, 0),
        outcome="reachable" if arrived else "timeout",
        hops=back.hops,
        dnats=back.destinations,
        snats=back.sources,
        delivered=end.destination if arrived else None,
        delivered_at=sender if arrived else None,
        seen_source=split(end.source)[0] if arrived else None,
    )


def _answers(one: Observation, probe: ProbePacket, pairs: set[tuple[str, str, str]]) -> bool:
    packet = one.packet
    if packet.icmp_error is not None or probe.protocol.acknowledges:
        return packet.answers == probe.key
    return packet.proto == probe.proto and (one.place, packet.destination, packet.source) in pairs


def _changes(hops: Sequence[Hop], side: str) -> tuple[Rewrite, ...]:
    return tuple(
        Rewrite(after.place, getattr(before, side), getattr(after, side))
        for before, after in pairwise(hops)
        if getattr(before, side) != getattr(after, side)
    )


_FLAGS = {SYN: "SYN", FIN: "FIN", RST: "RST", ACK: "ACK"}


def _named(packet: CapturedPacket) -> str:
    if packet.icmp_error is not None:
        return icmp_named(packet.version, *packet.icmp_error)
    if packet.proto == "tcp":
        names = [name for bit, name in _FLAGS.items() if packet.flags & bit and bit != ACK]
        return "-".join([*names, "ACK"] if packet.flags & ACK and RST & ~packet.flags else names)
    return "an echo reply" if packet.proto == "icmp" else "a datagram"


_UNREACHABLE = "destination unreachable"
_CODES = {
    (4, 3, 0): f"{_UNREACHABLE}: no route to its network",
    (4, 3, 1): f"{_UNREACHABLE}: its host does not answer",
    (4, 3, 2): f"{_UNREACHABLE}: protocol unreachable",
    (4, 3, 3): f"{_UNREACHABLE}: port unreachable",
    (4, 3, 4): "too big for the next link, and not to be cut",
    (4, 3, 9): f"{_UNREACHABLE}: its network is prohibited",
    (4, 3, 10): f"{_UNREACHABLE}: its host is prohibited",
    (4, 3, 13): f"{_UNREACHABLE}: prohibited by an administrator",
    (4, 11, 0): "its time to live ran out on the way",
    (6, 1, 0): f"{_UNREACHABLE}: no route to it",
    (6, 1, 1): f"{_UNREACHABLE}: prohibited by an administrator",
    (6, 1, 3): f"{_UNREACHABLE}: its host does not answer",
    (6, 1, 4): f"{_UNREACHABLE}: port unreachable",
    (6, 1, 6): f"{_UNREACHABLE}: its route rejects it",
    (6, 2, 0): "too big for the next link",
    (6, 4, 1): "its protocol is not known there",
    (6, 3, 0): "its hop limit ran out on the way",
}


def icmp_named(version: int, kind: int, code: int) -> str:
    """`ICMP type 3 code 3 (destination unreachable: port unreachable)`, as that version has it."""
    said = _CODES.get((version, kind, code))
    name = "ICMPv6" if version == 6 else "ICMP"
    return f"{name} type {kind} code {code}" + (f" ({said})" if said else "")
