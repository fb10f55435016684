"""Where two rulesets of one kind can differ at all: a box around every packet that may meet a
rule which only one of them has.

Of two nodes' 10,000 Services nearly all are the same, and need not be asked. Where a changed rule
may meet packets that were translated before, all are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netlab.prove.space import (
    CT,
    DADDR,
    DPORT,
    IIF,
    NO_FIELD,
    OIF,
    Box,
    Space,
    Values,
    both,
    has,
    meet,
    union,
    without,
)
from netlab.prove.steps import Rules, Step, targets

Key = tuple[str, str]

_TRANSLATED_AT = -100
_LEFT_OUT = (IIF, OIF, CT)
"""Fields that change on a packet's way through the node."""

_MOST = 5000


class _Everything(Exception):
    """There is no telling."""


def changed_box(before: Sequence[Rules], after: Sequence[Rules], space: Space) -> Box | None:
    """A box with every packet that may be treated otherwise; None if there is none such.
    `()` is everything."""
    if any(one.sets != two.sets for one, two in zip(before, after, strict=False)):
        return ()
    if [type(one) for one in before] != [type(one) for one in after]:
        return ()
    try:
        boxes = [
            box for pair in zip(before, after, strict=True) for box in _Pair(*pair, space).boxes()
        ]
    except _Everything:
        return ()
    return _hull(boxes) if boxes else None


def _hull(boxes: Iterable[Box]) -> Box:
    """The product of what any of them asks of a field."""
    known = [dict(box) for box in boxes]
    found = []
    for field in range(NO_FIELD):
        if field not in _LEFT_OUT and all(field in box for box in known):
            found.append((field, union(each for box in known for each in box[field])))
    return tuple(found)


class _Pair:
    """Two rulesets."""

    def __init__(self, before: Rules, after: Rules, space: Space) -> None:
        self._sides = (before, after)
        self._space = space
        self._known: dict[Key, list[Box]] = {}
        self._changed = before.differing(after)
        self._touched = self._leading_there()

    def boxes(self) -> list[Box]:
        """What may differ, at the hooks."""
        before, after = (_hooked(one) for one in self._sides)
        if before != after:
            raise _Everything
        found: list[Box] = []
        for hook, priority, table, chain, _ in before:
            here = self._at((table, chain), 0)
            early = hook in ("PREROUTING", "OUTPUT") and priority <= _TRANSLATED_AT
            if here and not early:
                self._no_translation_into(here)
            found += here
        return found

    def _leading_there(self) -> set[Key]:
        """The chains that differ, and those that lead to one that does."""
        behind: dict[Key, set[Key]] = {}
        for one in self._sides:
            for key, target in one.leads():
                behind.setdefault((key[0], target), set()).add(key)
        touched, ahead = set(self._changed), list(self._changed)
        while ahead:
            for key in behind.get(ahead.pop(), ()):
                if key not in touched:
                    touched.add(key)
                    ahead.append(key)
        return touched

    def _at(self, key: Key, depth: int) -> list[Box]:
        """The packets that may go other ways in a chain."""
        if key not in self._touched:
            return []
        if depth > _DEEPEST:
            raise _Everything
        if key not in self._known:
            self._known[key] = list(dict.fromkeys(self._met(key, depth)))
            if len(self._known[key]) > _MOST:
                raise _Everything
        return self._known[key]

    def _met(self, key: Key, depth: int) -> Iterable[Box]:
        one, other = ([_plain(step) for step in side.chain(*key) or ()] for side in self._sides)
        other, odd = _alike(one, other)
        yield from odd
        common = set(one) & set(other)
        if [step for step in one if step in common] != [step for step in other if step in common]:
            raise _Everything
        for step in {*one, *other} - common:
            yield from step.boxes
        for step in common:
            for go in targets(step):
                for inner in self._at((key[0], go.chain), depth + 1):
                    met = (both(box, inner) for box in step.boxes)
                    yield from (box for box in met if box is not None)

    def _no_translation_into(self, boxes: Iterable[Box]) -> None:
        """Raises if a translated packet may come there."""
        ends = [end for one in self._sides for end in one.translations()]
        for box in boxes:
            asked = dict(box)
            addresses = asked.get(DADDR)
            if addresses is None or any(_fits(end, addresses, asked.get(DPORT)) for end in ends):
                raise _Everything


_DEEPEST = 50


def _alike(one: Sequence[Step], other: Sequence[Step]) -> tuple[list[Step], list[Box]]:
    """The second one's steps, those that differ from one of the first in the values of one field
    alone being that one; and the boxes in which they differ."""
    known, there = set(one), set(other)
    frames = {frame: step for step in one if step not in there for frame in _frames(step)}
    found: list[Step] = []
    boxes: list[Box] = []
    for step in other:
        twin = None if step in known else _twin(step, frames)
        if twin is None:
            found.append(step)
            continue
        mine, field = twin
        found.append(mine)
        for frame in [one for one in frames if frames[one] is mine]:
            del frames[frame]
        boxes.append(_between(mine.boxes[0], step.boxes[0], field))
    return found, boxes


_Frame = tuple[Step, int]


def _frames(step: Step) -> Iterable[_Frame]:
    """A step without the values of each of its fields."""
    if len(step.boxes) == 1:
        for field, _ in step.boxes[0]:
            box = tuple((at, () if at == field else values) for at, values in step.boxes[0])
            yield step._replace(boxes=(box,)), field


def _twin(step: Step, frames: Mapping[_Frame, Step]) -> tuple[Step, int] | None:
    return next(((frames[one], one[1]) for one in _frames(step) if one in frames), None)


def _between(one: Box, other: Box, field: int) -> Box:
    """Where two boxes differ that differ in one field."""
    mine, theirs = dict(one)[field], dict(other)[field]
    last = max(mine[-1][1], theirs[-1][1])
    odd = (*meet(mine, without(theirs, last)), *meet(theirs, without(mine, last)))
    return tuple((at, union(odd) if at == field else values) for at, values in one)


def _fits(end: tuple[int | None, int | None], addresses: Values, ports: Values | None) -> bool:
    address, port = end
    if address is not None and not has(addresses, address):
        return False
    return port is None or ports is None or has(ports, port)


def _plain(step: Step) -> Step:
    """Without its number, and what is not the same at all hooks."""
    boxes = tuple(
        tuple((field, values) for field, values in box if field not in _LEFT_OUT)
        for box in step.boxes
    )
    return step._replace(number=0, boxes=boxes) if boxes == step.boxes else _with_rest(step, boxes)


def _with_rest(step: Step, boxes: tuple[Box, ...]) -> Step:
    """What was left out still tells two rules apart."""
    return step._replace(number=0, boxes=boxes, unknown=(*step.unknown, repr(step.boxes)))


def _hooked(rules: Rules) -> list[tuple[str, int, str, str, bool]]:
    return [
        (hook, priority, one.table, one.chain, one.drops)
        for hook, chains in sorted(rules.hooks.items())
        for priority, one in chains
    ]
