"""Do the kernel's story and the rules' own agree? Step by step. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from msgspec import Struct

from netlab.pathcheck.path import Journey
from netlab.trace.passages import Passage
from netlab.trace.predicted import Prediction, Verdict

Place = tuple[str, str, str, int]
"""A rule's place: node, table, chain, number."""


class Step(Struct, frozen=True):
    """A rule that was met: on which node, where it stands there, its text."""

    place: str
    table: str
    chain: str
    number: int
    rule: str

    @property
    def at(self) -> Place:
        """Where it stands."""
        return self.place, self.table, self.chain, self.number

    def __str__(self) -> str:
        return f"rule {self.number} of {self.table} {self.chain} on {self.place}"


class Agreement(Struct, frozen=True):
    """The way, of those predicted, that the packet took: as far as `steps` rules. `difference` is
    where they part, in words; "" where they agree in all, or where rules that nobody understands
    leave it `open`: their conditions. Where they part by rules, `kernel` and `simulator` are those
    that each met from there on."""

    prediction: Prediction | None
    steps: int
    difference: str = ""
    open: tuple[str, ...] = ()
    kernel: tuple[Step, ...] = ()
    simulator: tuple[Step, ...] = ()


def agree(
    passages: Sequence[Passage] | None,
    journey: Journey,
    predictions: Sequence[Prediction],
    foreign: Sequence[str] = (),
) -> Agreement:
    """Hold what was seen against all ways that the rules leave open; without passages that is where
    the packet ended alone. The passages are the packet's own, not its answer's; `foreign` are rules
    that ended it, of tables that nobody foresaw."""
    seen = [step for each in passages or () for step in _met(each)]
    best = Agreement(None, 0, "the rules leave no way open")
    for prediction in predictions:
        told = list(_predicted(prediction)) if passages is not None else []
        parts = next(
            (i for i, pair in enumerate(zip_longest(seen, told)) if not _same(*pair)), None
        )
        if parts is None:
            other = _other_end(journey, prediction, told=passages is not None)
            if not other:
                return Agreement(prediction, len(seen))
            found = Agreement(prediction, len(seen), other)
        else:
            rests = tuple(seen[parts:]), tuple(told[parts:])
            found = Agreement(prediction, parts, _parting(*rests), (), *rests)
        unknown = (*foreign, *prediction.unknown)
        if unknown:
            found = Agreement(prediction, found.steps, "", unknown)
        # What is open is no difference.
        if best.prediction is None or (bool(found.open), found.steps) > (
            bool(best.open), best.steps,
        ):  # fmt: skip
            best = found
    return best


def _same(seen: Step | None, told: Step | None) -> bool:
    return seen is not None and told is not None and seen.at == told.at


def _met(passage: Passage) -> Iterator[Step]:
    for rule in passage.rules:
        yield Step(passage.place, rule.table, rule.chain, rule.number, rule.text)


def _predicted(prediction: Prediction) -> Iterator[Step]:
    for stay in prediction.stays:
        for hit in stay.outcome.rules:
            yield Step(stay.node, hit.table, hit.chain, hit.number, hit.rule)


def observed(journey: Journey) -> Verdict:
    """What became of the packet, as the captures saw it. One that arrived where nobody listens was
    delivered: the rules did their work."""
    if journey.delivered is not None:
        return "delivered"
    return "refused" if journey.outcome in ("refused", "unreachable") else "lost"


def nobody_there(journey: Journey) -> bool:
    """Whether a machine says that its next one answers no ARP, or no neighbour solicitation: what
    is lost on a link is told to the sender late, or not while somebody waits."""
    kind, code = (1, 3) if ":" in journey.probe.dst else (3, 1)
    return journey.note.startswith(f"ICMP type {kind} code {code} ")


def _other_end(journey: Journey, prediction: Prediction, *, told: bool) -> str:
    seen = observed(journey)
    answered = journey.outcome == "reachable" and not journey.note
    at_its_end = journey.delivered_at == prediction.at and not answered
    if not told and seen == "delivered" and prediction.verdict in ("lost", "refused"):
        seen = prediction.verdict if at_its_end else seen  # captures do not see what input does
    if prediction.verdict == "open":
        return "the rules leave it open"
    if seen == "refused" and prediction.verdict == "lost" and nobody_there(journey):
        return ""
    if seen != prediction.verdict:
        return f"it was {seen}, and is {prediction.verdict} by the rules"
    if seen == "delivered" and journey.delivered != prediction.destination:
        return (
            f"it arrived at {journey.delivered}, and goes to {prediction.destination} by the rules"
        )
    return ""


def _parting(seen: Sequence[Step], told: Sequence[Step]) -> str:
    kernel = str(seen[0]) if seen else "no rule any more"
    rules = str(told[0]) if told else "no rule any more"
    return f"the kernel met {kernel}, the simulator {rules}"
