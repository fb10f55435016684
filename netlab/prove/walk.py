"""All packets of a region through a chain, in one go.

A chain is asked from its end: what its last rule leaves is known, and each rule before it puts its
own in front, where it matches. Of a long chain whose rules each name one address, or one port,
those of one value are put together first, and all of them into one decision: 10,000 Services are
one node with 20,000 children, not 10,000 nodes one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from netlab.prove.diagram import (
    DEEPEST,
    TOO_DEEP,
    Diagram,
    Diagrams,
    Place,
    State,
    TooMuch,
    Way,
    child,
)
from netlab.prove.space import (
    CT,
    DADDR,
    DPORT,
    IIF,
    NEW,
    OIF,
    SADDR,
    SPORT,
    Box,
    Narrowed,
    Region,
    Space,
    Values,
    both,
    meet,
    narrow,
)
from netlab.prove.steps import (
    LATER,
    Choose,
    ConnMark,
    Disguise,
    End,
    Go,
    Mark,
    Return,
    Rules,
    Step,
    Test,
    Translate,
    Unknown,
    Untrack,
)

ACCEPTED, LEFT = -2, -1
"""Ways that go on behind a base chain: by a rule, or by its policy."""

_SHALLOW = 5
"""So deep are kube-proxy's chains. Deeper ones that jump twice each double what is asked."""

_MANY = 24
_LONG = 200
_FEW_INTERVALS = 4


class Chain(NamedTuple):
    """A chain's steps, with those that name one destination by it, and the others."""

    steps: Sequence[Step]
    by_address: dict[int, list[int]]
    others: list[int]


class Frame(NamedTuple):
    """Where a packet is: a chain, how deep below its base chain, and where a return leads."""

    rules: Rules
    table: str
    name: str
    chain: Chain
    depth: int
    back: int


class Walker:
    """Takes all packets through chains."""

    def __init__(self, space: Space, diagrams: Diagrams) -> None:
        self.space, self.diagrams = space, diagrams
        self._chains: dict[tuple[int, str, str], Chain | None] = {}
        self._kept: list[Rules] = []
        self._known: dict[tuple[object, ...], Diagram] = {}
        self._doubts: set[Place] = set()

    def unknown(self) -> set[Place]:
        """The rules in chains met so far that nobody understands, or that ask for marks which an
        earlier packet may have set."""
        return self._doubts | {
            Place(table, name, step.number)
            for (_, table, name), chain in self._chains.items()
            for step in (chain.steps if chain is not None else ())
            if (step.unknown and step.actions)
            or any(isinstance(one, Unknown) for one in step.actions)
        }

    def base(self, rules: Rules, table: str, name: str, state: State, region: Region) -> Diagram:
        """What becomes of all of a region in a base chain."""
        return self._go(rules, table, name, state, region, depth=0, back=LEFT)

    def _go(
        self, rules: Rules, table: str, name: str, state: State, region: Region,
        *, depth: int, back: int,
    ) -> Diagram:  # fmt: skip
        chain = self._chain(rules, table, name)
        if chain is None or depth > DEEPEST:
            place = Place(table, name)
            how = "no such chain" if chain is None else TOO_DEEP
            return self.diagrams.certain(Way("open", ended(state), place, how))
        frame = Frame(rules, table, name, chain, depth, back)
        if len(chain.steps) >= _LONG:
            return self._once(frame, state, self._of_all_senders(region))
        if depth > _SHALLOW:
            return self._once(frame, state, region)
        return self._from(frame, 0, state, region)

    def _of_all_senders(self, region: Region) -> Region:
        """For a long chain, which several hooks ask."""
        whole = self.space.all
        return tuple(
            whole[field] if field in (SADDR, SPORT, IIF, OIF) else values
            for field, values in enumerate(region)
        )

    def _once(self, frame: Frame, state: State, region: Region) -> Diagram:
        """Of a chain that is asked again."""
        key = (id(frame.chain), frame.depth, frame.back, state, region)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._from(frame, 0, state, region)
        return found

    def _chain(self, rules: Rules, table: str, name: str) -> Chain | None:
        key = (id(rules), table, name)
        if key not in self._chains:
            self._kept.append(rules)
            steps = rules.chain(table, name)
            self._chains[key] = None if steps is None else _indexed(steps)
        return self._chains[key]

    # -- a chain, from its end

    def _from(self, frame: Frame, start: int, state: State, region: Region) -> Diagram:
        """Of a chain the steps from `start` on."""
        asked = self._candidates(frame.chain, start, region)
        found: Diagram = self.diagrams.certain(Way(frame.back, state))
        if len(asked) < _MANY:
            return self._folded(frame, asked, state, region, found)
        for field, group in reversed(_runs(asked, frame.chain.steps)):
            if field is None or len(group) < _MANY:
                found = self._folded(frame, group, state, region, found)
            else:
                found = self._together(frame, group, field, state, region, found)
        return found

    def _candidates(self, chain: Chain, start: int, region: Region) -> list[int]:
        """The steps that some packet of the region may match, up to one that all do."""
        steps, found = chain.steps, []
        at: Iterable[int] = range(start, len(steps))
        if chain.by_address:
            values = region[DADDR]
            if len(values) == 1 and values[0][0] == values[0][1]:
                one = chain.by_address.get(values[0][0])
                both_ = sorted((*one, *chain.others)) if one else chain.others
                at = [number for number in both_ if number >= start]
        for number in at:
            step = steps[number]
            if not step.boxes:
                continue
            if step.boxes == _ANYTHING:
                found.append(number)
                if not step.tests and not step.but and _is_last(step):
                    break
            elif any(_touch(region, box) for box in step.boxes):
                found.append(number)
        return found

    def _folded(
        self, frame: Frame, numbers: Sequence[int], state: State, region: Region, rest: Diagram
    ) -> Diagram:
        for number in reversed(numbers):
            rest = self._step(frame, number, state, region, rest)
        return rest

    def _together(
        self, frame: Frame, numbers: Sequence[int], field: int, state: State, region: Region,
        rest: Diagram,
    ) -> Diagram:  # fmt: skip
        """Steps that each name few values of a field, put into one decision."""
        ends: list[int] = []
        children: list[Diagram] = []
        begin = 0
        for low, high, here in _segments(frame.chain.steps, numbers, field, region[field]):
            if begin < low:
                ends.append(low - 1)
                children.append(rest)
            part = (*region[:field], ((low, high),), *region[field + 1 :])
            left = child(rest, field, low) if low == high else rest
            ends.append(high)
            children.append(self._folded(frame, here, state, part, left))
            begin = high + 1
        top = self.space.tops[field]
        if begin <= top:
            ends.append(top)
            children.append(rest)
        return self.diagrams.join(field, ends, children)

    # -- one step

    def _step(
        self, frame: Frame, number: int, state: State, region: Region, rest: Diagram
    ) -> Diagram:
        step = frame.chain.steps[number]
        try:
            self.diagrams.budget.spend(1)
            return self._put_before(frame, number, step, state, region, rest)
        except TooMuch as error:
            if error.place is None:
                place = Place(frame.table, frame.name, step.number)
                error.place = self.diagrams.budget.place = place
            raise

    def _put_before(
        self, frame: Frame, number: int, step: Step, state: State, region: Region, rest: Diagram
    ) -> Diagram:
        boxes = step.boxes
        if step.tests:
            tested = _tested(step.tests, state)
            if tested is None:
                return rest
            if tested.vague:
                step = step._replace(unknown=(*step.unknown, "a mark"))
            boxes = tuple(met for box in boxes if (met := both(box, tested.box)) is not None)
        found = rest
        for box in boxes:
            part = narrow(region, box)
            if part is not None:
                inside = self._matched(frame, number, step, state, part, rest)
                found = self.diagrams.graft(part.asked, inside, found)
        for box in step.but:
            part = narrow(region, box)
            if part is not None:
                found = self.diagrams.graft(part.asked, rest, found)
        return found

    def _matched(
        self, frame: Frame, number: int, step: Step, state: State, part: Narrowed, rest: Diagram
    ) -> Diagram:
        if step.unknown:
            return self._doubted(frame, number, step, state, part, rest)
        if step.remembers:
            known = state._replace(remembered=True)
            then = self._acted(frame, step, known, part.region)
            then = self._resumed(frame, number, then, state, part.region, rest)
            return self.diagrams.mix([(then, 0.0), (rest, 1.0)])
        then = self._acted(frame, step, state, part.region)
        then = self._resumed(frame, number, then, state, part.region, rest)
        if step.chance < 1.0:
            return self.diagrams.mix([(then, step.chance), (rest, 1.0 - step.chance)])
        return then

    def _resumed(
        self, frame: Frame, number: int, then: Diagram, state: State, region: Region, rest: Diagram
    ) -> Diagram:
        """With what becomes of those that go on to the next step."""
        further = {
            way: rest if way.state == state else self._from(frame, number + 1, way.state, region)
            for way in then.going
            if way.at == frame.depth
        }
        return self.diagrams.resumed(then, further) if further else then

    def _doubted(
        self, frame: Frame, number: int, step: Step, state: State, part: Narrowed, rest: Diagram
    ) -> Diagram:
        """Both ways, with the doubt; where they come to the same in the end, there is none."""
        place = Place(frame.table, frame.name, step.number)
        if step.actions:
            self._doubts.add(place)
        yes, no = (
            state._replace(doubts=tuple(sorted({*state.doubts, (place, matched)})))
            for matched in (True, False)
        )
        if not step.actions or any(doubt[0] == place for doubt in state.doubts):
            return rest
        then = self._acted(frame, step, yes, part.region)
        then = self._resumed(frame, number, then, state, part.region, rest)
        other = self._from(frame, number + 1, no, part.region)
        return self.diagrams.mix([(then, 0.5), (other, 0.5)])

    def _acted(self, frame: Frame, step: Step, state: State, region: Region) -> Diagram:
        """What a step does with packets that match it."""
        for at, action in enumerate(step.actions):
            match action:
                case Go():
                    back = frame.back if action.for_good else frame.depth
                    return self._go(
                        frame.rules, frame.table, action.chain, state, region,
                        depth=frame.depth + 1, back=back,
                    )  # fmt: skip
                case Choose():
                    return self._chosen(frame, step, action, state, region)
                case End() | Return() | Translate() | Disguise():
                    return self.diagrams.certain(self._end(frame, step, action, state))
                case Mark():
                    mark = (state.mark & action.keep) ^ action.flip
                    state = State(mark, *state[1:])  # _replace takes four times as long
                    if state.vague:
                        vague = state.vague & action.keep
                        state = state._replace(mark=mark & ~vague, vague=vague)
                case ConnMark() if not state.untracked:
                    rest = step._replace(actions=step.actions[at + 1 :])
                    return self._by_connection(frame, rest, action, state, region)
                case Untrack():
                    state = state._replace(untracked=True)
                case Unknown():
                    place = Place(frame.table, frame.name, step.number)
                    return self.diagrams.certain(Way("open", ended(state), place, action.words))
        return self.diagrams.certain(Way(frame.depth, state))

    def _by_connection(
        self, frame: Frame, rest: Step, action: ConnMark, state: State, region: Region
    ) -> Diagram:
        """What packets have done to their mark or their connection's, and the rest of a step:
        first packets, later ones, and those without a connection."""
        ways = ((NEW, action.of_first(state)), (LATER, action.of_later(state)))
        found = self._acted(frame, rest, state, region)
        for values, then in ways:
            part = narrow(region, ((CT, values),))
            if part is not None:
                inside = self._acted(frame, rest, then, part.region)
                found = self.diagrams.graft(part.asked, inside, found)
        return found

    def _end(
        self, frame: Frame, step: Step, action: End | Return | Translate | Disguise, state: State
    ) -> Way:
        match action:
            case Return():
                return Way(frame.back, state)
            case Translate():
                to = (action[0], action[1])
                after = State(state.mark, state.untracked, True, to, *state[4:])
                return Way(ACCEPTED, after)
            case Disguise():
                return Way(ACCEPTED, state._replace(source=action.source))
            case End("accepted"):
                return Way(ACCEPTED, state)
            case End():
                place = Place(frame.table, frame.name, step.number)
                return Way(action.verdict, ended(state), place, action.how)

    def _chosen(
        self, frame: Frame, step: Step, choice: Choose, state: State, region: Region
    ) -> Diagram:
        pieces = [
            (self._acted(frame, step._replace(actions=(action,)), state, region), share)
            for share, action in choice.ways
        ]
        left = 1.0 - sum(share for share, _ in choice.ways)
        if left > _NOTHING:
            pieces.append((self.diagrams.certain(Way(frame.depth, state)), left))
        return self.diagrams.mix(pieces)


_NOTHING = 1e-9
_ANYTHING = ((),)


def ended(state: State) -> State:
    """What is left to tell of a packet at its end."""
    return State(source=state.source, doubts=state.doubts, remembered=state.remembered)


def _is_last(step: Step) -> bool:
    """Whether no packet that matches goes on to the next step."""
    if step.chance < 1.0 or step.unknown or step.remembers or not step.actions:
        return False
    last = step.actions[-1]
    return isinstance(last, End | Return | Translate | Disguise) or (
        isinstance(last, Go) and last.for_good
    )


def _touch(region: Region, box: Box) -> bool:
    return all(meet(region[field], values) for field, values in box)


class Asked(NamedTuple):
    """What is left of tests: a box, and (`vague`) whether a mark is asked that nobody knows."""

    box: Box
    vague: bool


def _tested(tests: Sequence[Test], state: State) -> Asked | None:
    """What is left to be asked; None when a test fails."""
    found: Box = ()
    vague = False
    for test in tests:
        answer = test.asked(state)
        if answer is False:
            return None
        if answer is None:
            vague = True
        elif answer is not True:
            met = both(found, answer)
            if met is None:
                return None
            found = met
    return Asked(found, vague)


def _indexed(steps: Sequence[Step]) -> Chain:
    by_address: dict[int, list[int]] = {}
    others: list[int] = []
    if len(steps) >= _MANY:
        for number, step in enumerate(steps):
            one = _one_address(step)
            if one is None:
                others.append(number)
            else:
                by_address.setdefault(one, []).append(number)
    return Chain(steps, by_address, others)


def _one_address(step: Step) -> int | None:
    if len(step.boxes) == 1 and step.boxes[0] and step.boxes[0][0][0] == DADDR:
        values = step.boxes[0][0][1]
        if len(values) == 1 and values[0][0] == values[0][1]:
            return values[0][0]
    return None


def _key_field(step: Step) -> int | None:
    """The field of which a step names few values, an address before a port."""
    if len(step.boxes) == 1:
        asked = dict(step.boxes[0])
        for field in (DADDR, DPORT, SADDR):
            values = asked.get(field)
            if values and len(values) <= _FEW_INTERVALS and _is_narrow(values, field):
                return field
    return None


def _is_narrow(values: Values, field: int) -> bool:
    """A complement is no key: it holds nearly everywhere."""
    return field == DPORT or values[-1][1] - values[0][0] < 1 << 24


def _runs(numbers: Sequence[int], steps: Sequence[Step]) -> list[tuple[int | None, list[int]]]:
    """Steps in their order, those with the same key field together."""
    grouped = groupby(numbers, key=lambda number: _key_field(steps[number]))
    return [(field, list(group)) for field, group in grouped]


def _segments(
    steps: Sequence[Step], numbers: Sequence[int], field: int, within: Values
) -> Iterable[tuple[int, int, list[int]]]:
    """The intervals of a field's values that some step names, each with the steps that do."""
    starts: dict[int, list[int]] = {}
    stops: dict[int, list[int]] = {}
    for number in numbers:
        for low, high in meet(within, dict(steps[number].boxes[0])[field]):
            starts.setdefault(low, []).append(number)
            stops.setdefault(high + 1, []).append(number)
    bounds = sorted({*starts, *stops})
    active: set[int] = set()
    for low, after in pairwise(bounds):
        active.difference_update(stops.get(low, ()))
        active.update(starts.get(low, ()))
        if active:
            yield low, after - 1, sorted(active)
