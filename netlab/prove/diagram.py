"""Decisions over headers: which ways a packet goes, by its fields, each asked once and in order.

A `Node` asks for a field and has a child for each interval of its values, a `Leaf` the ways that
are left with the share of packets that take each. `Diagrams` makes them so that what is the same
function is the same object: no node has two equal children side by side, and none is made twice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from netlab.prove.space import NO_FIELD, Box, Values


class Place(NamedTuple):
    """Where a rule stands: its number in the chain from 1, 0 for the policy; of several nodes
    together, on which."""

    table: str
    chain: str
    number: int = 0
    node: str = ""


ALLOWANCE = 6_000_000
"""What all decisions of one question may come to, in units of about 150 bytes, or ten microseconds:
10,000 Services take two millions, both modes of them five. What is counted is what is made, so that
a question has the same answer on every machine."""


DEEPEST = 100
"""So far below a hook's chain rules are followed. nft lets 16 jumps be, iptables any number."""

TOO_DEEP = f"is more than {DEEPEST} chains deep"
TOO_MUCH = "there is too much to tell apart"


class TooMuch(Exception):
    """More had to be told apart than is allowed; `place` is the rule at which that was so."""

    def __init__(self, place: Place | None = None) -> None:
        super().__init__()
        self.place = place

    @property
    def leaf(self) -> Leaf:
        """What is answered then, of all that was asked."""
        return Leaf(((Way("open", State(), self.place, TOO_MUCH), 1.0),))


class Budget:
    """What is left of the allowance, and at which rule it came to its end."""

    def __init__(self, units: int) -> None:
        self.left = units
        self.place: Place | None = None

    def spend(self, units: int) -> None:
        """Take from it. `TooMuch` when there is nothing left."""
        self.left -= units
        if self.left < 0:
            raise TooMuch(self.place)


class State(NamedTuple):
    """What rules have done to a packet so far. `to` is where it was translated, a port None when it
    keeps its own; `source` what became of its source: "" nothing, "masquerade", an address.
    `doubts` are the rules that nobody understands, and whether they were taken to match;
    `remembered`: the client is one that a rule with affinity knows. `connmark` is the mark that the
    connection of a first packet has; `vague` are the bits of a later packet's own that came from
    there, which an earlier packet may have set."""

    mark: int = 0
    untracked: bool = False
    translated: bool = False
    to: tuple[int | None, int | None] | None = None
    source: str = ""
    doubts: tuple[tuple[Place, bool], ...] = ()
    remembered: bool = False
    connmark: int = 0
    vague: int = 0


class Way(NamedTuple):
    """Where a packet stands. `at` is a number while it goes on, and a word at its end: delivered
    (of several nodes together, `how` is where), sent, dropped, rejected (`how`), lost (`how`)."""

    at: int | str
    state: State
    place: Place | None = None
    how: str = ""


class Leaf:
    """Ways with their shares, which add up to 1; those of remembered clients have none, for who is
    remembered is no chance."""

    __slots__ = ("going", "ways")
    field = NO_FIELD
    ends: tuple[int, ...] = ()

    def __init__(self, ways: tuple[tuple[Way, float], ...]) -> None:
        self.ways = ways
        self.going: frozenset[Way] = frozenset(way for way, _ in ways if way.at.__class__ is int)


class Node:
    """`children[i]` is for values over `ends[i - 1]` up to `ends[i]`. `going` are the ways below
    that go on."""

    __slots__ = ("children", "ends", "field", "going")

    def __init__(self, field: int, ends: tuple[int, ...], children: tuple[Diagram, ...]) -> None:
        self.field, self.ends, self.children = field, ends, children
        self.going: frozenset[Way] = _together(child.going for child in children)


Diagram = Leaf | Node

_EMPTY: frozenset[Way] = frozenset()


def _together(sets: Iterable[frozenset[Way]]) -> frozenset[Way]:
    distinct = {id(one): one for one in sets if one}
    if len(distinct) < 2:
        return next(iter(distinct.values()), _EMPTY)
    return frozenset().union(*distinct.values())


class Within:
    """A set of values as a node: 1 in it, 0 outside."""

    __slots__ = ("children", "ends", "field")

    def __init__(self, field: int, values: Values, top: int) -> None:
        ends: list[int] = []
        children: list[int] = []
        begin = 0
        for low, high in values:
            if low > begin:
                ends.append(low - 1)
                children.append(0)
            ends.append(high)
            children.append(1)
            begin = high + 1
        if begin <= top:
            ends.append(top)
            children.append(0)
        self.field, self.ends, self.children = field, tuple(ends), tuple(children)


def rows(field: int, asked: Sequence[Any]) -> tuple[Sequence[int], list[tuple[Any, ...]]]:
    """Several diagrams (or `Within`) split by a field: the ends of its intervals, and what of each
    is there; one that does not ask for that field is the same in all."""
    asking = [number for number, one in enumerate(asked) if one.field == field]
    if len(asking) == 1:
        at = asking[0]
        before, after = tuple(asked[:at]), tuple(asked[at + 1 :])
        return asked[at].ends, [(*before, child, *after) for child in asked[at].children]
    ends = sorted(set().union(*(asked[number].ends for number in asking)))
    columns: list[Iterable[Any]] = [
        _spread(one, ends) if one.field == field else [one] * len(ends) for one in asked
    ]
    return ends, list(zip(*columns, strict=True))


def _spread(one: Any, ends: Sequence[int]) -> list[Any]:
    """A node's child for each of more intervals."""
    found, at, own = [], 0, one.ends
    for end in ends:
        if end > own[at]:
            at += 1
        found.append(one.children[at])
    return found


def child(diagram: Diagram, field: int, value: int) -> Diagram:
    """What is left when a field has that value, where it is the first that is asked for."""
    if not isinstance(diagram, Node) or diagram.field != field:
        return diagram
    return diagram.children[bisect_left(diagram.ends, value)]


class Diagrams:
    """All diagrams of one question, and how they are made of others."""

    def __init__(self, tops: Sequence[int], times: int = 1) -> None:
        self._tops = tops
        self.budget = Budget(times * ALLOWANCE)
        self._nodes: dict[tuple[int, tuple[int, ...], tuple[Diagram, ...]], Node] = {}
        self._leaves: dict[tuple[tuple[Way, float], ...], Leaf] = {}
        self._certain: dict[Way, Leaf] = {}
        self._orders: dict[Way, tuple[object, ...]] = {}

    def certain(self, way: Way) -> Leaf:
        """That way for all."""
        found = self._certain.get(way)
        if found is None:
            self.budget.spend(_OF_WAY)
            found = self._certain[way] = self._leaf(((way, 1.0),))
        return found

    def _leaf(self, ways: tuple[tuple[Way, float], ...]) -> Leaf:
        found = self._leaves.get(ways)
        if found is None:
            self.budget.spend(1 + len(ways))
            found = self._leaves[ways] = Leaf(ways)
        return found

    def node(self, field: int, ends: Sequence[int], children: Sequence[Diagram]) -> Diagram:
        """A decision whose children ask for later fields alone."""
        self.budget.spend(1 + (len(children) >> 2))
        last = children[-1]
        if all(one is last for one in children):
            return last
        kept = [at for at, one in enumerate(children[:-1]) if one is not children[at + 1]]
        if len(kept) + 1 < len(children):
            kept.append(len(children) - 1)
            ends = [ends[at] for at in kept]
            children = [children[at] for at in kept]
        key = (field, tuple(ends), tuple(children))
        found = self._nodes.get(key)
        if found is None:
            self.budget.spend(2 + len(children))
            found = self._nodes[key] = Node(*key)
        return found

    def join(self, field: int, ends: Sequence[int], children: Sequence[Diagram]) -> Diagram:
        """A decision whose children may ask for any field."""
        first = min(one.field for one in children)
        if first > field:
            return self.node(field, ends, children)
        if first < field:
            bounds, found = rows(first, children)
            return self.node(first, bounds, [self.join(field, ends, row) for row in found])
        finer: list[int] = []
        parts: list[Diagram] = []
        begin = 0
        for end, one in zip(ends, children, strict=True):
            if isinstance(one, Node) and one.field == field:
                at, stop = bisect_left(one.ends, begin), bisect_left(one.ends, end)
                finer += (*one.ends[at:stop], end)
                parts += one.children[at : stop + 1]
            else:
                finer.append(end)
                parts.append(one)
            begin = end + 1
        return self.node(field, finer, parts)

    def graft(self, box: Box, inside: Diagram, outside: Diagram) -> Diagram:
        """One in a box, the other one outside of it."""
        if not box or inside is outside:
            return inside
        guards = [Within(field, values, self._tops[field]) for field, values in box]
        return self._grafted(guards, 0, inside, outside, {})

    def _grafted(
        self,
        guards: Sequence[Within],
        at: int,
        one: Diagram,
        other: Diagram,
        made: dict[tuple[int, int, int], Diagram],
    ) -> Diagram:
        if one is other or at == len(guards):
            return one
        key = (at, id(one), id(other))
        found = made.get(key)
        if found is None:
            guard = guards[at]
            first = min(guard.field, one.field, other.field)
            if first < guard.field:
                ends, parts = rows(first, (one, other))
                children = [self._grafted(guards, at, a, b, made) for a, b in parts]
            else:
                ends, parts = rows(first, (guard, one, other))
                children = [
                    self._grafted(guards, at + 1, a, b, made) if into else b for into, a, b in parts
                ]
            found = made[key] = self.node(first, ends, children)
        return found

    def mix(self, pieces: Sequence[tuple[Diagram, float]]) -> Diagram:
        """Each of some with its share."""
        if len(pieces) == 1:
            return pieces[0][0]
        first = min(one.field for one, _ in pieces)
        if first == NO_FIELD:
            return self._mixed(pieces)
        ends, parts = rows(first, [one for one, _ in pieces])
        shares = [share for _, share in pieces]
        made: dict[tuple[int, ...], Diagram] = {}
        children = []
        for part in parts:
            key = tuple(map(id, part))
            if key not in made:
                made[key] = self.mix(list(zip(part, shares, strict=True)))
            children.append(made[key])
        return self.node(first, ends, children)

    def _mixed(self, pieces: Sequence[tuple[Diagram, float]]) -> Leaf:
        found: dict[Way, float] = {}
        self.budget.spend(1)
        for one, share in pieces:
            assert isinstance(one, Leaf)
            for way, part in one.ways:
                found[way] = found.get(way, 0.0) + share * part
        self.budget.spend(len(found) >> 2)
        if len(found) == 1:
            return self.certain(next(iter(found)))
        shared = [(way, round(share, _DIGITS)) for way, share in found.items()]
        return self._leaf(tuple(sorted(shared, key=self._order)))

    def _order(self, way: tuple[Way, float]) -> tuple[object, ...]:
        found = self._orders.get(way[0])
        if found is None:
            found = self._orders[way[0]] = _order(way[0])
        return found

    def resumed(
        self, diagram: Diagram, further: Mapping[Way, Diagram], rest: Resume | None = None
    ) -> Diagram:
        """With what becomes of ways that go on: those of `further`, and of others what `rest`
        says; without it, they are left as they are."""
        return self._resumed(diagram, tuple(further.items()), rest, {})

    def _resumed(
        self,
        one: Diagram,
        on: Sequence[tuple[Way, Diagram]],
        rest: Resume | None,
        made: dict[tuple[int, ...], Diagram],
    ) -> Diagram:
        going = one.going
        here = [(way, then) for way, then in on if way in going] if going else ()
        if not here and (rest is None or not going):
            return one
        if isinstance(one, Leaf):
            return self._ended(one, dict(here), rest)
        key = (id(one), *[id(then) for _, then in here])
        found = made.get(key)
        if found is None:
            first = min(one.field, *[then.field for _, then in here], NO_FIELD)
            ends, parts = rows(first, (one, *[then for _, then in here]))
            ways = [way for way, _ in here]
            children = [
                self._resumed(part[0], list(zip(ways, part[1:], strict=True)), rest, made)
                for part in parts
            ]
            found = made[key] = self.join(first, ends, children)
        return found

    def _ended(self, leaf: Leaf, further: Mapping[Way, Diagram], rest: Resume | None) -> Diagram:
        pieces = []
        for way, share in leaf.ways:
            then = further.get(way)
            if then is None:
                goes = rest is not None and way in leaf.going
                then = rest(way) if goes and rest is not None else self.certain(way)
            pieces.append((then, share))
        return self.mix(pieces)

    def altered(self, diagram: Diagram, alter: Callable[[Leaf], Diagram]) -> Diagram:
        """With every leaf become another one."""
        return alter(diagram) if isinstance(diagram, Leaf) else self._altered(diagram, alter, {})

    def _altered(
        self, one: Diagram, alter: Callable[[Leaf], Diagram], made: dict[int, Diagram]
    ) -> Diagram:
        found = made.get(id(one))
        if found is None:
            if isinstance(one, Leaf):
                found = alter(one)
            else:
                children = [self._altered(child, alter, made) for child in one.children]
                found = self.node(one.field, one.ends, children)
            made[id(one)] = found
        return found

    def fixed(self, diagram: Diagram, field: int, value: int) -> Diagram:
        """What is left when a field has one value."""
        return self._fixed(diagram, field, value, {})

    def _fixed(self, one: Diagram, field: int, value: int, made: dict[int, Diagram]) -> Diagram:
        if not isinstance(one, Node) or one.field > field:
            return one
        found = made.get(id(one))
        if found is None:
            if one.field == field:
                found = child(one, field, value)
            else:
                children = [self._fixed(each, field, value, made) for each in one.children]
                found = self.node(one.field, one.ends, children)
            made[id(one)] = found
        return found

    def ways(self, leaf: Leaf, alter: Callable[[Way], Way]) -> Leaf:
        """A leaf with every way become another one."""
        if len(leaf.ways) == 1:
            return self.certain(alter(leaf.ways[0][0]))
        return self._mixed([(self.certain(alter(way)), share) for way, share in leaf.ways])


Resume = Callable[[Way], Diagram]

_DIGITS = 9
_OF_WAY = 4


def _order(one: Way) -> tuple[object, ...]:
    state = one.state
    to = state.to or (None, None)
    return (
        str(one.at), state.mark, to[0] or 0, to[1] or 0, state.source, state.translated,
        state.untracked, state.remembered, state.connmark, state.vague, state.doubts,
        one.place or _NOWHERE, one.how,
    )  # fmt: skip


_NOWHERE = Place("", "")
