"""A partition in classes: of all packets with the same ends, where in the header space they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from netlab.prove.diagram import Budget, Diagram, Leaf, Way
from netlab.prove.space import Region, Values, meet, total, union


class Class(Struct, frozen=True):
    """The packets in any of `regions` have all the same `ends`."""

    ends: Leaf
    regions: tuple[Region, ...]

    @property
    def size(self) -> int:
        """How many headers it has."""
        return sum(map(total, self.regions))


def parts(diagram: Diagram, region: Region) -> Iterator[tuple[Region, Leaf]]:
    """What a region falls into, each part with its ends; parts side by side are one."""
    if isinstance(diagram, Leaf):
        yield region, diagram
        return
    field = diagram.field
    for child, values in _by_child(diagram.ends, diagram.children).values():
        left = meet(region[field], values)
        if left:
            yield from parts(child, (*region[:field], left, *region[field + 1 :]))


def _by_child(
    ends: tuple[int, ...], children: tuple[Diagram, ...]
) -> dict[int, tuple[Diagram, Values]]:
    found: dict[int, tuple[Diagram, list[tuple[int, int]]]] = {}
    begin = 0
    for end, child in zip(ends, children, strict=True):
        found.setdefault(id(child), (child, []))[1].append((begin, end))
        begin = end + 1
    return {key: (child, union(intervals)) for key, (child, intervals) in found.items()}


def classes(diagram: Diagram, region: Region, budget: Budget | None = None) -> list[Class]:
    """The partition of a region, the smallest class first. `TooMuch` if that has more parts than
    there are left in the budget."""
    found: dict[int, tuple[Leaf, list[Region]]] = {}
    for part, leaf in parts(diagram, region):
        if budget is not None:
            budget.spend(_OF_PART)
        found.setdefault(id(leaf), (leaf, []))[1].append(part)
    made = [Class(leaf, tuple(regions)) for leaf, regions in found.values()]
    return sorted(made, key=lambda one: one.size)


_OF_PART = 4


# -- what the ends of a class mean ---------------------------------------------------------

Endpoint = tuple[int | None, int | None]
"""An address and port; None for what a packet keeps."""


def endpoints(leaf: Leaf) -> Mapping[Endpoint, float]:
    """Where packets of new clients are translated to, and the share of each."""
    found: dict[Endpoint, float] = {}
    for way, share in leaf.ways:
        if arrives(way) and way.state.to is not None and not way.state.remembered:
            found[way.state.to] = found.get(way.state.to, 0.0) + share
    return found


def told_ways(leaf: Leaf) -> tuple[tuple[Way, float], ...]:
    """Those there are to tell of: where all new clients come to one end, not the remembered ones'
    that is the same."""
    if not any(way.state.remembered for way, _ in leaf.ways):
        return leaf.ways
    new = {_end(way) for way, _ in leaf.ways if not way.state.remembered}
    return tuple(
        (way, share)
        for way, share in leaf.ways
        if not way.state.remembered or len(new) > 1 or _end(way) not in new
    )


def _end(way: Way) -> tuple[object, ...]:
    return way.at, way.how, *((way.state.to, way.state.source) if arrives(way) else ())


def arrives(way: Way) -> bool:
    """Whether the rules let it through."""
    return way.at in ("delivered", "sent")


def is_open(leaf: Leaf) -> bool:
    """Whether a rule that nobody understands decides."""
    return any(way.at == "open" for way, _ in leaf.ways)
