"""iptables rules as steps. What is understood is what `simulation.match` understands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from netlab.prove import ends, plain, sets
from netlab.prove.diagram import Place
from netlab.prove.space import (
    DADDR,
    DPORT,
    IIF,
    OIF,
    PROTO,
    PROTOCOLS,
    SADDR,
    SPORT,
    STATES,
    Box,
    Space,
    Values,
    both,
    ports,
    union,
)
from netlab.prove.steps import (
    Action,
    ConnMark,
    ConnMarkIs,
    Disguise,
    End,
    Go,
    Hooked,
    Mark,
    MarkIs,
    Return,
    Rules,
    Step,
    Test,
    Tracked,
    Translate,
    Unknown,
    Untrack,
    by_connection,
)
from netlab.proxy.addresses import Family
from netlab.proxy.iptables.model import HOOKS, Ruleset
from netlab.proxy.iptables.rule import Condition, Rule, parse_rule
from netlab.saves.ipsets import IpSet
from netlab.simulation import icmp
from netlab.simulation.iptables import WITHOUT_EFFECT
from netlab.simulation.match import HOPS, ROUTING_HEADER, hop_limit, hops_match

_PRIORITIES: Mapping[str, int] = {
    "raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50,
}  # fmt: skip
_SOURCE_NAT = 100
_JUMP = re.compile(r"(?:^| )-[jg] (\S+)")
_LINKS = re.compile(r"(?:^| )-[io] (\S+)")


def links(ruleset: Ruleset) -> set[str]:
    """The links that its rules name."""
    texts = (text for _, _, text in ruleset.rules() if "-i " in text or "-o " in text)
    return {name for text in texts for name in _LINKS.findall(text)}


class IptablesRules(Rules):
    """Those of a ruleset."""

    def __init__(
        self, ruleset: Ruleset, space: Space, known: Mapping[str, IpSet] | None = None
    ) -> None:
        self.ruleset, self.space, self.sets = ruleset, space, known or {}
        super().__init__()
        self.hooks = self._hooks()

    def _hooks(self) -> dict[str, list[tuple[int, Hooked]]]:
        found: dict[str, list[tuple[int, Hooked]]] = {}
        for table, priority in _PRIORITIES.items():
            for hook in HOOKS[table]:
                chain = self.ruleset.chain(table, hook)
                if chain is not None:
                    late = table == "nat" and hook in ("POSTROUTING", "INPUT")
                    hooked = Hooked(table, hook, table == "nat", chain.policy == "DROP", self)
                    found.setdefault(hook, []).append((_SOURCE_NAT if late else priority, hooked))
        return found

    def names(self) -> Iterator[tuple[str, str]]:
        """See `Rules`."""
        for table in self.ruleset.tables.values():
            for chain in table.chains:
                yield table.name, chain

    def differing(self, other: Rules) -> set[tuple[str, str]]:
        """See `Rules`."""
        assert isinstance(other, IptablesRules)
        keys = dict.fromkeys((*self.names(), *other.names()))
        return {key for key in keys if self.texts(key) != other.texts(key)}

    def texts(self, key: tuple[str, str]) -> tuple[str, ...] | None:
        """See `Rules`."""
        chain = self.ruleset.chain(*key)
        return chain.rules if chain is not None else None

    def leads(self) -> Iterator[tuple[tuple[str, str], str]]:
        """See `Rules`."""
        for table in self.ruleset.tables.values():
            for chain in table.chains.values():
                for text in chain.rules:
                    for target in _JUMP.findall(text):
                        if target in table.chains:
                            yield (table.name, chain.name), target

    def translations(self) -> Iterator[tuple[int | None, int | None]]:
        """See `Rules`."""
        table = self.ruleset.tables.get("nat")
        for chain in table.chains.values() if table is not None else ():
            for text in chain.rules:
                if "-j DNAT" in text or "-j REDIRECT" in text:
                    for action in self._step("nat", 0, text).actions:
                        if isinstance(action, Translate):
                            yield action.reach()

    def text(self, place: Place) -> str:
        """See `Rules`."""
        chain = self.ruleset.chain(place.table, place.chain)
        assert chain is not None
        return chain.rules[place.number - 1] if place.number else f"policy {chain.policy}"

    def steps(self, table: str, texts: Sequence[str]) -> list[Step]:
        """See `Rules`."""
        known = (self._step(table, number, text) for number, text in enumerate(texts, 1))
        return [each for step in known for each in (by_connection(step) if step.tests else (step,))]

    def _step(self, table: str, number: int, text: str) -> Step:
        return plain.step(number, text, self.space) or self.taken_apart(table, number, text)

    def taken_apart(self, table: str, number: int, text: str) -> Step:
        """The step that a rule is, read word by word."""
        rule = parse_rule(text)
        asked = _Asked(self.space, rule, self.sets)
        return Step(
            number,
            tuple(asked.boxes),
            self._actions(table, rule),
            tuple(asked.tests),
            asked.chance,
            tuple(asked.unknown),
            asked.remembers,
            tuple(asked.but),
        )

    def _actions(self, table: str, rule: Rule) -> tuple[Action, ...]:
        """What a target does."""
        name = rule.target
        if name in _PLAIN:
            return (_PLAIN[name],)
        if name in WITHOUT_EFFECT:
            return ()
        if name in _TARGETS:
            try:
                return (_TARGETS[name](rule, self.space),)
            except (ValueError, IndexError):  # options that no iptables would have taken
                return (Unknown(f"-j {name}"),)
        if self.ruleset.chain(table, name) is None and name.isupper() and "-" not in name:
            return (Unknown(f"-j {name}"),)
        return (Go(name, rule.goto),)


_PLAIN: Mapping[str, Action] = {
    "ACCEPT": End("accepted"),
    "DROP": End("dropped"),
    "RETURN": Return(),
    "NOTRACK": Untrack(),
}


def _marked(rule: Rule, space: Space) -> Mark:
    del space
    every = 0xFFFFFFFF
    keep, flip = every, 0
    for option in rule.options[:1]:
        text, _, masked = option.values[0].partition("/")
        value, mask = int(text, 0), int(masked or "0xffffffff", 0)
        match option.option:
            case "--set-xmark":
                keep, flip = every & ~mask, value
            case "--set-mark":
                keep, flip = every & ~(mask | value), value
            case "--or-mark":
                keep, flip = every & ~value, value
            case "--xor-mark":
                flip = value
            case "--and-mark":
                keep = value
            case _:
                raise ValueError(option.option)
    return Mark(keep, flip)


def _connmarked(rule: Rule, space: Space) -> Action:
    """As `simulation.iptables` has it."""
    given = {one.option: one.values[0] if one.values else "" for one in rule.options}
    of_packet, kept = (
        int(given.get(name) or given.get("--mask") or "0xffffffff", 0)
        for name in ("--nfmask", "--ctmask")
    )
    if "--restore-mark" in given:
        return ConnMark("mark", of_packet, kept)
    if "--save-mark" in given:
        return ConnMark("connmark", kept, of_packet)
    mark = _marked(rule, space)
    return ConnMark("set", ~mark.keep & 0xFFFFFFFF, mark.flip)


def _untracked(rule: Rule, space: Space) -> Action:
    del space
    untracks = any(option.option == "--notrack" for option in rule.options)
    return Untrack() if untracks else Mark(0xFFFFFFFF, 0)


def _rejection(text: str) -> str:
    """`port-unreachable`, whichever family says it."""
    return re.sub(r"^icmp6?-", "", text) or "port-unreachable"


_TARGETS: Mapping[str, Callable[[Rule, Space], Action]] = {
    "REJECT": lambda rule, _: End("rejected", _rejection(rule.option("--reject-with"))),
    "MARK": _marked,
    "CONNMARK": _connmarked,
    "CT": _untracked,
    "DNAT": lambda rule, space: ends.destination(rule.option("--to-destination"), space),
    "REDIRECT": lambda rule, _: ends.redirected(rule.option("--to-ports")),
    "SNAT": lambda rule, _: Disguise(ends.source(rule.option("--to-source"))),
    "MASQUERADE": lambda *_: Disguise("masquerade"),
}


# -- conditions ----------------------------------------------------------------------------


class _Asked:
    """What all conditions of a rule come to."""

    def __init__(self, space: Space, rule: Rule, known: Mapping[str, IpSet]) -> None:
        self._space, self._sets = space, known
        self._conditions = rule.conditions
        self.boxes: list[Box] = [()]
        self.but: list[Box] = []
        self.tests: list[Test] = []
        self.chance = 1.0
        self.unknown: list[str] = []
        self.remembers = False
        for condition in rule.conditions:
            if condition.option not in _NO_QUESTION:
                self._ask(condition)

    def _ask(self, condition: Condition) -> None:
        try:
            known = self._known(condition)
        except (ValueError, IndexError, KeyError, ZeroDivisionError):
            known = False
        if not known:
            self.unknown.append(str(condition))

    def _known(self, condition: Condition) -> bool:
        option = condition.option
        if option in _FIELDS:
            field, read = _FIELDS[option]
            values = read(condition.values, self._space)
            self._field(field, self._space.but(field, values) if condition.negated else values)
        elif option == "--mark" and condition.module == "connmark":
            self.tests.append(ConnMarkIs(*_mark_is(condition)))
        elif option in _TESTS:
            self.tests.append(_TESTS[option](condition))
        elif option in _CHANCES:
            chance = _CHANCES[option](condition.values[0])
            self.chance *= 1.0 - chance if condition.negated else chance
        elif option in ("--rcheck", "--update", "--remove"):
            self.remembers = not condition.negated
        elif option == "--ports":
            self._either_port(condition)
        elif option in ROUTING_HEADER or (option == "-f" and not condition.negated):
            self.boxes = []
        elif option in HOPS:
            self._hops(condition)
        elif option == "--match-set":
            self._in_set(condition)
        elif option in ("--icmp-type", "--icmpv6-type"):
            self._icmp(condition, "ipv4" if option == "--icmp-type" else "ipv6")
        elif option == "--syn":
            self._field(PROTO, ((6, 6),))
            self.tests.append(Tracked(((0, 0),), negated=condition.negated))
        elif option == "--tcp-flags":
            self._flags(condition)
        else:
            return option == "-f"
        return True

    def _field(self, field: int, values: Values) -> None:
        self.boxes = [met for box in self.boxes if (met := both(box, ((field, values),)))]
        if not values:
            self.boxes = []

    def _either_port(self, condition: Condition) -> None:
        values = _ports(condition.values, self._space)
        others = self._space.but(DPORT, values)
        if condition.negated:
            self._field(DPORT, others)
            self._field(SPORT, others)
            return
        ways: tuple[Box, ...] = (((DPORT, values),), ((DPORT, others), (SPORT, values)))
        found = (both(box, way) for box in self.boxes for way in ways)
        self.boxes = [box for box in found if box is not None]

    def _hops(self, condition: Condition) -> None:
        """Of messages of ICMPv6 whose hop limit is known; `ValueError` for others."""
        left = []
        for box in self.boxes:
            asked = dict(box)
            kinds = asked.get(DPORT, ((0, 255),)) if asked.get(PROTO) == ((58, 58),) else ((0, 0),)
            hops = {hop_limit(kind) for low, high in kinds for kind in range(low, high + 1)}
            if len(hops) != 1 or not (known := hops.pop()):
                raise ValueError(condition.option)
            if hops_match(condition.option, condition.values[0], known) != condition.negated:
                left.append(box)
        self.boxes = left

    def _in_set(self, condition: Condition) -> None:
        ways = sets.boxes(condition.values, self._sets, self._space)
        if condition.negated:
            self.but += ways
            return
        if len(self.boxes) * len(ways) > sets.MOST:
            raise ValueError(condition.values[0])
        found = (both(box, way) for box in self.boxes for way in ways)
        self.boxes = [box for box in found if box is not None]

    def _icmp(self, condition: Condition, family: Family) -> None:
        """A type stands where others have the port that they are for, a code where they have their
        own."""
        wanted = icmp.type_and_code(condition.values[0], family)
        if wanted is None or family != self._space.family:
            self.boxes = [] if condition.negated else self.boxes
            return
        kind, code = wanted
        mine: Values = ((kind, kind),)
        if not condition.negated:
            self._field(DPORT, mine)
            if code is not None:
                self._field(SPORT, ((code, code),))
            return
        ways: list[Box] = [((DPORT, self._space.but(DPORT, mine)),)]
        if code is not None:
            ways.append(((DPORT, mine), (SPORT, self._space.but(SPORT, ((code, code),)))))
        found = (both(box, way) for box in self.boxes for way in ways)
        self.boxes = [box for box in found if box is not None]

    def _flags(self, condition: Condition) -> None:
        """A new connection begins with SYN, and a later packet of it carries ACK."""
        mask, wanted = (set(value.split(",")) for value in condition.values)
        met = tuple(
            (state, state)
            for state in range(len(STATES))
            if _shown({"SYN"} if state == 0 else {"ACK"}, mask) == wanted - {"NONE"}
        )
        if met or condition.negated:
            self.tests.append(Tracked(met, negated=condition.negated))
        else:
            self.boxes = []


def _shown(flags: set[str], mask: set[str]) -> set[str]:
    return flags if "ALL" in mask else flags & mask


def _addresses(texts: Sequence[str], space: Space) -> Values:
    return union(each for text in texts[0].split(",") for each in space.network(text))


def _links(texts: Sequence[str], space: Space) -> Values:
    return space.link(texts[0])


def _protocol(texts: Sequence[str], space: Space) -> Values:
    del space
    text = texts[0].lower()
    if text == "all":
        return ((0, 255),)
    number = PROTOCOLS[text] if text in PROTOCOLS else int(text)
    return ((number, number),)


def _ports(texts: Sequence[str], space: Space) -> Values:
    del space
    return union(ports(text) for text in texts[0].split(","))


def _range(texts: Sequence[str], space: Space) -> Values:
    return space.network(texts[0])


def _kinds(texts: Sequence[str], space: Space) -> Values:
    found = [ends.kind(word.lower(), space) for word in texts[0].split(",")]
    return union(each for values in found for each in values)


_Read = Callable[[Sequence[str], Space], Values]

_FIELDS: Mapping[str, tuple[int, _Read]] = MappingProxyType(
    {
        "-s": (SADDR, _addresses),
        "-d": (DADDR, _addresses),
        "-i": (IIF, _links),
        "-o": (OIF, _links),
        "-p": (PROTO, _protocol),
        "--dport": (DPORT, _ports),
        "--dports": (DPORT, _ports),
        "--sport": (SPORT, _ports),
        "--sports": (SPORT, _ports),
        "--src-type": (SADDR, _kinds),
        "--dst-type": (DADDR, _kinds),
        "--src-range": (SADDR, _range),
        "--dst-range": (DADDR, _range),
    }
)


def _mark_is(condition: Condition) -> MarkIs:
    value, _, mask = condition.values[0].partition("/")
    return MarkIs(int(value, 0), int(mask or "0xffffffff", 0), condition.negated)


def _tracked(condition: Condition) -> Tracked:
    words = set(condition.values[0].split(","))
    states = union((at, at) for at, word in enumerate(STATES) if word in words)
    if words - {*STATES, "DNAT", "SNAT"}:
        raise ValueError(condition.values[0])
    return Tracked(states, "DNAT" in words, "SNAT" in words, condition.negated)


_TESTS: Mapping[str, Callable[[Condition], Test]] = {
    "--mark": _mark_is,
    "--ctstate": _tracked,
    "--state": _tracked,
}


def _probability(text: str) -> float:
    chance = float(text)
    if not 0.0 <= chance <= 1.0:
        raise ValueError(text)
    return chance


_CHANCES: Mapping[str, Callable[[str], float]] = {
    "--probability": _probability,
    "--every": lambda text: _probability(str(1.0 / int(text))),
}

# Options that say how a match works, or that always let the packet pass: see `simulation.match`.
_NO_QUESTION = frozenset(
    {
        "--comment", "--mode", "--packet", "--seconds", "--hitcount", "--reap", "--rttl", "--mask",
        "--rsource", "--name", "--set", "--nfacct-name", "--limit", "--limit-burst",
    }
)  # fmt: skip
