"""A packet's journey as a picture: its places, the rules that acted there, and its end. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from msgspec import Struct
from msgspec.structs import replace

from netlab.graph.model import Arrow, Box, BoxKind, Group, Picture
from netlab.pathcheck.path import Hop
from netlab.trace.agreement import observed
from netlab.trace.story import Story
from netlab.view import trace_save
from netlab.view.trace import rule_words


class _Stay(Struct, frozen=True):
    """A packet at one place: the boxes it passes there, in their order."""

    place: str
    boxes: tuple[Box, ...]


def journey(story: Story) -> Picture:
    """The picture of a trace."""
    stays = list(_stays(story))
    groups = tuple(
        Group(f"stay {number}", stay.place, "node" if "/" not in stay.place else "pods", stay.boxes)
        for number, stay in enumerate(stays)
        if len(stay.boxes) > 1
    )
    alone = [_named(stay) for stay in stays if len(stay.boxes) == 1]
    end = Box("end", tuple(_end(story)), _end_kind(story))
    way = [box for stay in stays for box in stay.boxes] + [end]
    return Picture(
        title=f"{story.sender}: ".removeprefix(": ")
        + f"{story.probe.source} → {story.probe.destination} "
        f"{story.probe.proto}",
        groups=groups,
        boxes=(*alone, end),
        arrows=tuple(_arrows(way, story)),
        down=True,
    )


def _named(stay: _Stay) -> Box:
    """A place's only box, which needs no frame around it to say whose it is."""
    (box,) = stay.boxes
    return replace(box, lines=(stay.place, *box.lines))


_END_KINDS: dict[str, BoxKind] = {
    "delivered": "good",
    "refused": "bad",
    "lost": "bad",
    "open": "hop",
}


def _end_kind(story: Story) -> BoxKind:
    """What came where nobody listens arrived, and is no good end."""
    turned_away = story.journey.outcome in ("refused", "unreachable")
    return "bad" if turned_away else _END_KINDS[story.verdict]


def _stays(story: Story) -> Iterator[_Stay]:
    """Where it was; the rules of a place stand before the interface that it left it by."""
    told = set[str]()
    number = 0
    for place, hops in groupby(story.journey.hops, key=lambda hop: hop.place):
        here = list(hops)
        rules = [] if place in told else list(_rules(story, place))
        told.add(place)
        found = [_hop(hop, number + index) for index, hop in enumerate(here)]
        if rules:
            found.insert(_after(here, story), Box(f"rules {number}", tuple(rules), "rules"))
        number += len(here)
        yield _Stay(place, tuple(found))


def _after(here: Sequence[Hop], story: Story) -> int:
    """Behind how many of a place's interfaces its rules are told."""
    if story.sender == here[0].place:
        return 0
    first = here[0]
    for index, hop in enumerate(here):
        if (hop.source, hop.destination) != (first.source, first.destination):
            return index
    return max(len(here) - 1, 1)


def _hop(hop: Hop, number: int) -> Box:
    lines = (f"{number + 1}. {hop.ifname}".rstrip(), f"{hop.source} → {hop.destination}")
    return Box(f"hop {number}", lines, "hop")


def _rules(story: Story, place: str) -> Iterator[str]:
    for visit in story.there:
        if visit.place == place and visit.matters:
            for rule in visit.met:
                words = rule_words(rule, story.mode)
                yield f"{visit.table} {visit.chain}, rule {rule.number} of {visit.size}: {words}"
    for kind, changes in (("DNAT", story.journey.dnats), ("masquerade", story.journey.snats)):
        for each in changes:
            if each.place == place:
                yield f"{kind}: {each.before} became {each.after}"


def _end(story: Story) -> Iterator[str]:
    went = story.journey
    if story.files:
        yield trace_save.end(story)
    elif went.delivered is not None:
        yield f"delivered to {went.delivered_at} ({went.delivered})"
    else:
        yield f"{observed(went)} " + (f"after {went.last}" if went.hops else "before it left")
    if went.note:
        yield went.note
    yield from (str(cause) for cause in story.causes)
    if story.agreement.difference:
        yield f"kernel and simulator differ: {story.agreement.difference}"


def _arrows(way: Sequence[Box], story: Story) -> Iterator[Arrow]:
    for before, after in pairwise(way):
        yield Arrow(before.key, after.key)
    hops = {
        (hop.place, hop.ifname): f"hop {number}" for number, hop in enumerate(story.journey.hops)
    }
    sources = {story.probe.source, *(hop.source for hop in story.journey.hops)}
    answers = (seen for seen in story.packets if seen.packet.source not in sources)
    points = [hops[at] for seen in answers if (at := (seen.place, seen.ifname)) in hops]
    steps = [key for key, _ in groupby(points)]
    # A sender that hears twice is one that was told twice: the first answer is the one drawn.
    if steps and "hop 0" in steps:
        steps = steps[: steps.index("hop 0") + 1]
    for point, following in pairwise(steps):
        yield Arrow(point, following, kind="answer")
