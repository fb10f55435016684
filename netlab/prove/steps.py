"""One model of rules for iptables and nftables: what each step of a chain asks, and what it does.

ip daddr . tcp dport vmap { 10.96.0.1 . 80 : goto web }     a step for each element
-d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-WEB    one step
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from netlab.prove.diagram import Place, State
from netlab.prove.space import CT, NEW, UNTRACKED, Box, Values, both, has
from netlab.saves.ipsets import IpSet


class End(NamedTuple):
    """`accepted`, `dropped`, `rejected`; `how` is what it is rejected with."""

    verdict: str
    how: str = ""


class Return(NamedTuple):
    """Back to the chain that jumped here."""


class Go(NamedTuple):
    """To a chain of the same table, and behind it back to where it came from, or (`for_good`) to
    where this one would return."""

    chain: str
    for_good: bool = False


class Mark(NamedTuple):
    """The mark becomes `(mark & keep) ^ flip`."""

    keep: int
    flip: int


class ConnMark(NamedTuple):
    """Of the packet's mark and its connection's one `becomes` another, where the connection is
    tracked: `mark` is `(mark & ~cleared) ^ (connmark & taken)`, `connmark` the other way round, or
    (`set`) `(connmark & ~cleared) ^ taken`."""

    becomes: str
    cleared: int
    taken: int

    def of_first(self, state: State) -> State:
        """What a connection's first packet is then."""
        match self.becomes:
            case "mark":
                mark = (state.mark & ~self.cleared) ^ (state.connmark & self.taken)
                return state._replace(mark=mark)
            case "connmark":
                connmark = (state.connmark & ~self.cleared) ^ (state.mark & self.taken)
                return state._replace(connmark=connmark)
        return state._replace(connmark=(state.connmark & ~self.cleared) ^ self.taken)

    def of_later(self, state: State) -> State:
        """A later one, whose connection's mark nobody knows."""
        if self.becomes != "mark":
            return state
        vague = (state.vague & ~self.cleared) | self.taken
        return state._replace(mark=state.mark & ~self.cleared & ~vague, vague=vague)


HERE = -1
"""In an address's place: the node's own on the link that a packet comes in by, loopback's of what
the node sends itself."""


class Translate(NamedTuple):
    """The destination's address (or `HERE`) and port, None for those that stay."""

    address: int | None
    port: int | None

    def reach(self) -> tuple[int | None, int | None]:
        """What a packet may have behind it, None for anything."""
        return None if self.address == HERE else self.address, self.port


class Disguise(NamedTuple):
    """The source becomes `masquerade` (the address of the link it leaves by), or an address."""

    source: str


class Untrack(NamedTuple):
    """The connection is not tracked."""


class Unknown(NamedTuple):
    """Words that nobody here understands."""

    words: str


class Choose(NamedTuple):
    """One of these by chance, each with its share; what is missing from 1 goes on."""

    ways: tuple[tuple[float, Action], ...]


Action = End | Return | Go | Mark | ConnMark | Translate | Disguise | Untrack | Unknown | Choose


class MarkIs(NamedTuple):
    """Of the mark's bits in `mask`."""

    value: int
    mask: int
    negated: bool = False

    def asked(self, state: State) -> bool | None:
        """Whether a packet in that state passes; None where bits decide that nobody knows."""
        told = self.mask & ~state.vague
        if state.mark & told != self.value & ~state.vague:
            return self.negated
        return None if self.mask & state.vague else not self.negated


class ConnMarkIs(NamedTuple):
    """Of bits of the mark that a first packet's connection has, or a `later` packet's."""

    value: int
    mask: int
    negated: bool = False
    later: bool = False

    def asked(self, state: State) -> bool | None:
        """Whether a packet in that state passes; None for a later one."""
        if state.untracked:
            return False
        return None if self.later else (state.connmark & self.mask == self.value) != self.negated


class Tracked(NamedTuple):
    """Of the connection: one of these states, or `translated`, or `disguised`."""

    states: Values
    translated: bool = False
    disguised: bool = False
    negated: bool = False

    def asked(self, state: State) -> bool | Box:
        """Whether a packet in that state passes, or what it has to have for that."""
        met = (self.translated and state.translated) or (self.disguised and bool(state.source))
        if met or not self.states:
            return met != self.negated
        if state.untracked:
            return has(self.states, UNTRACKED) != self.negated
        states = self.states
        return ((CT, _others(states) if self.negated else states),)


def _others(states: Values) -> Values:
    return tuple((one, one) for one in range(UNTRACKED + 1) if not has(states, one))


Test = MarkIs | ConnMarkIs | Tracked


class Step(NamedTuple):
    """A packet in one of `boxes` that passes the `tests` has `actions` done to it, by chance that
    often. `unknown` are conditions that nobody here understands; of one that `remembers`, the
    client has to be in a list that packets fill. What is in one of `but` does not match."""

    number: int
    boxes: tuple[Box, ...] = ((),)
    actions: tuple[Action, ...] = ()
    tests: tuple[Test, ...] = ()
    chance: float = 1.0
    unknown: tuple[str, ...] = ()
    remembers: bool = False
    but: tuple[Box, ...] = ()


LATER: Values = ((1, 2),)
"""What a packet of a connection comes as whose mark an earlier one may have set."""


def by_connection(step: Step) -> Iterator[Step]:
    """A step that asks for the connection's mark, as those that it is for first packets and for
    later ones, of which nobody knows it. A packet without a connection matches neither."""
    later = tuple(
        one._replace(later=True) if isinstance(one, ConnMarkIs) else one for one in step.tests
    )
    if later == step.tests:
        yield step
        return
    yield step._replace(boxes=_within(step.boxes, NEW))
    yield step._replace(boxes=_within(step.boxes, LATER), tests=later)


def _within(boxes: Sequence[Box], states: Values) -> tuple[Box, ...]:
    found = (both(box, ((CT, states),)) for box in boxes)
    return tuple(box for box in found if box is not None)


def targets(step: Step) -> Iterator[Go]:
    """The chains that a step leads to."""
    for action in step.actions:
        if isinstance(action, Go):
            yield action
        elif isinstance(action, Choose):
            yield from (one for _, one in action.ways if isinstance(one, Go))


class Hooked(NamedTuple):
    """A chain that packets come to by themselves."""

    table: str
    chain: str
    is_nat: bool
    drops: bool
    rules: Rules


class Rules:
    """A node's rules of one kind in one family.

    `hooks` are its base chains by hook, each with its priority.
    """

    hooks: Mapping[str, Sequence[tuple[int, Hooked]]]
    sets: Mapping[str, IpSet] = MappingProxyType({})
    """Sets of ipset's that rules may ask."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Sequence[Step] | None] = {}

    def chain(self, table: str, name: str) -> Sequence[Step] | None:
        """The steps of a chain, None if there is none of that name; read once."""
        key = (table, name)
        if key not in self._known:
            texts = self.texts(key)
            self._known[key] = None if texts is None else self.steps(table, texts)
        return self._known[key]

    def texts(self, key: tuple[str, str]) -> tuple[str, ...] | None:
        """A chain's rules as their program writes them, by its table and name."""
        raise NotImplementedError

    def steps(self, table: str, texts: Sequence[str]) -> list[Step]:
        """What rules of a table come to."""
        raise NotImplementedError

    def names(self) -> Iterator[tuple[str, str]]:
        """Every chain, with its table before it."""
        raise NotImplementedError

    def text(self, place: Place) -> str:
        """A rule as its program writes it."""
        raise NotImplementedError

    def differing(self, other: Rules) -> set[tuple[str, str]]:
        """The chains that another ruleset of this kind has not so."""
        raise NotImplementedError

    def leads(self) -> Iterator[tuple[tuple[str, str], str]]:
        """Every chain with one that it sends packets to."""
        raise NotImplementedError

    def translations(self) -> Iterator[tuple[int | None, int | None]]:
        """Every address and port that packets may be translated to, None for those they keep."""
        raise NotImplementedError
