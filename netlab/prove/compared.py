"""Two rulesets held against each other: what differs for which packets, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from netlab.prove import asking, words
from netlab.prove.changed import changed_box
from netlab.prove.diagram import Place, TooMuch
from netlab.prove.difference import Change, Comparison, Meaning, meaning, merged
from netlab.prove.ground import Grounds, Node, doors_of, told
from netlab.prove.hooks import Hooks
from netlab.prove.question import Source
from netlab.prove.space import (
    CT,
    DADDR,
    DPORT,
    PROTO,
    PROTOCOLS,
    TRACKED,
    Box,
    Region,
    Space,
    Values,
    both,
    has,
    meet,
    narrow,
    size,
)
from netlab.proxy.addresses import Family

_Front = tuple[int | None, int, int]
"""An address, None for any of a node's; a protocol and a port."""


class Found(Struct, frozen=True):
    """One class that is treated otherwise; `source` is whose packets."""

    change: Change
    source: Source


class Compared(Struct, frozen=True):
    """All that differs in one family; `owners` are the Services by address and port."""

    grounds: Grounds
    before: Node
    after: Node
    found: tuple[Found, ...]
    owners: Mapping[_Front, str] = {}

    @property
    def family(self) -> Family:
        """Whose packets."""
        return self.grounds.space.family


def compare(before: Node, after: Node, family: Family, boxes: Sequence[Box] = ((),)) -> Compared:
    """Every class of packets to any of the boxes that two nodes' rules treat otherwise, the
    smallest first."""
    grounds = Grounds(before, family, [after])
    other = grounds.of(after)
    space = grounds.space
    only = changed_box(grounds.rules, other.rules, space)
    near = [] if only is None else [met for box in boxes if (met := both(box, only)) is not None]
    found = [
        one
        for source in asking.sources("any", space, ())
        for one in _of_source(source, near, grounds, other)
    ]
    found.sort(key=lambda each: each.change.size)
    owners = _owners((before, after), space) if found else {}
    return Compared(grounds, before, after, tuple(found), owners)


def _of_source(
    source: Source, boxes: Iterable[Box], grounds: Grounds, other: Hooks
) -> Iterator[Found]:
    """What differs for one sender's packets; the same in several boxes is one class."""
    comparison = Comparison()
    together: dict[tuple[Meaning, Meaning], list[Change]] = {}
    begun = _begun(grounds.space, source)
    for box in boxes:
        part = narrow(begun, box)
        if part is not None:
            for change in _changes(comparison, source, part.region, (grounds.hooks, other)):
                key = (meaning(change.before), meaning(change.after))
                together.setdefault(key, []).append(change)
    for first, *more in together.values():
        regions = [region for each in (first, *more) for region in each.regions]
        yield Found(replace(first, regions=tuple(merged(regions))), source)


def _changes(
    comparison: Comparison, source: Source, region: Region, sides: tuple[Hooks, Hooks]
) -> list[Change]:
    """What differs in a region; where that is too much, all of it stays open."""
    try:
        one, two = (side.ends(source.entry, region) for side in sides)
        return comparison.changes(one, two, region, sides[0].diagrams.budget)
    except TooMuch as error:
        return [Change(error.leaf, error.leaf, (region,))]


def _owners(nodes: Iterable[Node], space: Space) -> dict[_Front, str]:
    found: dict[_Front, str] = {}
    for node in nodes:
        for door in doors_of(node.saves, space.family):
            address = space.network(door.address)[0][0] if door.address else None
            found[address, PROTOCOLS[door.protocol], door.port] = door.owner
    return found


def said(one: Found, compared: Compared) -> Iterator[str]:
    """The parts of a class in words, each with the Service that it is for."""
    space, source = compared.grounds.space, one.source
    for part in one.change.regions:
        text = words.region(part, space, _whole(compared, source), source.words)
        owner = _owner(part, compared)
        yield f"{text}, {owner}" if owner else text


def _owner(part: Region, compared: Compared) -> str:
    """The Services that few addresses and one port are of."""
    if size(part[DPORT]) != 1 or size(part[PROTO]) > _FEW or size(part[DADDR]) > _FEW:
        return ""
    port, owners = part[DPORT][0][0], compared.owners
    found = (
        owners.get((address, protocol, port))
        or (owners.get((None, protocol, port)) if local else None)
        for address, local in _addresses(part, compared.grounds.space)
        for protocol in _each(part[PROTO])
    )
    return ", ".join(dict.fromkeys(one for one in found if one))


def _addresses(part: Region, space: Space) -> Iterator[tuple[int, bool]]:
    for address in _each(part[DADDR]):
        yield address, has(space.local, address)


def _each(values: Values) -> Iterator[int]:
    for low, high in values:
        yield from range(low, high + 1)


_FEW = 4
WAS_AND_IS = ("was", "is")


def lines(one: Found, compared: Compared, sides_: tuple[str, str] = WAS_AND_IS) -> Iterator[str]:
    """A class that is treated otherwise, in words."""
    space, change = compared.grounds.space, one.change
    parts = list(said(one, compared))
    yield from parts[:3]
    if len(parts) > 3:
        yield f"and {len(parts) - 3} more such parts"
    before, after = sides(one, compared)
    width = max(map(len, sides_))
    yield f"  {sides_[0]:{width}} {before}"
    yield f"  {sides_[1]:{width}} {after}"
    yield f"  such as {words.packet(words.example(change.regions[0], space))}"


def sides(one: Found, compared: Compared) -> tuple[str, str]:
    """What became of these packets, and what does."""

    def told_by(node: Node) -> words.Told:
        def at(place: Place) -> str:
            return told(node, place, space.family)

        return at

    space, change = compared.grounds.space, one.change
    return (
        words.ends(change.before, space, told_by(compared.before)),
        words.ends(change.after, space, told_by(compared.after)),
    )


def document(one: Found, compared: Compared) -> dict[str, object]:
    """A class that is treated otherwise, as plain data."""
    space, change = compared.grounds.space, one.change
    before, after = sides(one, compared)
    return {
        "family": compared.family,
        "from": one.source.words,
        "packets": list(said(one, compared)),
        "headers": change.size,
        "before": before,
        "after": after,
        "open": change.is_open,
        "packet": words.example(change.regions[0], space),
    }


def _whole(compared: Compared, source: Source) -> Region:
    return _begun(compared.grounds.space, source)


def _begun(space: Space, source: Source) -> Region:
    """All packets of a sender's, later ones of connections among them."""
    found = narrow(space.all, source.box)
    assert found is not None
    region = found.region
    return (*region[:CT], meet(region[CT], TRACKED), *region[CT + 1 :])
