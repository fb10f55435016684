"""Two rulesets held against each other: what differs for which packets, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from netlab.prove import asking, words
from netlab.prove.changed import changed_box
from netlab.prove.diagram import Place
from netlab.prove.difference import Change, Comparison
from netlab.prove.ground import Grounds, Node, doors_of, told
from netlab.prove.question import Source
from netlab.prove.space import (
    CT,
    DADDR,
    DPORT,
    TRACKED,
    Box,
    Region,
    Space,
    both,
    has,
    meet,
    narrow,
    size,
)
from netlab.proxy.addresses import Family


class Found(Struct, frozen=True):
    """One class that is treated otherwise; `senders` are those whose packets are."""

    change: Change
    sources: tuple[Source, ...]


class Compared(Struct, frozen=True):
    """All that differs in one family; `owners` are the Services by address and port."""

    grounds: Grounds
    before: Node
    after: Node
    found: tuple[Found, ...]
    owners: Mapping[tuple[int | None, int], str] = {}

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
    comparison = Comparison()
    made: list[Found] = []
    only = changed_box(grounds.rules, other.rules, space)
    boxes = [] if only is None else [met for box in boxes if (met := both(box, only)) is not None]
    for source in asking.sources("any", space, ()):
        begun = _begun(space, source)
        for box in boxes:
            part = narrow(begun, box)
            if part is None:
                continue
            one = grounds.hooks.ends(source.entry, part.region)
            two = other.ends(source.entry, part.region)
            changes = comparison.changes(one, two, part.region)
            made += [Found(change, (source,)) for change in changes]
    found = tuple(sorted(made, key=lambda each: each.change.size))
    return Compared(grounds, before, after, found, _owners((before, after), space) if made else {})


def _owners(nodes: Iterable[Node], space: Space) -> dict[tuple[int | None, int], str]:
    found: dict[tuple[int | None, int], str] = {}
    for node in nodes:
        for door in doors_of(node.saves, space.family):
            address = space.network(door.address)[0][0] if door.address else None
            found[address, door.port] = door.owner
    return found


def said(one: Found, compared: Compared) -> Iterator[str]:
    """The parts of a class in words, each with the Service that it is for."""
    space, source = compared.grounds.space, one.sources[0]
    for part in one.change.regions:
        text = words.region(part, space, _whole(compared, source), source.words)
        owner = _owner(part, compared)
        yield f"{text}, {owner}" if owner else text


def _owner(part: Region, compared: Compared) -> str:
    addresses, ports = part[DADDR], part[DPORT]
    if len(ports) != 1 or ports[0][0] != ports[0][1] or size(addresses) > _FEW:
        return ""
    found = (
        compared.owners.get((address, ports[0][0]))
        or (
            compared.owners.get((None, ports[0][0]))
            if has(compared.grounds.space.local, address)
            else None
        )
        for low, high in addresses
        for address in range(low, high + 1)
    )
    return ", ".join(dict.fromkeys(one for one in found if one))


_FEW = 4


def lines(one: Found, compared: Compared, was: str = "was") -> Iterator[str]:
    """A class that is treated otherwise, in words."""
    space, change = compared.grounds.space, one.change
    parts = list(said(one, compared))
    yield from parts[:3]
    if len(parts) > 3:
        yield f"and {len(parts) - 3} more such parts"
    before, after = sides(one, compared)
    yield f"  {was} {before}"
    yield f"  {'is':{len(was)}} {after}"
    yield f"  such as {words.packet(words.example(change.regions[0], space))}"


def sides(one: Found, compared: Compared) -> tuple[str, str]:
    """What became of these packets, and what does."""

    def told_by(node: Node) -> words.Told:
        def at(place: Place) -> str:
            return told(node, place)

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
        "from": one.sources[0].words,
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
