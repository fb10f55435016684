"""An expectation held against every class of packets that a question is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from netlab.prove.classes import Class, arrives, endpoints, is_open
from netlab.prove.diagram import Leaf
from netlab.prove.space import CT, NEW, Box, Region, Space, narrow

Expectation = Literal["reachable", "none", "spread-equal"]
EXPECTATIONS: tuple[Expectation, ...] = ("reachable", "none", "spread-equal")
Judgement = Literal["holds", "fails", "open"]
Side = Literal["PREROUTING", "OUTPUT"]

_ALIKE = 1e-6


class Source(Struct, frozen=True):
    """Whose packets: where they enter the node's rules, and what they have as source."""

    words: str
    entry: Side
    box: Box = ()


class Target(Struct, frozen=True):
    """What they go to. `is_service`: only a translation can make them arrive."""

    words: str
    boxes: tuple[Box, ...]
    is_service: bool = False


class Verdict(Struct, frozen=True):
    """A class, and whether it is as expected."""

    source: Source
    found: Class
    judgement: Judgement


def whole(space: Space, source: Source) -> Region | None:
    """All first packets of connections of a sender's."""
    begun = narrow(space.all, source.box)
    return None if begun is None else (*begun.region[:CT], NEW, *begun.region[CT + 1 :])


def regions(space: Space, source: Source, target: Target) -> Iterable[Region]:
    """Where the question is, in the header space."""
    region = whole(space, source)
    if region is None:
        return
    for box in target.boxes:
        part = narrow(region, box)
        if part is not None:
            yield part.region


def judged(expected: Expectation, leaf: Leaf, *, needs_translation: bool) -> Judgement:
    """Whether packets with these ends are as expected."""
    arrived = [
        arrives(way) and (way.state.to is not None or not needs_translation)
        for way, _ in leaf.ways
        if way.at != "open"
    ]
    met = not any(arrived) if expected == "none" else all(arrived)
    if met and expected == "spread-equal" and not is_open(leaf):
        met = _is_equal(leaf)
    if not met:
        return "fails"
    return "open" if is_open(leaf) else "holds"


def _is_equal(leaf: Leaf) -> bool:
    shares = list(endpoints(leaf).values())
    return bool(shares) and max(shares) - min(shares) < _ALIKE


def worst(found: Sequence[Verdict]) -> Judgement:
    """Of all classes together."""
    judgements = {one.judgement for one in found}
    for each in ("fails", "open"):
        if each in judgements:
            return each
    return "holds"
