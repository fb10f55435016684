"""Two rulesets over the same space: every class of packets that they treat otherwise.

What rules are called, where they stand and who wrote them is no difference, nor is a mark that
nobody looks at any more: where packets end is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from netlab.prove.classes import arrives, is_open, told_ways
from netlab.prove.diagram import ALLOWANCE, Budget, Diagram, Leaf, rows
from netlab.prove.space import NO_FIELD, Region, Values, meet, total, union

_DIGITS = 6
_OF_PART = 4

Meaning = tuple[tuple[object, ...], ...]


class Change(Struct, frozen=True):
    """The packets in any of `regions` ended as `before`, and end as `after`."""

    before: Leaf
    after: Leaf
    regions: tuple[Region, ...]

    @property
    def size(self) -> int:
        """How many headers."""
        return sum(map(total, self.regions))

    @property
    def is_open(self) -> bool:
        """Whether a rule that nobody understands decides in either."""
        return is_open(self.before) or is_open(self.after)


def meaning(leaf: Leaf) -> Meaning:
    """The ends, without the rules that led there."""
    shares: dict[tuple[object, ...], float] = {}
    for way, share in told_ways(leaf):
        ends = (way.state.to or (), way.state.source) if arrives(way) else ()
        key = (str(way.at), *ends, way.how, way.state.remembered)
        shares[key] = shares.get(key, 0.0) + share
    return tuple(sorted(((*key, round(share, _DIGITS)) for key, share in shares.items()), key=str))


class Comparison:
    """Finds differences; what it has found to be equal it asks no more."""

    def __init__(self) -> None:
        self._meanings: dict[int, Meaning] = {}
        self._equal: set[tuple[int, int]] = set()
        self._budget = Budget(ALLOWANCE)

    def changes(
        self, before: Diagram, after: Diagram, region: Region, budget: Budget
    ) -> list[Change]:
        """What differs in a region, the smallest class first. `TooMuch` for what is over budget."""
        self._budget = budget
        found: dict[tuple[Meaning, Meaning], tuple[Leaf, Leaf, list[Region]]] = {}
        for part, one, other in self._parts(before, after, region):
            budget.spend(_OF_PART)
            key = (self._meaning(one), self._meaning(other))
            found.setdefault(key, (one, other, []))[2].append(part)
        made = [Change(one, other, tuple(merged(parts))) for one, other, parts in found.values()]
        return sorted(made, key=lambda change: change.size)

    def _meaning(self, leaf: Leaf) -> Meaning:
        found = self._meanings.get(id(leaf))
        if found is None:
            found = self._meanings[id(leaf)] = meaning(leaf)
        return found

    def _same(self, one: Diagram, other: Diagram) -> bool:
        """Whether two are the same everywhere."""
        if one is other or (id(one), id(other)) in self._equal:
            return True
        if isinstance(one, Leaf) and isinstance(other, Leaf):
            same = self._meaning(one) == self._meaning(other)
        else:
            first = min(one.field, other.field)
            self._budget.spend(1)
            same = all(self._same(*pair) for pair in rows(first, (one, other))[1])
        if same:
            self._equal.add((id(one), id(other)))
        return same

    def _parts(
        self, one: Diagram, other: Diagram, region: Region
    ) -> Iterator[tuple[Region, Leaf, Leaf]]:
        if self._same(one, other):
            return
        first = min(one.field, other.field)
        if first == NO_FIELD:
            assert isinstance(one, Leaf)
            assert isinstance(other, Leaf)
            yield region, one, other
            return
        for pair, values in _by_pair(*rows(first, (one, other))).values():
            left = meet(region[first], values)
            if left:
                yield from self._parts(*pair, (*region[:first], left, *region[first + 1 :]))


def _by_pair(
    ends: Iterable[int], pairs: Iterable[tuple[Diagram, Diagram]]
) -> dict[tuple[int, int], tuple[tuple[Diagram, Diagram], Values]]:
    found: dict[tuple[int, int], tuple[tuple[Diagram, Diagram], list[tuple[int, int]]]] = {}
    begin = 0
    for end, pair in zip(ends, pairs, strict=True):
        key = (id(pair[0]), id(pair[1]))
        found.setdefault(key, (pair, []))[1].append((begin, end))
        begin = end + 1
    return {key: (pair, union(intervals)) for key, (pair, intervals) in found.items()}


def merged(regions: Iterable[Region]) -> list[Region]:
    """Regions that differ in one field alone, put together."""
    found = list(dict.fromkeys(regions))
    for field in range(NO_FIELD):
        together: dict[tuple[object, ...], list[Values]] = {}
        for one in found:
            together.setdefault((one[:field], one[field + 1 :]), []).append(one[field])
        found = [
            (*before, union(each for values in parts for each in values), *after)  # type: ignore[misc]
            for (before, after), parts in together.items()
        ]
    return found
