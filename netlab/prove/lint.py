"""What is wrong with rules as such: rules that no packet reaches, chains that nothing leads to,
jumps that lead nowhere, addresses claimed twice.

A rule is told of when rules before it in its chain take all packets that it asks for, one alone or
several together, and do something else with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from netlab.prove.diagram import TOO_MUCH, Budget, Place, TooMuch
from netlab.prove.ground import Grounds
from netlab.prove.space import DADDR, SADDR, Box, Space, both, meet
from netlab.prove.steps import (
    ConnMarkIs,
    Disguise,
    End,
    Go,
    MarkIs,
    Return,
    Rules,
    Step,
    Translate,
    Unknown,
    targets,
)


class Finding(Struct, frozen=True):
    """`kind` is `dangling jump`, `unreachable chain`, `shadowed rule`, `claimed twice`; `not looked
    at` from where on there was too much."""

    kind: str
    place: Place
    message: str


def findings(grounds: Grounds) -> list[Finding]:
    """Everything, in the order of the chains."""
    found: list[Finding] = []
    for rules in grounds.rules:
        chains = dict(_chains(rules))
        found += _dangling(chains)
        found += _unreachable(chains, rules)
        for (table, name), steps in chains.items():
            try:
                found += _shadowed(table, name, steps, grounds)
            except TooMuch as error:
                assert error.place is not None
                found.append(Finding("not looked at", error.place, f"from there on {TOO_MUCH}"))
    return found + list(_claimed_twice(grounds))


def _chains(rules: Rules) -> Iterator[tuple[tuple[str, str], Sequence[Step]]]:
    for table, name in rules.names():
        yield (table, name), rules.chain(table, name) or ()


_Chains = dict[tuple[str, str], Sequence[Step]]


def _dangling(chains: _Chains) -> Iterator[Finding]:
    for (table, name), steps in chains.items():
        for step in steps:
            for go in targets(step):
                if (table, go.chain) not in chains:
                    place = Place(table, name, step.number)
                    yield Finding(
                        "dangling jump", place, f"there is no chain {go.chain} in {table}"
                    )


def _unreachable(chains: _Chains, rules: Rules) -> Iterator[Finding]:
    bases = {(one.table, one.chain) for hook in rules.hooks.values() for _, one in hook}
    reached, ahead = set(bases), list(bases)
    while ahead:
        table, name = ahead.pop()
        for step in chains.get((table, name), ()):
            for go in targets(step):
                if (table, go.chain) in chains and (table, go.chain) not in reached:
                    reached.add((table, go.chain))
                    ahead.append((table, go.chain))
    for (table, name), steps in chains.items():
        if steps and (table, name) not in reached and name not in _KEPT:
            message = f"no hook leads to chain {name}"
            yield Finding("unreachable chain", Place(table, name, steps[0].number), message)


_KEPT = frozenset({"reject-chain", "KUBE-MARK-MASQ"})
"""What kube-proxy keeps though there may be no Service that needs it."""


# -- shadowed rules ------------------------------------------------------------------------


def _shadowed(table: str, name: str, steps: Sequence[Step], grounds: Grounds) -> Iterator[Finding]:
    """Rules of which every step asks for what an earlier one takes."""
    seen = _Seen(grounds.space, grounds.diagrams.budget)
    covered: dict[int, dict[int, None]] = {}
    open_: set[int] = set()
    for step in steps:
        if not step.boxes:
            continue
        try:
            by = seen.covering(step)
        except TooMuch as error:
            error.place = Place(table, name, step.number)
            raise
        if step.number in (by or [step.number]):
            open_.add(step.number)
        else:
            covered.setdefault(step.number, {}).update(dict.fromkeys(by))
        if _takes_all(step):
            seen.add(step)
    for number, rules in covered.items():
        if number not in open_:
            yield Finding("shadowed rule", Place(table, name, number), _said(sorted(rules)))


def _said(rules: Sequence[int]) -> str:
    """Which rules take all packets of another one."""
    *some, last = map(str, rules)
    if not some:
        return f"rule {last} of the chain takes all its packets"
    return f"rules {', '.join(some)} and {last} of the chain together take all its packets"


def _takes_all(step: Step) -> bool:
    """Whether of packets in its boxes none goes on, whatever their mark."""
    last = step.actions[-1] if step.actions else None
    ends = isinstance(last, End | Return | Translate | Disguise)
    gone = ends or (isinstance(last, Go) and last.for_good)
    marks = any(isinstance(test, MarkIs | ConnMarkIs) for test in step.tests)
    clear = not step.unknown and not any(isinstance(one, Unknown) for one in step.actions)
    sure = step.chance >= 1.0 and clear and not (step.remembers or step.but)
    return gone and sure and not marks


class _Seen:
    """Steps that take all their packets, found by the destination that they name, or the source."""

    def __init__(self, space: Space, budget: Budget) -> None:
        self._space, self._budget = space, budget
        self._exact: dict[int, list[Step]] = defaultdict(list)
        self._sources: dict[int, list[Step]] = defaultdict(list)
        self._wide: list[Step] = []

    def add(self, step: Step) -> None:
        one, source = _address(step), _address(step, SADDR)
        if one is not None:
            self._exact[one].append(step)
        else:
            (self._wide if source is None else self._sources[source]).append(step)

    def covering(self, step: Step) -> list[int]:
        """The numbers of rules before it that take all that it asks for; none if some is left, or
        if they do the same as it, as kube-proxy says things twice at times."""
        before = [one for one in self._near(step) if set(one.tests) <= set(step.tests)]
        self._budget.spend(len(before))
        for one in before:
            if one.actions != step.actions and not self._left(step.boxes, one):
                number: int = one.number
                return [number]
        return self._several(step, before)

    def _near(self, step: Step) -> Iterator[Step]:
        one, source = _address(step), _address(step, SADDR)
        yield from self._wide
        if len(self._sources) < _MANY:
            yield from (each for found in self._sources.values() for each in found)
        elif source is not None:
            yield from self._sources.get(source, ())
        if one is not None:
            yield from self._exact.get(one, ())
        elif len(self._exact) < _MANY:
            yield from (each for found in self._exact.values() for each in found)

    def _several(self, step: Step, before: Sequence[Step]) -> list[int]:
        left, met = list(step.boxes), []
        for one in sorted(before, key=lambda each: each.number):
            rest = self._left(left, one)
            if rest != left:
                left = rest
                met.append(one)
            if not left:
                others = any(each.actions != step.actions for each in met)
                return [each.number for each in met] if others else []
            if len(left) > _MANY:
                break
        return []

    def _left(self, boxes: Iterable[Box], taking: Step) -> list[Box]:
        """What of some boxes a step does not take."""
        left = list(boxes)
        for other in taking.boxes:
            left = [part for box in left for part in _without(box, other, self._space)]
        return left


_MANY = 64
"""So many parts, or addresses, are looked at."""


def _without(box: Box, other: Box, space: Space) -> Iterator[Box]:
    """A box without another one, in parts."""
    if both(box, other) is None:
        yield box
        return
    inside = dict(box)
    for field, values in other:
        had = inside.get(field, space.all[field])
        rest = meet(had, space.but(field, values))
        if rest:
            yield tuple(sorted({**inside, field: rest}.items()))
        inside[field] = meet(had, values)


def _address(step: Step, field: int = DADDR) -> int | None:
    values = dict(step.boxes[0]).get(field) if len(step.boxes) == 1 else None
    if not values:
        return None
    (low, high), *more = values
    return low if low == high and not more else None


def _claimed_twice(grounds: Grounds) -> Iterable[Finding]:
    claims: dict[tuple[str, str, int], dict[str, None]] = defaultdict(dict)
    for door in grounds.doors:
        claims[door.address, door.protocol, door.port][door.owner] = None
    for (address, protocol, port), owners in claims.items():
        if len(owners) > 1:
            what = f"{address or 'nodePort'}:{port}/{protocol}"
            message = f"{what} is claimed by {' and by '.join(owners)}"
            yield Finding("claimed twice", Place("", ""), message)
