"""One rule of nftables as steps. What is understood is what `simulation.nft_rule` understands.

A rule that looks something up in a map becomes a step for each element, of a draw one that
chooses. A set that packets fill (affinity) may know a client, or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from netlab.prove import ends
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
    WITH_PORTS,
    Box,
    Space,
    Values,
    both,
    ports,
    union,
)
from netlab.prove.steps import (
    Action,
    Choose,
    ConnMark,
    ConnMarkIs,
    Disguise,
    End,
    Go,
    Mark,
    MarkIs,
    Return,
    Step,
    Test,
    Tracked,
    Unknown,
    Untrack,
    by_connection,
)
from netlab.proxy.addresses import Family
from netlab.simulation import icmp, nft_rule
from netlab.simulation import nft_phrases as nft
from netlab.simulation.hooks import DanglingJump
from netlab.simulation.nft_match import Sets


class _Draft(Struct, frozen=True):
    """A rule as far as it is read."""

    box: Box = ()
    tests: tuple[Test, ...] = ()
    actions: tuple[Action, ...] = ()
    chance: float = 1.0
    unknown: tuple[str, ...] = ()
    remembers: bool = False

    def step(self, number: int, *more: Action) -> Step:
        """As the step it is, with more to do."""
        actions = (*self.actions, *more)
        boxes = (self.box,)
        return Step(number, boxes, actions, self.tests, self.chance, self.unknown, self.remembers)

    def within(self, box: Box) -> _Draft | None:
        """With more to be asked; None if nothing passes."""
        met = both(self.box, box)
        return None if met is None else replace(self, box=met)


class _Odd(Exception):
    """Words that nobody here understands."""


class Reader:
    """Makes steps of rules."""

    def __init__(self, sets: Sets, space: Space) -> None:
        self._sets, self._space = sets, space

    def steps(self, number: int, text: str) -> Iterator[Step]:
        """Of one rule."""
        for step in self._steps(number, text):
            yield from by_connection(step) if step.tests else (step,)

    def _steps(self, number: int, text: str) -> Iterator[Step]:
        drafts = [_Draft()]
        phrases = nft_rule.parse_rule(text)
        for at, phrase in enumerate(phrases):
            if isinstance(phrase, nft.Idle | nft.Remember):
                continue
            if _asks(phrase) and any(draft.actions for draft in drafts):
                yield from self._done_before(number, drafts)
                drafts = [replace(draft, actions=()) for draft in drafts]
            try:
                found = list(self._read(phrase, drafts))
            except (_Odd, ValueError, KeyError, DanglingJump):
                found = list(_puzzled(phrase, drafts))
            if isinstance(phrase, nft.VerdictMap) or _chooses(phrase):
                yield from self._of_map(number, found, phrases[at + 1 :])
                return
            drafts = found
        for draft in drafts:
            yield draft.step(number)

    def _done_before(self, number: int, drafts: Sequence[_Draft]) -> Iterator[Step]:
        """What a rule does before it asks more is done to all that came so far."""
        for draft in drafts:
            asks_mark = any(isinstance(test, MarkIs) for test in draft.tests)
            odd = asks_mark or draft.chance < 1.0
            yield draft.step(number, *([Unknown("a condition behind a statement")] if odd else []))

    def _of_map(
        self, number: int, drafts: Sequence[_Draft], rest: Sequence[nft.Phrase]
    ) -> Iterator[Step]:
        more = [one for one in rest if not isinstance(one, nft.Idle)]
        for draft in drafts:
            ended = bool(draft.actions) and isinstance(draft.actions[-1], _LAST)
            yield draft.step(number, *([Unknown(more[0].text)] if more and not ended else []))

    def _read(self, phrase: nft.Phrase, drafts: Sequence[_Draft]) -> Iterator[_Draft]:
        match phrase:
            case nft.Match():
                for draft in drafts:
                    yield from self._matched(phrase, draft)
            case nft.Chance():
                for draft in drafts if phrase.likely else ():
                    yield replace(draft, chance=draft.chance * phrase.likely)
            case nft.VerdictMap():
                for draft in drafts:
                    yield from self._mapped(phrase.selector, phrase.elements, draft, _verdict)
            case nft.Nat(selector=nft.Selector()):
                assert phrase.selector is not None
                for draft in drafts:
                    yield from self._mapped(
                        phrase.selector, phrase.elements, draft, lambda to: self._nat(phrase, to)
                    )
            case _:
                action = self._action(phrase)
                for draft in drafts:
                    yield replace(draft, actions=(*draft.actions, *action))

    def _action(self, phrase: nft.Phrase) -> tuple[Action, ...]:
        match phrase:
            case nft.Verdict() if phrase.text.startswith("xt "):  # REJECT, without its option
                return (End("rejected", "what nft does not tell"),)
            case nft.Verdict():
                return _verdict(phrase.text)
            case nft.Nat():
                return self._nat(phrase, phrase.to)
            case nft.SetMark():
                return (_marked(phrase),)
            case nft.ConnMark():
                return (ConnMark(phrase.becomes, phrase.cleared, phrase.taken),)
            case nft.NoTrack():
                return (Untrack(),)
        raise _Odd

    def _nat(self, phrase: nft.Nat, to: str) -> tuple[Action, ...]:
        match phrase.kind:
            case "dnat":
                return (ends.destination(to, self._space),)
            case "redirect":
                return (ends.redirected(to.removeprefix(":")),)
            case "snat":
                return (Disguise(ends.source(to)),)
            case "masquerade":
                return (Disguise("masquerade"),)

    # -- conditions

    def _matched(self, phrase: nft.Match, draft: _Draft) -> Iterator[_Draft]:
        selector, known = phrase.selector, self._known(phrase.elements)
        if self._is_filled(phrase.elements):
            yield draft if phrase.negated else replace(draft, remembers=True)
        elif selector.draw:
            chance = len([key for key in known if int(key) < selector.draw]) / selector.draw
            chance = 1.0 - chance if phrase.negated else chance
            yield replace(draft, chance=draft.chance * chance)
        elif len(selector.fields) > 1:
            if phrase.negated:
                raise _Odd
            for key in known:
                yield from self._at_key(selector, key, draft)
        else:
            yield from self._one_field(selector, known, draft, phrase.negated)

    def _one_field(
        self, selector: nft.Selector, known: Mapping[str, str], draft: _Draft, negated: bool
    ) -> Iterator[_Draft]:
        name = selector.fields[0]
        if name in _MARKS:
            yield from _of_marks(selector, known, draft, negated)
        elif name == "tcp flags":
            yield from _of_flags(next(iter(known)), draft, negated)
        elif name in ("ct state", "ct status"):
            yield replace(draft, tests=(*draft.tests, _tracked(name, known, negated)))
        else:
            box = self._box(name, known, negated)
            if box is not None and (found := draft.within(box)) is not None:
                yield found

    def _known(self, elements: nft.Elements) -> Mapping[str, str]:
        return {} if self._is_filled(elements) else self._sets.of(elements)

    def _is_filled(self, elements: nft.Elements) -> bool:
        """Whether it is packets that fill a set."""
        return bool(elements.name) and self._sets.is_dynamic(elements.name)

    def _mapped(
        self,
        selector: nft.Selector,
        elements: nft.Elements,
        draft: _Draft,
        action: Callable[[str], tuple[Action, ...]],
    ) -> Iterator[_Draft]:
        known = self._known(elements)
        if not selector.draw:
            for key, text in known.items():
                for found in self._at_key(selector, key, draft):
                    yield replace(found, actions=(*found.actions, *action(text)))
            return
        if not all(key.isdigit() and int(key) < selector.draw for key in known):
            raise _Odd
        ways = [(1 / selector.draw, action(text)[0]) for text in known.values()]
        yield replace(draft, actions=(*draft.actions, Choose(tuple(ways))))

    def _at_key(self, selector: nft.Selector, key: str, draft: _Draft) -> Iterator[_Draft]:
        parts = key.split(" . ")
        if len(parts) != len(selector.fields):
            raise _Odd
        box: Box | None = ()
        for name, part in zip(selector.fields, parts, strict=True):
            if name in _MARKS:
                mask = selector.mask if selector.mask is not None else 0xFFFFFFFF
                draft = replace(draft, tests=(*draft.tests, _MARKS[name](int(part, 0), mask)))
                continue
            if name in ("ct state", "ct status"):
                draft = replace(draft, tests=(*draft.tests, _tracked(name, {part: ""}, False)))
                continue
            asked = self._box(name, {part: ""}, negated=False)
            box = both(box, asked) if asked is not None and box is not None else None
        if box is not None and (found := draft.within(box)) is not None:
            yield found

    def _box(self, name: str, known: Mapping[str, str], negated: bool) -> Box | None:
        """What a field has to be; None for what is never so."""
        if name == "nfproto":
            return () if (self._space.family in known) != negated else None
        at, read = _FIELDS[name]
        if not self._has(name):
            return None
        values = union(each for key in known for each in read(key, self._space))
        if negated:
            values = self._space.but(at, values)
        if not values:
            return None
        box: Box = ((at, values),)
        carried = _CARRIED.get(name.split()[0])
        return box if carried is None else both(box, ((PROTO, carried),))

    def _has(self, name: str) -> bool:
        """Whether packets of this family have such a field."""
        family = name.split()[0]
        six = {"ip": False, "icmp": False, "ip6": True, "icmpv6": True}.get(family)
        return six is None or six == (self._space.family == "ipv6")


def _chooses(phrase: nft.Phrase) -> bool:
    return isinstance(phrase, nft.Nat) and phrase.selector is not None


def _asks(phrase: nft.Phrase) -> bool:
    """Whether it is a condition, known or not."""
    odd = isinstance(phrase, nft.Unknown) and nft_rule.is_idle(phrase.text)
    return odd or isinstance(phrase, nft.Match | nft.Chance)


def _puzzled(phrase: nft.Phrase, drafts: Sequence[_Draft]) -> Iterator[_Draft]:
    for draft in drafts:
        if _asks(phrase):
            yield replace(draft, unknown=(*draft.unknown, phrase.text))
        else:
            yield replace(draft, actions=(*draft.actions, Unknown(phrase.text)))


_LAST = (End, Return, Go, Choose, Disguise, Unknown)


def _rejection(text: str) -> str:
    """`with icmp port-unreachable`; without words it is that."""
    words = text.split()
    if "tcp" in words:
        return "tcp-reset"
    return words[-1] if words else "port-unreachable"


def _verdict(text: str) -> tuple[Action, ...]:
    word, _, to = text.partition(" ")
    match word:
        case "accept":
            return (End("accepted"),)
        case "drop":
            return (End("dropped"),)
        case "reject":
            return (End("rejected", _rejection(to)),)
        case "return":
            return (Return(),)
        case "continue":
            return ()
        case "jump" | "goto":
            return (Go(to, word == "goto"),)
    raise _Odd


def _marked(phrase: nft.SetMark) -> Mark:
    keep, flip = 0xFFFFFFFF, 0
    for operation, number in phrase.operations:
        match operation:
            case "=":
                keep, flip = 0, number
            case "|":
                keep, flip = keep & ~number, (flip & ~number) ^ number
            case "&":
                keep, flip = keep & number, flip & number
            case "^":
                flip ^= number
    return Mark(keep, flip)


def _of_marks(
    selector: nft.Selector, known: Mapping[str, str], draft: _Draft, negated: bool
) -> Iterator[_Draft]:
    mask = selector.mask if selector.mask is not None else 0xFFFFFFFF
    test_of = _MARKS[selector.fields[0]]
    tests = [test_of(int(key, 0), mask, negated) for key in known]
    if negated:
        yield replace(draft, tests=(*draft.tests, *tests))
        return
    for test in tests:
        yield replace(draft, tests=(*draft.tests, test))


_MARKS: Mapping[str, type[MarkIs | ConnMarkIs]] = MappingProxyType(
    {"mark": MarkIs, "ct mark": ConnMarkIs}
)


def _of_flags(key: str, draft: _Draft, negated: bool) -> Iterator[_Draft]:
    """A new connection begins with SYN, and a later packet of it carries ACK."""
    mask, _, wanted = key.partition("/")
    met = [
        state
        for state in range(len(STATES))
        for flag in ("syn" if state == 0 else "ack",)
        if ((flag if mask == "all" or flag in mask.split(",") else "") == wanted) != negated
    ]
    found = draft.within(((PROTO, ((PROTOCOLS["tcp"],) * 2,)),))
    if met and found is not None:
        test = Tracked(union((state, state) for state in met))
        yield replace(found, tests=(*found.tests, test))


def _tracked(name: str, known: Mapping[str, str], negated: bool) -> Tracked:
    if name == "ct status":
        if set(known) - {"dnat", "snat"}:
            raise _Odd
        return Tracked((), "dnat" in known, "snat" in known, negated)
    words = {word.upper() for word in known}
    if words - {*STATES}:
        raise _Odd
    states = union((at, at) for at, word in enumerate(STATES) if word in words)
    return Tracked(states, negated=negated)


_Read = Callable[[str, Space], Values]


def _address(text: str, space: Space) -> Values:
    return space.network(text)


def _link(text: str, space: Space) -> Values:
    return space.link(text.strip('"'), "*")


def _port(text: str, space: Space) -> Values:
    del space
    return (ports(text, "-"),)


def _icmp(kind: Callable[[str, Family], tuple[int, int]]) -> _Read:
    def read(text: str, space: Space) -> Values:
        return (kind(text, space.family),)

    return read


def _protocol(text: str, space: Space) -> Values:
    del space
    number = PROTOCOLS[text] if text in PROTOCOLS else int(text)
    return ((number, number),)


_NAMED = ("tcp", "udp", "sctp", "dccp", "udplite", "icmp", "icmpv6")
_CARRIED: Mapping[str, Values] = MappingProxyType(
    {
        "th": WITH_PORTS,
        **{name: ((PROTOCOLS[name],) * 2,) for name in _NAMED},
    }
)

_FIELDS: Mapping[str, tuple[int, _Read]] = MappingProxyType(
    {
        "ip saddr": (SADDR, _address),
        "ip6 saddr": (SADDR, _address),
        "ip daddr": (DADDR, _address),
        "ip6 daddr": (DADDR, _address),
        "ip protocol": (PROTO, _protocol),
        "ip6 nexthdr": (PROTO, _protocol),
        "l4proto": (PROTO, _protocol),
        "iifname": (IIF, _link),
        "iif": (IIF, _link),
        "oifname": (OIF, _link),
        "oif": (OIF, _link),
        "fib saddr type": (SADDR, ends.kind),
        "fib daddr type": (DADDR, ends.kind),
        **{f"{name} type": (DPORT, _icmp(icmp.types)) for name in ("icmp", "icmpv6")},
        **{f"{name} code": (SPORT, _icmp(icmp.codes)) for name in ("icmp", "icmpv6")},
        **{f"{name} sport": (SPORT, _port) for name in _CARRIED if "icmp" not in name},
        **{f"{name} dport": (DPORT, _port) for name in _CARRIED if "icmp" not in name},
    }
)
