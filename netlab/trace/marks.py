"""What became of a packet's mark, and for which rule's sake it was masqueraded. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from netlab.trace.passages import MetRule, Passage

_TRANSLATING = ("MASQUERADE", "SNAT", "masquerade", "snat")


class MarkChange(Struct, frozen=True):
    """A rule that changed the mark, at a place; `caller` is the rule that sent the packet to its
    chain, None at a hook's own."""

    place: str
    rule: MetRule
    before: int
    after: int
    caller: MetRule | None


def changes(passages: Sequence[Passage]) -> Iterator[MarkChange]:
    """Of a packet's passages in their order: it comes to each place without a mark, and to each
    chain with the mark that it had."""
    place, mark = "", 0
    for passage in passages:
        if passage.place != place:
            place, mark = passage.place, 0
        callers: dict[str, MetRule] = {}
        for rule in passage.rules:
            if rule.to:
                callers[rule.to] = rule
            if rule.mark != mark:
                yield MarkChange(place, rule, mark, rule.mark, callers.get(rule.chain))
                mark = rule.mark


class Sake(Struct, frozen=True):
    """The rule for whose sake a place took another source address for a packet: one that had it
    marked for that, or that which did so."""

    place: str
    rule: MetRule


_MARKING = ("-MARK-MASQ", "-SETMARK")
"""How the chains are called that do nothing but mark, for whoever jumps there."""


def sakes(passages: Sequence[Passage], places: Sequence[str]) -> Iterator[Sake]:
    """By place, where the source was changed."""
    marked = {change.place: change for change in changes(passages) if change.after}
    for place in dict.fromkeys(places):
        if place in marked:
            change = marked[place]
            called = change.rule.chain.endswith(_MARKING)
            yield Sake(place, (called and change.caller) or change.rule)
            continue
        met = (rule for one in passages if one.place == place for rule in one.rules)
        done = next((rule for rule in met if _translates(rule)), None)
        if done is not None:
            yield Sake(place, done)


def _translates(rule: MetRule) -> bool:
    return any(word in rule.text.split() for word in _TRANSLATING)
