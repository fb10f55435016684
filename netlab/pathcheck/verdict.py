"""What was expected and what was seen → pass or fail, each failure with its reason. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from netlab.objects.pathcheck import AT_SENDER, NOWHERE
from netlab.pathcheck import spread
from netlab.pathcheck.path import Journey, Rewrite
from netlab.pathcheck.send import Talk
from netlab.pathcheck.trial import Trial
from netlab.pathcheck.world import World


class Verdict(Struct, frozen=True):
    """Passed when there are no `reasons` against it; `outcome` is what was seen."""

    outcome: str
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True when everything was as expected."""
        return not self.reasons


def judge(
    trial: Trial, journeys: Sequence[Journey], world: World, talk: Talk | None = None
) -> Verdict:
    """The verdict on a trial, of whose tries these are the journeys, in order; at least one."""
    expect = trial.check.expect
    odd = next((each for each in journeys if each.outcome != expect.outcome), None)
    if odd is not None:
        # Where NAT went wrong is often why: say it as far as this try came.
        why = _wrong_places(trial, [odd]) if odd.delivered is not None else ()
        return Verdict(odd.outcome, (*_wrong_outcome(trial, odd, journeys), *why))
    reasons = [
        *_wrong_endpoints(trial, journeys),
        *_wrong_spread(trial, journeys),
        *_wrong_source(trial, journeys, world),
        *_wrong_places(trial, journeys),
        *_wrong_talk(talk),
    ]
    return Verdict(journeys[0].outcome, tuple(reasons))


def counts(journeys: Sequence[Journey]) -> Counter[str]:
    """How many tries each `address:port` got and answered, or refused."""
    return Counter(
        each.delivered
        for each in journeys
        if each.delivered is not None and each.outcome != "timeout"
    )


def shortfall(trial: Trial, journeys: Sequence[Journey]) -> bool:
    """True while an endpoint that must answer has had too few tries: more may mend that."""
    if any(each.outcome != "reachable" for each in journeys):
        return False
    return any(True for _ in _missing(trial, counts(journeys)))


def _wrong_outcome(trial: Trial, odd: Journey, journeys: Sequence[Journey]) -> Iterator[str]:
    expected = trial.check.expect.outcome
    alike = sum(each.outcome == odd.outcome for each in journeys)
    share = f" ({alike} of {len(journeys)} tries)" if len(journeys) > 1 else ""
    why = f": {odd.note}" if odd.note else ""
    text = f"expected {expected}, it was {odd.outcome}{share}{why}"
    if odd.outcome == "timeout":
        text += f"; last seen at {odd.last}" if odd.hops else f"; it never left {trial.place.name}"
        if odd.delivered is not None:
            text += f", where it arrived as {odd.delivered} from {odd.seen_source}"
    elif odd.delivered is not None:
        text += f"; it reached {_named(odd.delivered, odd.delivered_at)}"
    yield text


def _missing(trial: Trial, seen: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """The endpoints with too few tries, and how many they had."""
    expect = trial.check.expect
    each = expect.spread.at_least if expect.spread is not None else 1
    wanted = trial.wanted
    if wanted is None and expect.spread is not None and not isinstance(expect.endpoints, int):
        wanted = frozenset(trial.endpoints or ())
    if wanted is not None:
        yield from ((one, seen.get(one, 0)) for one in sorted(wanted) if seen.get(one, 0) < each)
    elif isinstance(expect.endpoints, int):
        fullest = sorted(seen.items(), key=lambda item: -item[1])[: expect.endpoints]
        yield from (item for item in fullest if item[1] < each)
        yield from [("another endpoint", 0)] * (expect.endpoints - len(fullest))


def _wrong_endpoints(trial: Trial, journeys: Sequence[Journey]) -> Iterator[str]:
    seen = counts(journeys)
    names = {
        each.delivered: _named(each.delivered, each.delivered_at)
        for each in journeys
        if each.delivered is not None
    }
    expected = trial.check.expect.endpoints
    if trial.wanted is not None:
        for stranger in sorted(set(seen) - trial.wanted):
            yield f"{names[stranger]} answered, which is not one of the expected endpoints"
    elif isinstance(expected, int) and len(seen) > expected:
        listed = ", ".join(sorted(seen))
        yield f"{len(seen)} endpoints answered instead of {expected}: {listed}"
    for missing, count in _missing(trial, seen):
        place = (trial.endpoints or {}).get(missing)
        what = f"{_named(missing, place)} got {count} of {len(journeys)} tries"
        yield f"{what}{_chance(trial, len(journeys))}"


def _chance(trial: Trial, tries: int) -> str:
    """Said only where the tries were enough for it: that this is not chance."""
    expect = trial.check.expect
    each = expect.spread.at_least if expect.spread is not None else 1
    count = len(trial.endpoints or ())
    enough = count > 1 and not trial.affinity and tries >= spread.tries_for(count, each)
    wanted = f", expected at least {each}" if each > 1 else ""
    return f"{wanted}; by chance once in a billion checks" if enough else wanted


def _wrong_spread(trial: Trial, journeys: Sequence[Journey]) -> Iterator[str]:
    """Counts that a fair choice does not give. Not asked of affinity, nor of names' many A."""
    endpoints = trial.endpoints or {}
    fair = len(trial.targets) == 1 and not trial.affinity and len(endpoints) > 1
    if trial.check.expect.spread is None or not fair or trial.wanted not in (None, set(endpoints)):
        return
    bounds = spread.bounds(len(journeys), len(endpoints))
    for one, count in sorted(counts(journeys).items()):
        if not bounds.low <= count <= bounds.high:
            name = _named(one, endpoints.get(one))
            yield (
                f"uneven: {name} got {count} of {bounds.tries} tries, "
                f"a fair choice gives {bounds.low} to {bounds.high}"
            )


def _wrong_source(trial: Trial, journeys: Sequence[Journey], world: World) -> Iterator[str]:
    expected = trial.check.expect.source_seen
    if expected is None:
        return
    for each in journeys:
        allowed: tuple[str, ...] = (expected,)
        if expected == AT_SENDER:
            allowed = (each.probe.src,)
        elif expected.startswith("node:"):
            place = world.places.get(expected.removeprefix("node:"))
            allowed = place.addresses if place is not None else ()
        if each.seen_source not in allowed:
            where = f" ({_rewritten(each.snats[-1])})" if each.snats else " (nobody changed it)"
            meant = (
                f"{expected} ({allowed[0]})" if allowed[:1] not in ((), (expected,)) else expected
            )
            yield (
                f"{_named(each.delivered or '?', each.delivered_at)} saw the source "
                f"{each.seen_source or 'of nothing'}{where}, expected {meant}"
            )
            return


def _wrong_places(trial: Trial, journeys: Sequence[Journey]) -> Iterator[str]:
    expect = trial.check.expect
    yield from _wrong_place("DNAT", trial, expect.dnat_at, journeys, lambda each: each.dnats)
    snats = _disguises if expect.masquerade_at == NOWHERE else lambda each: each.snats
    yield from _wrong_place("masquerade", trial, expect.masquerade_at, journeys, snats)


def _disguises(journey: Journey) -> tuple[Rewrite, ...]:
    return tuple(change for change in journey.snats if not change.is_of_port)


def _wrong_place(
    what: str,
    trial: Trial,
    at: str | None,
    journeys: Sequence[Journey],
    rewrites: Callable[[Journey], tuple[Rewrite, ...]],
) -> Iterator[str]:
    if at is None:
        return
    for each in journeys:
        changes = rewrites(each)
        if at == NOWHERE and changes:
            yield f"{what} at {_rewritten(changes[0])}, expected nowhere"
            return
        place = trial.node_of(at)
        if at != NOWHERE and [change.place for change in changes] != [place]:
            seen = " and ".join(_rewritten(change) for change in changes) or "nowhere"
            by_way = "" if changes else f"; it passed {place} unchanged"
            if by_way and not any(hop.place == place for hop in each.hops):
                by_way = f"; it never passed {place}"
            yield f"{what} at {seen}, expected at {place}{by_way}"
            return


def _wrong_talk(talk: Talk | None) -> Iterator[str]:
    if talk is not None and not talk.connected:
        yield f"the probe was answered, but a real connection was not: {talk.error}"


def _rewritten(change: Rewrite) -> str:
    return f"{change.place}: {change.before} became {change.after}"


def _named(address: str, place: str | None) -> str:
    return f"{place} ({address})" if place and place != address else address
