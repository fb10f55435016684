"""What a saved trace tells of a packet's way beside its chains: `document`'s fields read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from netlab.kernel.conntrack import Connection, Tuple
from netlab.trace.marks import MarkChange, Sake
from netlab.trace.passages import MetRule
from netlab.trace.story import ChainVisit
from netlab.trace.way import Decision, Evidence, Tracked, WayBack


class Tracking(Struct):
    """An entry of connection tracking, at a place."""

    place: str
    original: Tuple
    reply: Tuple
    assured: bool
    state: str
    timeout: int
    mark: int
    seen_reply: bool = field(name="seenReply")


class AtRule(Struct):
    """A rule that is told of elsewhere."""

    place: str
    table: str
    chain: str
    number: int
    rule: str


class Marking(AtRule):
    """What it made of the packet's mark."""

    before: int
    after: int


def evidence(
    back: WayBack | None, tracking: Sequence[Tracking], routes: Sequence[Decision], dropped: str
) -> Evidence:
    """What kernels told; `ValueError` for an answer that was seen nowhere."""
    if back is not None and not back.hops:
        raise ValueError("a reply without hops")
    return Evidence(back, tuple(map(_tracked, tracking)), tuple(routes), dropped)


def _tracked(one: Tracking) -> Tracked:
    return Tracked(
        one.place,
        Connection(
            one.original,
            one.reply,
            one.seen_reply,
            one.assured,
            one.state,
            one.timeout,
            one.mark,
        ),
    )


def changes(marks: Sequence[Marking], visits: Sequence[ChainVisit]) -> Iterator[MarkChange]:
    """What became of the mark, by the rules that were met."""
    for one in marks:
        yield MarkChange(one.place, _met(one, visits), one.before, one.after, None)


def sakes(found: Sequence[AtRule], visits: Sequence[ChainVisit]) -> Iterator[Sake]:
    """For the sake of which rules it was masqueraded."""
    return (Sake(one.place, _met(one, visits)) for one in found)


def _met(wanted: AtRule, visits: Sequence[ChainVisit]) -> MetRule:
    here = (visit for visit in visits if visit.place == wanted.place)
    same = (
        rule
        for visit in here
        for rule in visit.met
        if (rule.table, rule.chain, rule.number) == (wanted.table, wanted.chain, wanted.number)
    )
    alone = MetRule(wanted.table, wanted.chain, wanted.number, wanted.rule, "continue")
    return next(same, alone)
