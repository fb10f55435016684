"""A packet through a node's nftables tables, on paper: every outcome, how likely, by which rules.

The base chains of a hook are asked in the order of their priorities; those of type nat when nat is,
until one has translated. Works on any listing: what it does not understand is in
`Outcome.unknown`, and counts as not matching.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from netlab.proxy.nftables.model import NftTable
from netlab.simulation.hooks import (
    DEEPEST,
    BaseChain,
    EntryHook,
    Result,
    Route,
    Rules,
    State,
    dangling,
    too_deep,
    walk,
)
from netlab.simulation.knowledge import Unsure
from netlab.simulation.nft_match import Sets, Unclear, chance, holds, is_of_another, looked_up
from netlab.simulation.nft_phrases import (
    EFFECTS,
    Chance,
    ConnMark,
    Idle,
    Match,
    Nat,
    NoTrack,
    Phrase,
    Remember,
    SetMark,
    Unknown,
    Verdict,
    VerdictMap,
)
from netlab.simulation.nft_rule import is_idle, parse_rule, verdict_of
from netlab.simulation.packet import Hit, Outcome, Packet
from netlab.simulation.translation import translated


def simulate(
    tables: Sequence[NftTable],
    packet: Packet,
    *,
    entry: EntryHook = "PREROUTING",
    route: Route | None = None,
) -> list[Outcome]:
    """Every outcome of that packet, the likeliest first; their probabilities add up to 1.

    `tables` are all that packets of its family meet; the rest is as in `iptables.simulate`.
    """
    return walk(rules_of(tables), packet, entry, route)


def rules_of(tables: Sequence[NftTable]) -> Rules:
    """Tables as packets meet them."""
    return _Rules(tables)


class HookedChain(NamedTuple):
    """A chain with its hook's order: by the kernel's place, then by its own priority."""

    order: tuple[int, int]
    table: NftTable
    name: str
    is_nat: bool
    policy: str


_BASE = re.compile(
    r"type (\w+) hook (\w+) (?:device \S+ )?priority (\w+|-\d+)(?: ([+-]) (\d+))?;"
    r"(?: policy (accept|drop);)?"
)
_PRIORITIES = {
    "raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100,
}  # fmt: skip


def is_base(header: str) -> bool:
    """Whether a chain's header says where packets come to it by themselves."""
    found = _BASE.fullmatch(header.strip())
    if found is None or found[2] not in _HOOKS:
        return False
    return found[3] in _PRIORITIES or found[3].removeprefix("-").isdigit()


_HOOKS = ("prerouting", "input", "forward", "output", "postrouting")


def base_chains(tables: Sequence[NftTable]) -> dict[str, list[HookedChain]]:
    """By hook, in the order in which a packet meets them: of two at the same place the younger is
    the first, and listings have the older before."""
    found: dict[str, list[HookedChain]] = defaultdict(list)
    for table in reversed(tables):
        for name, chain in reversed(table.chains.items()):
            if match := _BASE.search(chain.header):
                kind, hook, priority, sign, more, policy = match.groups()
                number = _PRIORITIES.get(priority)
                place = int(priority) if number is None else number
                place += int(f"{sign}{more}") if more else 0
                order = (_nat_place(hook) if kind == "nat" else place, place)
                base = HookedChain(order, table, name, kind == "nat", policy or "accept")
                found[hook.upper()].append(base)
    for chains in found.values():
        chains.sort(key=lambda base: base.order)
    return found


def _nat_place(hook: str) -> int:
    """Where the kernel's own nat hook stands, which asks the chains of that type."""
    return _PRIORITIES["dstnat" if hook in ("prerouting", "output") else "srcnat"]


class _Rules:
    def __init__(self, tables: Sequence[NftTable]) -> None:
        self._chains = base_chains(tables)
        self._sets = {id(table): Sets(table) for table in tables}

    def at(self, hook: str) -> Iterator[BaseChain]:
        """As `hooks.Rules` says."""
        for each in self._chains.get(hook, ()):
            asked = partial(self._chain, each.table, each.name)
            yield BaseChain(each.is_nat, each.policy.upper(), asked, each.order)

    def _chain(self, table: NftTable, name: str, state: State, depth: int = 0) -> list[Result]:
        """Where a packet stands after a chain."""
        chain = table.chains.get(name)
        if chain is None:
            raise dangling(table.name, name, exists=False)
        if depth > DEEPEST:
            raise too_deep(table.name, name, depth, len(table.chains))
        results: list[Result] = []
        inside = [state]
        for number, text in enumerate(chain.rules, 1):
            rule = _Rule(self._sets[id(table)], Hit(table.name, name, number, text))
            on: list[State] = []
            for each in inside:
                units = 8 + (len(each.hits) >> 3)
                each.effort.spend(units, table.name, name, number)
                for verdict, after in rule.asked(each):
                    for final, left in self._sent(table, verdict, after, depth):
                        if final == "CONTINUE":
                            on.append(left)
                        else:
                            results.append((final, left))
            inside = on
        return results + [("RETURN", left) for left in inside]

    def _sent(
        self, table: NftTable, verdict: Verdict, state: State, depth: int
    ) -> Iterator[Result]:
        """What comes of a verdict."""
        if not verdict.to:
            yield verdict.verdict.upper(), state
            return
        back = "RETURN" if verdict.verdict == "goto" else "CONTINUE"
        for inner, after in self._chain(table, verdict.to, state, depth + 1):
            yield (back if inner == "RETURN" else inner), after


_ON = Verdict("", "continue")


class _Rule:
    """One rule: its phrases one after the other, for as long as they match."""

    def __init__(self, sets: Sets, hit: Hit) -> None:
        self._sets = sets
        self._hit = hit
        self._phrases = parse_rule(hit.rule)

    def asked(self, state: State) -> Iterator[tuple[Verdict, State]]:
        """The verdicts a packet may leave this rule with, `continue` for the next one."""
        return self._rest(0, state)

    def _rest(self, at: int, state: State) -> Iterator[tuple[Verdict, State]]:
        if at == len(self._phrases):
            yield self._hits(_ON, state)
            return
        phrase = self._phrases[at]
        match phrase:
            case Match():
                yield from self._match(phrase, at, state)
            case Chance():
                yield _ON, state.likely(1.0 - phrase.likely)
                if phrase.likely > 0.0:
                    yield from self._rest(at + 1, state.likely(phrase.likely))
            case VerdictMap():
                yield from self._mapped(phrase, at, state)
            case Nat():
                yield from self._translated(phrase, state)
            case Verdict():
                yield self._hits(phrase, state)
            case Unknown():
                yield from self._guess(phrase.text, at, state)
            case ConnMark(becomes="mark") if state.packet.ctstate != "NEW":
                untracked = state.packet.ctstate == "UNTRACKED"  # which ends the rule
                yield _ON, state if untracked else state.puzzled(phrase.text)
            case SetMark() | ConnMark() | NoTrack() | Remember() | Idle():
                yield from self._rest(at + 1, state.altered(_altered(phrase, state.packet)))

    def _match(self, phrase: Match, at: int, state: State) -> Iterator[tuple[Verdict, State]]:
        try:
            likely = chance(phrase, state.packet, self._sets)
        except Unsure as unsure:
            if any(isinstance(each, EFFECTS) for each in self._phrases[at + 1 :]):
                wondering = state.wondering(unsure.fact, self._hit)
                state = self._unless_missed(at, state, wondering)
            yield _ON, state
            return
        if likely is None:
            if state.packet.known is not None:
                yield from self._guess(phrase.text, at, state)
                return
            yield _ON, self._unless_missed(at, state, state.puzzled(phrase.text))
            return
        if likely < 1.0:
            yield _ON, state.likely(1.0 - likely)
        if likely > 0.0:
            yield from self._rest(at + 1, state.likely(likely))

    def _guess(self, text: str, at: int, state: State) -> Iterator[tuple[Verdict, State]]:
        """What nobody understands: may be tried both ways where it is a condition."""
        known = state.packet.known
        behind = self._phrases[at + 1 :]
        if known is not None and is_of_another(text, state.packet):
            yield _ON, state
            return
        if known is None or not any(isinstance(each, EFFECTS) for each in behind):
            yield _ON, state if known is not None and is_idle(text) else state.puzzled(text)
            return
        try:
            met = known.told(holds(text, state.packet))
        except Unsure as unsure:
            yield _ON, self._unless_missed(at, state, state.wondering(unsure.fact, self._hit))
            return
        if met:
            yield from self._rest(at + 1, state)
        else:
            yield _ON, state

    def _unless_missed(self, at: int, state: State, other: State) -> State:
        """The other one, unless the rule would not match anyway."""
        for phrase in self._phrases[at + 1 :]:
            if not isinstance(phrase, Match | Idle):
                break
            if isinstance(phrase, Match) and self._misses(phrase, state.packet):
                return state
        return other

    def _misses(self, phrase: Match, packet: Packet) -> bool:
        try:
            return chance(phrase, packet, self._sets) == 0.0
        except Unsure:
            return False

    def _mapped(self, phrase: VerdictMap, at: int, state: State) -> Iterator[tuple[Verdict, State]]:
        try:
            ways = looked_up(phrase.selector, phrase.elements, state.packet, self._sets)
        except Unclear:
            yield _ON, state.puzzled(phrase.text)
            return
        except Unsure as unsure:
            yield _ON, state.wondering(unsure.fact, self._hit)
            return
        left = 1.0 - sum(likely for likely, _ in ways)
        if left > _NOTHING:
            yield _ON, state.likely(left)
        for likely, text in ways:
            verdict = verdict_of(text)
            if not verdict.verdict:
                yield _ON, state.likely(likely).puzzled(phrase.text)
            elif verdict.verdict == "continue":
                yield from self._rest(at + 1, state.likely(likely))
            else:
                yield self._hits(verdict, state.likely(likely))

    def _translated(self, phrase: Nat, state: State) -> Iterator[tuple[Verdict, State]]:
        ways = [(1.0, phrase.to)]
        try:
            if phrase.selector is not None:
                ways = looked_up(phrase.selector, phrase.elements, state.packet, self._sets)
            ends = [(likely, translated(phrase.kind, to, state.packet)) for likely, to in ways]
        except (Unclear, ValueError):
            yield _ON, state.puzzled(phrase.text)
            return
        except Unsure as unsure:
            yield _ON, state.wondering(unsure.fact, self._hit)
            return
        left = 1.0 - sum(likely for likely, _ in ends)
        if left > _NOTHING:
            yield _ON, state.likely(left)
        for likely, packet in ends:
            verdict = Verdict(phrase.text, "accept")
            after = state.likely(likely).altered(packet)
            source = phrase.kind in ("snat", "masquerade")
            yield self._hits(verdict, after._replace(masqueraded=source or state.masqueraded))

    def _hits(self, verdict: Verdict, state: State) -> tuple[Verdict, State]:
        mark = state.packet.mark
        hit = self._hit._replace(verdict=verdict.verdict, to=verdict.to, mark=mark)
        return verdict, state._replace(hits=(*state.hits, hit))


_NOTHING = 1e-9


def _altered(phrase: Phrase, packet: Packet) -> Packet:
    if isinstance(phrase, NoTrack):
        return replace(packet, ctstate="UNTRACKED")
    if isinstance(phrase, ConnMark):
        return _connmarked(phrase, packet)
    return (
        replace(packet, mark=marked(phrase, packet.mark)) if isinstance(phrase, SetMark) else packet
    )


def _connmarked(phrase: ConnMark, packet: Packet) -> Packet:
    """Of a first packet."""
    if phrase.becomes == "mark":
        mark = (packet.mark & ~phrase.cleared) ^ (packet.connmark & phrase.taken)
        return replace(packet, mark=mark)
    of_packet = packet.mark if phrase.becomes == "connmark" else _ALL
    connmark = (packet.connmark & ~phrase.cleared) ^ (of_packet & phrase.taken)
    return replace(packet, connmark=connmark)


_ALL = 0xFFFFFFFF


def marked(phrase: SetMark, mark: int) -> int:
    """The mark after all operations."""
    for operation, number in phrase.operations:
        match operation:
            case "=":
                mark = number
            case "|":
                mark |= number
            case "&":
                mark &= number
            case "^":
                mark ^= number
    return mark
