"""Two rulesets held against each other: what differs for which packets, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from netlab.prove import asking, words
from netlab.prove.diagram import Place
from netlab.prove.difference import Change, Comparison
from netlab.prove.ground import Grounds, Node, told
from netlab.prove.question import Source
from netlab.prove.space import Box, Region, narrow
from netlab.proxy.addresses import Family


class Found(Struct, frozen=True):
    """One class that is treated otherwise; `senders` are those whose packets are."""

    change: Change
    sources: tuple[Source, ...]


class Compared(Struct, frozen=True):
    """All that differs in one family."""

    grounds: Grounds
    before: Node
    after: Node
    found: tuple[Found, ...]

    @property
    def family(self) -> Family:
        """Whose packets."""
        return self.grounds.space.family


def compare(
    before: Node, after: Node, family: Family, boxes: Sequence[Box] = ((),)
) -> Compared:
    """Every class of packets to any of the boxes that two nodes' rules treat otherwise, the
    smallest first."""
    grounds = Grounds(before, family, [after])
    other = grounds.of(after)
    space = grounds.space
    comparison = Comparison()
    made: list[Found] = []
    for source in asking.sources("any", space, ()):
        begun = narrow(space.all, source.box)
        for box in boxes if begun is not None else ():
            part = narrow(begun.region, box) if begun is not None else None
            if part is None:
                continue
            one = grounds.hooks.ends(source.entry, part.region)
            two = other.ends(source.entry, part.region)
            changes = comparison.changes(one, two, part.region)
            made += [Found(change, (source,)) for change in changes]
    return Compared(grounds, before, after, tuple(sorted(made, key=lambda each: each.change.size)))


def lines(one: Found, compared: Compared) -> Iterable[str]:
    """A class that is treated otherwise, in words."""
    space, change = compared.grounds.space, one.change
    source = one.sources[0]
    parts = [words.region(part, space, _whole(compared, source), source.words) for part in change.regions]
    yield from parts[:3]
    if len(parts) > 3:
        yield f"and {len(parts) - 3} more such parts"
    before, after = sides(one, compared)
    yield f"  was {before}"
    yield f"  is  {after}"
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
        "packets": [
            words.region(part, space, _whole(compared, one.sources[0]), one.sources[0].words)
            for part in change.regions
        ],
        "headers": change.size,
        "before": before,
        "after": after,
        "open": change.is_open,
        "packet": words.example(change.regions[0], space),
    }


def _whole(compared: Compared, source: Source) -> Region:
    begun = narrow(compared.grounds.space.all, source.box)
    assert begun is not None
    return begun.region
