"""A packet through rules that ask what nobody told: each question tried both ways, as far as it
takes to tell what depends on it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from netlab.simulation.knowledge import Known
from netlab.simulation.packet import Doubt, Outcome, Packet

Simulate = Callable[[Packet], list[Outcome]]

MOST = 64
"""So many cases are followed: a question more doubles them."""


class Case(Struct, frozen=True):
    """What becomes of a packet if these facts are so, and those not: by the order in which rules
    asked for them; `asked` are those rules. Not `whole` where more was asked for than could be
    followed."""

    supposed: tuple[tuple[str, bool], ...]
    outcomes: tuple[Outcome, ...]
    whole: bool = True
    asked: tuple[Doubt, ...] = ()


def cases(simulate: Simulate, packet: Packet) -> list[Case]:
    """Every case there is, that in which nothing is so first; `packet.known` is what is told."""
    found: list[Case] = []
    waiting = [(_Supposed((), ()), packet.known or Known())]
    while waiting:
        supposed, known = waiting.pop()
        outcomes = simulate(replace(packet, known=known))
        if any(each.cut_short for each in outcomes):
            return [supposed.case(outcomes, whole=True)]
        asked = next((doubt for each in outcomes for doubt in each.unsure), None)
        if asked is None or len(found) + len(waiting) >= MOST:
            found.append(supposed.case(outcomes, whole=asked is None))
            continue
        for so in (True, False):
            waiting.append((supposed.more(asked, so=so), known.supposing(asked.fact, so=so)))
    return found


class _Supposed(NamedTuple):
    facts: tuple[tuple[str, bool], ...]
    asked: tuple[Doubt, ...]

    def more(self, doubt: Doubt, *, so: bool) -> _Supposed:
        return _Supposed((*self.facts, (doubt.fact, so)), (*self.asked, doubt))

    def case(self, outcomes: Sequence[Outcome], *, whole: bool) -> Case:
        return Case(self.facts, tuple(outcomes), whole, self.asked)


End = tuple[str, str, int, bool, bool]
"""What a sender and a receiver notice: the verdict, address and port it was for in the end, whether
that was another than before, whether the source was changed."""

END, SOURCE = 4, 5
"""How much of an end is compared: where it leads, or also whom it seems to come from."""


def ends(case: Case, parts: int = SOURCE) -> dict[tuple[object, ...], float]:
    """The ends of a case with their shares."""
    found: dict[tuple[object, ...], float] = {}
    for each in case.outcomes:
        verdict = "OPEN" if each.unknown else each.verdict
        packet = each.packet
        end: End = (verdict, packet.destination, packet.dport, packet.dnat, each.masqueraded)
        found[end[:parts]] = found.get(end[:parts], 0.0) + each.probability
    return found


def decisive(found: Sequence[Case], parts: int = SOURCE) -> list[str]:
    """The facts that something depends on: there are two cases that differ in that one alone, of
    those that both asked for, and come to other ends. In the order in which they are asked for."""
    facts = dict.fromkeys(fact for case in found for fact, _ in case.supposed)
    return [fact for fact in facts if any(_turned(fact, found, parts))]


def _turned(fact: str, found: Sequence[Case], parts: int) -> Iterator[bool]:
    supposed = [(ends(case, parts), dict(case.supposed)) for case in found]
    with_it = [(end, facts) for end, facts in supposed if facts.get(fact) is True]
    without = [(end, facts) for end, facts in supposed if facts.get(fact) is False]
    for one, mine in with_it:
        for other, others in without:
            shared = (mine.keys() & others.keys()) - {fact}
            if all(mine[each] == others[each] for each in shared):
                yield not _alike(one, other)


def _alike(one: dict[tuple[object, ...], float], other: dict[tuple[object, ...], float]) -> bool:
    return one.keys() == other.keys() and all(
        abs(share - other[end]) < _NOTHING for end, share in one.items()
    )


_NOTHING = 1e-9
