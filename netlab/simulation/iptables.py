"""A packet through a ruleset, on paper: every outcome it can have, how likely, by which rules.

Follows a packet through the hooks as the kernel does: raw, mangle, nat, filter; a routing
decision after the destination is settled; postrouting when it leaves. The nat table sees only
the first packet of a connection. Works on any iptables-save text: what it does not understand
is in `Outcome.unknown`, and counts as not matching.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from msgspec.structs import replace

from netlab.proxy.iptables.model import Chains
from netlab.proxy.iptables.rule import Rule, parse_rule
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
from netlab.simulation.match import for_one, is_for_another, matches
from netlab.simulation.packet import Hit, Outcome, Packet
from netlab.simulation.translation import Translation, translated

_TABLES = ("raw", "mangle", "nat", "filter", "security")

# iptables-restore leaves one that is not told as it is: a new table accepts.
_POLICY = {"DROP": "DROP"}


def simulate(
    ruleset: Chains,
    packet: Packet,
    *,
    entry: EntryHook = "PREROUTING",
    route: Route | None = None,
) -> list[Outcome]:
    """Every outcome of that packet, the likeliest first; their probabilities add up to 1.

    `entry` is PREROUTING for what comes in from outside or from a pod, OUTPUT for the node's own.
    `route` is asked for the link that a packet leaves by; without one that is the packet's own.
    """
    return walk(rules_of(ruleset), packet, entry, route)


def rules_of(ruleset: Chains) -> Rules:
    """A ruleset as packets meet it."""
    return _Rules(ruleset)


class _Rules:
    def __init__(self, ruleset: Chains) -> None:
        self.ruleset = ruleset

    def at(self, hook: str) -> Iterator[BaseChain]:
        """As `hooks.Rules` says."""
        for name in _TABLES:
            chain = self.ruleset.chain(name, hook)
            if chain is not None:
                policy = _POLICY.get(chain.policy, "ACCEPT")
                asked = partial(self.chain, name, hook)
                yield BaseChain(name == "nat", policy, asked, _order(name, hook))

    def chain(self, table: str, name: str, state: State, depth: int = 0) -> list[Result]:
        """Where a packet stands after a chain."""
        chain = self.ruleset.chain(table, name)
        if chain is None:
            raise dangling(table, name, exists=False)
        if depth > DEEPEST:
            raise too_deep(table, name, depth, len(self.ruleset.tables[table].chains))
        results: list[Result] = []
        inside = [state]
        rules = zip(chain.rules, for_one(chain.rules), strict=True)
        for number, (text, one) in enumerate(rules, 1):
            state.effort.spend(len(inside), table, name, number)
            if one and all(is_for_another(one, each.packet) for each in inside):
                continue
            inside = self.rule(Hit(table, name, number, text), inside, results, depth)
            if not inside:
                break
        return results + [("RETURN", left) for left in inside]

    def rule(self, hit: Hit, states: list[State], results: list[Result], depth: int) -> list[State]:
        """One rule on every state; returns those that go on to the next rule."""
        rule = parse_rule(hit.rule)
        on: list[State] = []
        for state in states:
            units = 8 + (len(state.hits) >> 3)
            state.effort.spend(units, hit.table, hit.chain, hit.number)
            answer = matches(rule.conditions, state.packet)
            state = state.puzzled(*answer.unknown)
            if rule.target not in WITHOUT_EFFECT:
                for fact in answer.unsure:
                    state = state.wondering(fact, hit)
            chance = answer.probability
            if chance < 1.0:
                on.append(state.likely(1.0 - chance))
            if chance > 0.0:
                met = _told(hit, rule)._replace(mark=state.packet.mark)
                matched = state.likely(chance)._replace(hits=(*state.hits, met))
                for verdict, after in self.target(hit.table, rule, matched, depth):
                    if verdict == "CONTINUE":
                        on.append(after)
                    else:
                        results.append((verdict, after))
        return on

    def target(self, table: str, rule: Rule, state: State, depth: int) -> list[Result]:
        """What a target does; verdict CONTINUE goes on with the next rule."""
        name = rule.target
        if name in _ENDS:
            return [(name, state)]
        if name in _ALTERATIONS:
            try:
                return [_altered(rule, state)]
            except (ValueError, IndexError):  # options that no iptables would have taken
                return [("CONTINUE", state.puzzled(f"-j {name}"))]
        if name in WITHOUT_EFFECT:
            return [("CONTINUE", state)]
        if self.ruleset.chain(table, name) is None and name.isupper() and "-" not in name:
            return [("CONTINUE", state.puzzled(f"-j {name}"))]
        back = "RETURN" if rule.goto else "CONTINUE"
        inner = self.chain(table, name, state, depth + 1)
        return [(back if verdict == "RETURN" else verdict, after) for verdict, after in inner]


_PLACES = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}


def _order(table: str, hook: str) -> tuple[int, int]:
    place = _PLACES.get(table, -100 if hook in ("PREROUTING", "OUTPUT") else 100)
    return place, place


_ENDS = ("ACCEPT", "DROP", "REJECT", "RETURN")


def knows_target(name: str) -> bool:
    """Whether it is known what a target does; a chain's name is none of these."""
    return name in _ENDS or name in _ALTERATIONS or name in WITHOUT_EFFECT


def _told(hit: Hit, rule: Rule) -> Hit:
    """The rule with what it did."""
    if rule.target in _ENDS or rule.target in _TRANSLATIONS:
        return hit._replace(
            verdict="accept" if rule.target in _TRANSLATIONS else rule.target.lower()
        )
    if rule.target and rule.target not in _ALTERATIONS | WITHOUT_EFFECT:
        return hit._replace(verdict="goto" if rule.goto else "jump", to=rule.target)
    return hit


WITHOUT_EFFECT = frozenset(
    {
        "", "LOG", "NFLOG", "TRACE", "CHECKSUM", "TCPMSS", "AUDIT", "SET", "TOS", "DSCP",
        "ECN", "TTL", "HL", "CLASSIFY", "SECMARK", "CONNSECMARK", "RATEEST", "ULOG",
    }
)  # fmt: skip
"""Targets that change nothing of where a packet goes."""

_TRANSLATIONS: Mapping[str, tuple[Translation, str]] = {
    "DNAT": ("dnat", "--to-destination"),
    "SNAT": ("snat", "--to-source"),
    "MASQUERADE": ("masquerade", "--to-ports"),
    "REDIRECT": ("redirect", "--to-ports"),
}
"""What a target does, and the option that says to what end."""

_ALTERATIONS = _TRANSLATIONS.keys() | {"MARK", "CONNMARK", "CT", "NOTRACK"}


def _altered(rule: Rule, state: State) -> Result:
    packet = state.packet
    match rule.target:
        case "MARK":
            packet = replace(packet, mark=_marked(rule, packet.mark))
            last = state.hits[-1]._replace(mark=packet.mark)
            state = state._replace(hits=(*state.hits[:-1], last))
        case "CONNMARK":
            packet = _connmarked(rule, packet)
            last = state.hits[-1]._replace(mark=packet.mark)
            state = state._replace(hits=(*state.hits[:-1], last))
        case "CT" | "NOTRACK":
            notrack = rule.target == "NOTRACK" or any(
                option.option == "--notrack" for option in rule.options
            )
            packet = replace(packet, ctstate="UNTRACKED") if notrack else packet
        case _:
            return "ACCEPT", _translated(rule, state)
    return "CONTINUE", state.altered(packet)


def _translated(rule: Rule, state: State) -> State:
    kind, option = _TRANSLATIONS[rule.target]
    to = rule.option(option)
    packet = translated(kind, f":{to}" if to and kind == "redirect" else to, state.packet)
    source = kind in ("snat", "masquerade")
    return state.altered(packet)._replace(masqueraded=source or state.masqueraded)


def _connmarked(rule: Rule, packet: Packet) -> Packet:
    """The connection's mark set, or kept of the packet's, or given to it. `ValueError` for that of
    a later packet, which an earlier one may have set."""
    if packet.ctstate != "NEW":
        raise ValueError("not the first packet")
    given = {one.option: one.values[0] if one.values else "" for one in rule.options}
    of_packet, kept = (
        int(given.get(name) or given.get("--mask") or "0xffffffff", 0)
        for name in ("--nfmask", "--ctmask")
    )
    if "--restore-mark" in given:
        mark = (packet.mark & ~of_packet) ^ (packet.connmark & kept)
        return replace(packet, mark=mark)
    if "--save-mark" in given:
        mark = (packet.connmark & ~kept) ^ (packet.mark & of_packet)
        return replace(packet, connmark=mark)
    return replace(packet, connmark=_marked(rule, packet.connmark))


def _marked(rule: Rule, mark: int) -> int:
    """--set-xmark VALUE/MASK clears the mask's bits and flips the value's, which is how
    iptables-save spells the other options."""
    for option in rule.options:
        value, _, mask_text = option.values[0].partition("/")
        number, mask = int(value, 0), int(mask_text or "0xffffffff", 0)
        match option.option:
            case "--set-xmark":
                return (mark & ~mask) ^ number
            case "--set-mark":
                return (mark & ~(mask | number)) | number
            case "--or-mark":
                return mark | number
            case "--xor-mark":
                return mark ^ number
            case "--and-mark":
                return mark & number
    return mark
