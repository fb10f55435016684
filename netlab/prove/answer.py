"""A question's answer for one node and family: each class of packets, judged, and what it leaves
out."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from netlab.prove import words
from netlab.prove.classes import Class, classes
from netlab.prove.diagram import ALLOWANCE, TOO_MUCH, TooMuch
from netlab.prove.ground import Grounds
from netlab.prove.question import (
    Expectation,
    Judgement,
    Source,
    Target,
    Verdict,
    judged,
    regions,
    whole,
    worst,
)
from netlab.prove.space import Region


class Answer(Struct, frozen=True):
    """What was found on a node."""

    grounds: Grounds
    expected: Expectation
    found: tuple[Verdict, ...]

    @property
    def judgement(self) -> Judgement:
        """Of all classes together."""
        return worst(self.found)

    def of(self, judgement: Judgement) -> list[Verdict]:
        """The classes that were judged so."""
        return [one for one in self.found if one.judgement == judgement]


def answer(
    grounds: Grounds, expected: Expectation, sources: Iterable[Source], target: Target
) -> Answer:
    """Every class that the question is about, held against what is expected."""
    found: list[Verdict] = []
    for source in sources:
        for region in regions(grounds.space, source, target):
            for one in _classes(grounds, source, region):
                judgement = judged(expected, one.ends, needs_translation=target.is_service)
                found.append(Verdict(source, one, judgement))
    return Answer(grounds, expected, tuple(found))


def _classes(grounds: Grounds, source: Source, region: Region) -> list[Class]:
    """The partition of a region; all of it is one where that is too much."""
    try:
        ends = grounds.ends(source.entry, region)
        return classes(ends, region, grounds.diagrams.budget)
    except TooMuch as error:
        return [Class(error.leaf, (region,))]


def document(one: Verdict, grounds: Grounds) -> dict[str, object]:
    """A class as plain data."""
    space = grounds.space
    first = one.found.regions[0]
    return {
        "from": one.source.words,
        "packets": said(one, grounds),
        "headers": one.found.size,
        "ends": words.ends(one.found.ends, space, grounds.told),
        "outcomes": words.outcomes(one.found.ends, space, grounds.told),
        "judgement": one.judgement,
        "packet": words.example(first, space),
    }


def said(one: Verdict, grounds: Grounds) -> list[str]:
    """The parts of a class in words."""
    all_ = whole(grounds.space, one.source)
    assert all_ is not None
    regions_ = one.found.regions
    return [words.region(part, grounds.space, all_, one.source.words) for part in regions_]


def not_covered(answer: Answer) -> list[str]:
    """What an answer takes for granted, and the rules that leave something open in it."""
    grounds = answer.grounds
    found = grounds.taken_for_granted()
    unknown = sorted(grounds.unknown())
    if unknown:
        places = [grounds.told(place) for place in unknown[:_FEW]]
        rules = f"{len(unknown)} rule{'s' * (len(unknown) > 1)}"
        left = len(answer.of("open"))
        stay = f"{left or 'no'} answer{'s' * (left != 1)} stay{'s' * (left == 1)} open"
        more = ", …" * (len(unknown) > _FEW)
        found.append(f"not understood: {rules}, {', '.join(places)}{more}: {stay}")
    too_much = (_too_much(one, grounds) for one in answer.found if _is_too_much(one))
    return list(dict.fromkeys((*found, *too_much)))


def _is_too_much(one: Verdict) -> bool:
    return one.found.ends.ways[0][0].how == TOO_MUCH


def _too_much(one: Verdict, grounds: Grounds) -> str:
    place = one.found.ends.ways[0][0].place
    at = f", at {grounds.told(place)}" if place is not None else ""
    return f"{TOO_MUCH} (more than {ALLOWANCE:,} units){at}: ask for fewer packets"


_FEW = 5
