"""From what the captures saw to what became of each probe: its hops, its rewrites, its end. Pure.

A capture sees an arriving packet before NAT and a leaving one after it, so an address that
changed between two observations at one place was changed at that place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal

from msgspec import Struct, field

from netlab.pathcheck.decode import CapturedPacket, Observation, split
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.protocols import BY_NAME, RST

Outcome = Literal["reachable", "refused", "unreachable", "timeout"]
Addresses = Mapping[str, frozenset[str]]


class Hop(Struct, frozen=True):
    """The probe at one interface; `source` and `destination` are `address:port` there."""

    place: str
    ifname: str
    source: str
    destination: str


class Rewrite(Struct, frozen=True):
    """An `address:port` changed by NAT, and the place where that happened."""

    place: str
    before: str
    after: str

    @property
    def is_of_port(self) -> bool:
        """Whether the address stayed. As a source's that need be no rule's doing: connection
        tracking tells flows apart so that would else have the same ends."""
        return split(self.before)[0] == split(self.after)[0]


class Journey(Struct, frozen=True):
    """What became of one probe.

    `delivered` is the `address:port` at which it arrived, at the place `delivered_at`, coming
    from the address `seen_source`; all None when it arrived nowhere. `note` explains the outcome
    where that needs it.
    """

    probe: ProbePacket
    outcome: Outcome
    hops: tuple[Hop, ...] = ()
    dnats: tuple[Rewrite, ...] = ()
    snats: tuple[Rewrite, ...] = ()
    delivered: str | None = None
    delivered_at: str | None = None
    seen_source: str | None = None
    note: str = ""

    @property
    def last(self) -> str:
        """Where the probe was seen last: `worker001 eth0`."""
        return f"{self.hops[-1].place} {self.hops[-1].ifname}" if self.hops else "nowhere"


class Sightings(Struct):
    """Observations, sorted by what they can tell: copies of a probe, and answers to it. `all` are
    those taken in, in any order. `once`: of what has the same ends the first at each interface,
    where the sender goes on sending."""

    once: bool = False
    all: list[Observation] = field(default_factory=list)
    _there: set[tuple[str, str, bool, str, str]] = field(default_factory=set)
    _copies: dict[int, list[Observation]] = field(default_factory=lambda: defaultdict(list))
    _about: dict[int, list[Observation]] = field(default_factory=lambda: defaultdict(list))
    _incoming: dict[tuple[str, str, str, int | None], CapturedPacket] = field(default_factory=dict)

    def add(self, observations: Iterable[Observation]) -> None:
        """Take in what a capture saw."""
        for seen in observations:
            packet = seen.packet
            if self.once and not self._is_first(seen):
                continue
            self.all.append(seen)
            if packet.key is not None:
                self._copies[packet.key].append(seen)
            if packet.answers is not None:
                self._about[packet.answers].append(seen)
            incoming = not seen.outgoing or seen.ifname == "lo"
            acknowledges = BY_NAME[packet.proto].acknowledges
            if incoming and not (packet.key is not None and acknowledges):
                answers = packet.answers if acknowledges else None
                self._incoming[seen.place, packet.source, packet.destination, answers] = packet

    def _is_first(self, seen: Observation) -> bool:
        packet = seen.packet
        where = (seen.place, seen.ifname, seen.outgoing, packet.source, packet.destination)
        known = where in self._there
        self._there.add(where)
        return not known

    def copies(self, probe: ProbePacket) -> list[Observation]:
        """The probe on its way, in the order in which it passed. A server that asks another one
        what it was asked sends a packet of its own, which has its own number."""
        copies = self._copies.get(probe.key, ())
        seen = (one for one in copies if probe.ip_id in (0, one.packet.ip_id))
        in_order = sorted(seen, key=lambda o: o.time)
        return in_order if probe.protocol.acknowledges else _without_replies(in_order)

    def answer(self, probe: ProbePacket, place: str) -> CapturedPacket | None:
        """What came back to the sender at `place`: a SYN-ACK, a RST, a datagram, an echo, an ICMP
        error.

        A sender that itself did NAT gets the answer in the rewritten addresses.
        """
        answers = probe.key if probe.protocol.acknowledges else None
        for source, destination in self._sent_as(probe, place):
            packet = self._incoming.get((place, destination, source, answers))
            if packet is not None and packet.proto == probe.proto:
                return packet
        for seen in self._about.get(probe.key, ()):
            if seen.place == place and seen.packet.icmp_error and seen.packet.dst == probe.src:
                return seen.packet
        return None

    def stray_answer(self, probe: ProbePacket, place: str) -> CapturedPacket | None:
        """An answer that reached the sender from an address it never asked."""
        if not probe.protocol.acknowledges:
            return None
        for seen in self._about.get(probe.key, ()):
            is_answer = seen.packet.proto == probe.proto and seen.packet.icmp_error is None
            if seen.place == place and not seen.outgoing and is_answer:
                return seen.packet
        return None

    def _sent_as(self, probe: ProbePacket, place: str) -> set[tuple[str, str]]:
        here = {
            (seen.packet.source, seen.packet.destination)
            for seen in self._copies.get(probe.key, ())
            if seen.place == place and seen.outgoing and probe.ip_id in (0, seen.packet.ip_id)
        }
        return {*here, (probe.source, probe.destination)}


def _without_replies(seen: list[Observation]) -> list[Observation]:
    """Leave out answers that repeat a UDP probe's token: they go from where it went to."""
    sources: set[str] = set()
    destinations: set[str] = set()
    forward = []
    for each in seen:
        packet = each.packet
        if packet.source in destinations and packet.destination in sources:
            continue
        sources.add(packet.source)
        destinations.add(packet.destination)
        forward.append(each)
    return forward


def journey(probe: ProbePacket, place: str, sightings: Sightings, addresses: Addresses) -> Journey:
    """The journey of a probe sent at `place`; `addresses` are those that each place owns."""
    copies = sightings.copies(probe)
    arrival = _arrival(copies, addresses)
    outcome, note = _outcome(probe, place, sightings, arrived=arrival is not None)
    hops = _hops(copies)
    start = Hop(place, "", probe.source, probe.destination)
    return Journey(
        probe=probe,
        outcome=outcome,
        hops=hops,
        dnats=rewrites((start, *hops), lambda hop: hop.destination),
        snats=rewrites((start, *hops), lambda hop: hop.source),
        delivered=arrival.packet.destination if arrival else None,
        delivered_at=arrival.place if arrival else None,
        seen_source=arrival.packet.src if arrival else None,
        note=note,
    )


def _outcome(
    probe: ProbePacket, place: str, sightings: Sightings, *, arrived: bool
) -> tuple[Outcome, str]:
    answer = sightings.answer(probe, place)
    if answer is None:
        return _silence(probe, place, sightings, arrived=arrived)
    if answer.icmp_error is not None:
        outcome: Outcome = "refused" if answer.port_unreachable else "unreachable"
        kind, code = answer.icmp_error
        return outcome, f"ICMP type {kind} code {code} from {answer.src}"
    if answer.flags & RST:
        return "refused", f"RST from {answer.source}"
    return "reachable", ""


def _silence(
    probe: ProbePacket, place: str, sightings: Sightings, *, arrived: bool
) -> tuple[Outcome, str]:
    stray = sightings.stray_answer(probe, place)
    if stray is not None:
        asked = probe.destination
        return "timeout", f"the answer came from {stray.source} instead of {asked}"
    if arrived and not probe.protocol.acknowledges:
        # A datagram needs no answer; that nobody refused it at its destination is success.
        return "reachable", "no answer, as UDP may"
    return "timeout", ""


def describe(journey: Journey) -> str:
    """The path in one line.

    `default/box eth0 → worker001 vethab12 → DNAT to 10.244.2.5:80 → cni0 → eth0 → …`: a place
    is named when the packet enters it; a rewrite stands where it happened.
    """
    probe = journey.probe
    words: list[str] = []
    place = ""
    source, destination = probe.source, probe.destination
    for hop in journey.hops:
        changes = []
        if hop.destination != destination:
            changes.append(f"DNAT to {hop.destination}")
        if hop.source != source:
            changes.append(f"masquerade as {split(hop.source)[0]}")
        # The sender's own NAT comes before its first interface.
        named = hop.ifname if hop.place == place or changes else f"{hop.place} {hop.ifname}"
        if changes and hop.place != place:
            changes[0] = f"{hop.place} {changes[0]}"
        words += [*changes, named]
        place, source, destination = hop.place, hop.source, hop.destination
    return " → ".join(words)


def _hops(copies: Sequence[Observation]) -> tuple[Hop, ...]:
    hops: list[Hop] = []
    for seen in copies:
        hop = Hop(seen.place, seen.ifname, seen.packet.source, seen.packet.destination)
        if not hops or hops[-1] != hop:  # a loopback shows the packet twice
            hops.append(hop)
    return tuple(hops)


def rewrites(hops: Sequence[Hop], value: Callable[[Hop], str]) -> tuple[Rewrite, ...]:
    """Where a value of the hops changed, in their order."""
    return tuple(
        Rewrite(after.place, value(before), value(after))
        for before, after in pairwise(hops)
        if value(before) != value(after)
    )


def _arrival(copies: Sequence[Observation], addresses: Addresses) -> Observation | None:
    """Where the probe came in last, if its destination lives there and it was not sent on."""
    for seen in reversed(copies):
        if seen.packet.destination != copies[-1].packet.destination:
            return None  # a node with its nodePort: what came in there was rewritten, and left
        incoming = not seen.outgoing or seen.ifname == "lo"
        if incoming and seen.packet.dst in addresses.get(seen.place, ()):
            return seen
    return None
