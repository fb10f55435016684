"""All nodes together: what one sends on is judged by the next one's rules, until it is where it
goes.

    pod → node1: its rules, its route → node2: its rules, its route → pod

A node's own ends are those of `hooks`; here what it has `sent` goes on by the leg of its routes
that leads to the destination, and ends at a place, at another node's rules, or is lost on the way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from netlab.prove.diagram import Diagram, Diagrams, Place, State, TooMuch, Way, child
from netlab.prove.ground import Grounds, Leg, Node, told
from netlab.prove.hooks import Entry, at_end
from netlab.prove.intake import space_of
from netlab.prove.space import (
    CT,
    DADDR,
    IIF,
    NEW,
    SADDR,
    Region,
    Space,
    Values,
    longest_first,
)
from netlab.proxy.addresses import Family

MOST_NODES = 8
"""What nodes hand on to each other for longer goes in a circle."""

_GOES_ON = -3
_PODS = "taken for granted: pods, their links, and that somebody listens there"
_NOBODY = Way("lost", State(), None, "nobody asked for it")


class _Stretch(NamedTuple):
    """Addresses that one leg leads to."""

    low: int
    high: int
    leg: Leg


class Member(Grounds):
    """A node among others."""

    def __init__(self, node: Node, space: Space, cluster: Cluster) -> None:
        self.node, self.space, self.diagrams = node, space, cluster.diagrams
        self.rules = self._rules(node)
        self.hooks = self.of(node)
        self.stretches = sorted(_stretches(node, space))
        self._cluster = cluster

    def ends(self, entry: Entry, region: Region) -> Diagram:
        """See `Grounds`: wherever packets end that enter here."""
        return self._cluster.ends(self, entry, region)

    def taken_for_granted(self) -> list[str]:
        """See `Grounds`."""
        return [*super().taken_for_granted(), _PODS]

    def told(self, place: Place) -> str:
        """See `Grounds`: of a rule of any node."""
        node = self._cluster.members[place.node or self.node.name].node
        where = told(node, place, self.space.family)
        return f"{node.name}: {where}" if place.node not in ("", self.node.name) else where

    def unknown(self) -> set[Place]:
        """See `Grounds`: on all nodes that were passed."""
        return {
            place._replace(node=name)
            for name, one in self._cluster.members.items()
            for place in one.hooks.unknown()
        }


def _stretches(node: Node, space: Space) -> Iterator[_Stretch]:
    """Every address with the leg that leads there."""
    legs = list(node.legs or ())
    known = [(space.network(leg.to), at) for at, leg in enumerate(legs)]
    whole = ((0, space.own),)
    for values, at in longest_first([one for one in known if one[0]], whole):
        for low, high in values:
            yield _Stretch(low, high, legs[at])


class Cluster:
    """The nodes of a lab in one family, over one header space."""

    def __init__(self, nodes: Sequence[Node], family: Family) -> None:
        saves = [save for node in nodes for save in node.saves]
        links = {link for node in nodes for link in _links(node)}
        spaces = [space_of(saves, family, node.local, links) for node in nodes]
        self.diagrams = Diagrams(spaces[0].tops, len(nodes))
        self.members: Mapping[str, Member] = {
            node.name: Member(node, space, self) for node, space in zip(nodes, spaces, strict=True)
        }
        self._bases: dict[tuple[str, int], Diagram] = {}
        self._known: dict[tuple[object, ...], Diagram] = {}

    def ends(self, member: Member, entry: Entry, region: Region) -> Diagram:
        """What becomes of all packets of a region that come to a node."""
        base = self._going(member, _ends(member, entry, region))
        return self._further(member, base, region[DADDR], 0)

    def _going(self, member: Member, ends: Diagram) -> Diagram:
        """A node's ends, with its name; what it sends on is on its way."""
        name = member.node.name

        def alter(way: Way) -> Way:
            if way.at == "sent":
                return way._replace(at=_GOES_ON)
            place = way.place._replace(node=name) if way.place is not None else None
            how = {"delivered": name, "lost": f"{way.how} on {name}"}.get(str(way.at), way.how)
            return way._replace(place=place, how=how)

        return self.diagrams.altered(ends, lambda leaf: self.diagrams.ways(leaf, alter))

    def _further(self, member: Member, base: Diagram, values: Values, hops: int) -> Diagram:
        return self.diagrams.resumed(
            base, {}, lambda way: self._sent(member, way.state, values, hops)
        )

    def _sent(self, member: Member, state: State, values: Values, hops: int) -> Diagram:
        """What becomes of what a node sends on, to one address if it has translated it."""
        address, port = state.to or (None, None)
        if address is not None:
            values = ((address, address),)
        key = (member.node.name, state, values, hops)
        found = self._known.get(key)
        if found is None:
            there = self._by_leg(member, values, state.source, hops)
            if state.to is not None:
                there = at_end(self.diagrams, there, (address, port))

            def told_(way: Way) -> Way:
                after = State(
                    to=way.state.to or state.to,
                    source=way.state.source or state.source,
                    remembered=way.state.remembered or state.remembered,
                )
                return way._replace(state=after)

            found = self.diagrams.altered(there, lambda leaf: self.diagrams.ways(leaf, told_))
            self._known[key] = found
        return found

    def _by_leg(self, member: Member, values: Values, source: str, hops: int) -> Diagram:
        """By the addresses that legs lead to."""
        ends: list[int] = []
        children: list[Diagram] = []
        nobody = self.diagrams.certain(_NOBODY)
        begin = 0
        for low, high, leg in _met(member.stretches, values):
            if begin < low:
                ends.append(low - 1)
                children.append(nobody)
            ends.append(high)
            children.append(self._by(leg, ((low, high),), source, hops))
            begin = high + 1
        top = member.space.tops[DADDR]
        if begin <= top:
            ends.append(top)
            children.append(nobody)
        return self.diagrams.join(DADDR, ends, children)

    def _by(self, leg: Leg, values: Values, source: str, hops: int) -> Diagram:
        """What comes of one leg."""
        if leg.end or hops >= MOST_NODES:
            end = (leg.end, leg.next if leg.end == "delivered" else leg.why)
            at, how = end if leg.end else ("lost", "nodes hand it on to each other in a circle")
            return self.diagrams.certain(Way(at, State(), None, how))
        there = self.members[leg.next]
        link = there.space.links.index(leg.arrives)
        ends = self._entered(there, link, values, hops + 1)
        if source:
            seen = there.space.network(leg.source if source == "masquerade" else source)
            ends = self.diagrams.fixed(ends, SADDR, seen[0][0]) if seen else ends
        return ends

    def _entered(self, there: Member, link: int, values: Values, hops: int) -> Diagram:
        """Packets to some addresses, in by one of a node's links."""
        key = (there.node.name, link, values, hops)
        found = self._known.get(key)
        if found is None:
            base = self._base(there, link)
            (low, high), *more = values
            if low == high and not more:
                base = child(base, DADDR, low)
            else:
                base = self.diagrams.graft(((DADDR, values),), base, self.diagrams.certain(_NOBODY))
            found = self._known[key] = self._further(there, base, values, hops)
        return found

    def _base(self, there: Member, link: int) -> Diagram:
        """A node's own ends of all that comes in by a link."""
        key = (there.node.name, link)
        found = self._bases.get(key)
        if found is None:
            region = list(there.space.all)
            region[IIF], region[CT] = ((link, link),), NEW
            ends = _ends(there, "PREROUTING", tuple(region))
            ends = self.diagrams.fixed(ends, IIF, link)
            found = self._bases[key] = self._going(there, ends)
        return found


def _ends(member: Member, entry: Entry, region: Region) -> Diagram:
    """By a node's own rules."""
    try:
        return member.hooks.ends(entry, region)
    except TooMuch as error:
        if error.place is not None:
            place = error.place._replace(node=error.place.node or member.node.name)
            error.place = member.diagrams.budget.place = place
        raise


def _links(node: Node) -> Iterator[str]:
    yield from (link for _, link in node.routes or ())
    for leg in node.legs or ():
        yield from (one for one in (leg.link, leg.arrives) if one)
    yield from (*node.still, *node.bridges)


def _met(stretches: Sequence[_Stretch], values: Values) -> Iterator[_Stretch]:
    """The parts of stretches that are among some addresses."""
    for low, high in values:
        at = bisect_left(stretches, low, key=lambda one: one.high)
        while at < len(stretches) and stretches[at].low <= high:
            one = stretches[at]
            yield _Stretch(max(low, one.low), min(high, one.high), one.leg)
            at += 1
