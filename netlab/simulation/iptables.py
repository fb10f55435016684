"""A packet through a ruleset, on paper: every outcome it can have, how likely, by which rules.

Follows a packet through the hooks as the kernel does: raw, mangle, nat, filter; a routing
decision after the destination is settled; postrouting when it leaves. The nat table sees only
the first packet of a connection. Works on any iptables-save text: what it does not understand
is in `Outcome.unknown`, and counts as not matching.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from msgspec.structs import replace

from netlab.errors import NetlabError
from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.iptables.rule import Rule, parse_rule
from netlab.simulation.match import matches
from netlab.simulation.packet import Hit, Outcome, Packet

EntryHook = Literal["PREROUTING", "OUTPUT"]

_TABLES = ("raw", "mangle", "nat", "filter", "security")

# iptables-restore leaves one that is not told as it is: a new table accepts.
_POLICY = {"DROP": "DROP"}
_DEEPEST = 100


class DanglingJump(NetlabError):
    """A rule jumps to a chain that is not there; no kernel would have taken that."""


class _State(NamedTuple):
    packet: Packet
    probability: float = 1.0
    hits: tuple[Hit, ...] = ()
    unknown: tuple[str, ...] = ()
    masqueraded: bool = False


_Result = tuple[str, _State]
"""A verdict (ACCEPT, DROP, REJECT, or RETURN when a chain was left) and the state it came to."""


Route = Callable[[str], str]
"""The link by which a node sends to an address, or ""."""


def simulate(
    ruleset: Ruleset,
    packet: Packet,
    *,
    entry: EntryHook = "PREROUTING",
    route: Route | None = None,
) -> list[Outcome]:
    """Every outcome of that packet, the likeliest first; their probabilities add up to 1.

    `entry` is PREROUTING for what comes in from outside or from a pod, OUTPUT for the node's own.
    `route` is asked for the link that a packet leaves by; without one that is the packet's own.
    """
    walk = _Walk(ruleset, entry)
    ended: list[Outcome] = []
    sent = _routed(packet, route) if entry == "OUTPUT" else packet
    for state in walk.hook(entry, [_State(sent)], ended):
        rest = _rest_of_the_way(state.packet, entry)
        state = state._replace(packet=_routed(state.packet, route))
        here = [_looped(state) if rest == _LOOP else state]
        for hook in rest:
            here = walk.hook(hook, here, ended)
        delivered = bool(rest) and rest[-1] == "INPUT"
        ended += [_outcome("ACCEPT", rest[-1], end, delivered) for end in here]
    return sorted(_merged(ended), key=lambda outcome: -outcome.probability)


# What the node sends itself leaves and comes in again, by lo.
_LOOP = ("POSTROUTING", "PREROUTING", "INPUT")


def _rest_of_the_way(packet: Packet, entry: EntryHook) -> tuple[str, ...]:
    """The hooks after the routing decision."""
    if packet.is_local(packet.destination):
        return _LOOP if entry == "OUTPUT" else ("INPUT",)
    return ("POSTROUTING",) if entry == "OUTPUT" else ("FORWARD", "POSTROUTING")


def _routed(packet: Packet, route: Route | None) -> Packet:
    return packet if route is None else replace(packet, out_interface=route(packet.destination))


def _looped(state: _State) -> _State:
    packet = replace(state.packet, in_interface="lo", out_interface="lo")
    return state._replace(packet=packet)


def _outcome(verdict: str, hook: str, state: _State, delivered: bool = False) -> Outcome:
    assert verdict in ("ACCEPT", "DROP", "REJECT")
    return Outcome(
        verdict,  # type: ignore[arg-type]
        hook,
        delivered,
        state.masqueraded,
        state.packet,
        state.probability,
        state.hits,
        tuple(dict.fromkeys(state.unknown)),
    )


def _merged(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One outcome for each way; those that took the same rules are the same."""
    found: dict[tuple[object, ...], Outcome] = {}
    for outcome in outcomes:
        key = (outcome.verdict, outcome.hook, outcome.packet, outcome.rules, outcome.masqueraded)
        before = found.get(key)
        total = outcome.probability + (before.probability if before else 0.0)
        found[key] = replace(outcome, probability=total)
    return list(found.values())


class _Walk:
    def __init__(self, ruleset: Ruleset, entry: EntryHook) -> None:
        self.ruleset = ruleset
        # A connection is translated once each way: one that began here not when it comes in.
        self.untranslated = ("PREROUTING", "INPUT") if entry == "OUTPUT" else ()

    def hook(self, hook: str, states: list[_State], ended: list[Outcome]) -> list[_State]:
        """All tables at one hook; what ends there goes to `ended`."""
        for name in _TABLES:
            table = self.ruleset.tables.get(name)
            chain = table.chains.get(hook) if table else None
            if chain is None:
                continue
            on: list[_State] = []
            for state in states:
                if name == "nat" and not self.translatable(state.packet, hook):
                    on.append(state)
                    continue
                for verdict, after in self.chain(name, hook, state, 0):
                    final = _POLICY.get(chain.policy, "ACCEPT") if verdict == "RETURN" else verdict
                    if final == "ACCEPT":
                        on.append(after)
                    else:
                        ended.append(_outcome(final, hook, after))
            states = on
        return states

    def translatable(self, packet: Packet, hook: str) -> bool:
        """Only a connection's first packet meets the nat table, and a settled destination stays."""
        settled = packet.dnat and hook in ("PREROUTING", "OUTPUT")
        return packet.ctstate == "NEW" and not settled and hook not in self.untranslated

    def chain(self, table: str, name: str, state: _State, depth: int) -> list[_Result]:
        """Where a packet stands after a chain."""
        chain = self.ruleset.chain(table, name)
        if chain is None or depth > _DEEPEST:
            raise DanglingJump(
                f"table {table}: jump to chain {name}, which "
                + ("does not exist" if chain is None else "leads in a circle")
            )
        results: list[_Result] = []
        inside = [state]
        for number, text in enumerate(chain.rules, 1):
            inside = self.rule(Hit(table, name, number, text), inside, results, depth)
            if not inside:
                break
        return results + [("RETURN", left) for left in inside]

    def rule(
        self, hit: Hit, states: list[_State], results: list[_Result], depth: int
    ) -> list[_State]:
        """One rule on every state; returns those that go on to the next rule."""
        rule = parse_rule(hit.rule)
        on: list[_State] = []
        for state in states:
            answer = matches(rule.conditions, state.packet)
            if answer.unknown:
                state = state._replace(unknown=(*state.unknown, *answer.unknown))
            chance = answer.probability
            if chance < 1.0:
                on.append(state._replace(probability=state.probability * (1.0 - chance)))
            if chance > 0.0:
                matched = state._replace(
                    probability=state.probability * chance, hits=(*state.hits, hit)
                )
                for verdict, after in self.target(hit.table, rule, matched, depth):
                    if verdict == "CONTINUE":
                        on.append(after)
                    else:
                        results.append((verdict, after))
        return on

    def target(self, table: str, rule: Rule, state: _State, depth: int) -> list[_Result]:
        """What a target does; verdict CONTINUE goes on with the next rule."""
        name = rule.target
        if name in ("ACCEPT", "DROP", "REJECT", "RETURN"):
            return [(name, state)]
        if name in _ALTERATIONS:
            try:
                return [_altered(rule, state)]
            except (ValueError, IndexError):  # options that no iptables would have taken
                return [("CONTINUE", state._replace(unknown=(*state.unknown, f"-j {name}")))]
        if name in _WITHOUT_EFFECT:
            return [("CONTINUE", state)]
        if self.ruleset.chain(table, name) is None and name.isupper() and "-" not in name:
            return [("CONTINUE", state._replace(unknown=(*state.unknown, f"-j {name}")))]
        back = "RETURN" if rule.goto else "CONTINUE"
        inner = self.chain(table, name, state, depth + 1)
        return [(back if verdict == "RETURN" else verdict, after) for verdict, after in inner]


_WITHOUT_EFFECT = frozenset(
    {"", "LOG", "NFLOG", "TRACE", "CHECKSUM", "TCPMSS", "CONNMARK", "CT", "AUDIT", "NOTRACK"}
)
_ALTERATIONS = frozenset({"DNAT", "SNAT", "MASQUERADE", "REDIRECT", "MARK"})


def _altered(rule: Rule, state: _State) -> _Result:
    if rule.target != "MARK":
        return "ACCEPT", _translated(rule, state)
    packet = replace(state.packet, mark=_marked(rule, state.packet.mark))
    return "CONTINUE", state._replace(packet=packet)


def _translated(rule: Rule, state: _State) -> _State:
    packet = state.packet
    if rule.target == "DNAT":
        ip, port = _address_and_port(rule.option("--to-destination"))
        packet = replace(packet, destination=ip or packet.destination, dport=port or packet.dport)
        return state._replace(packet=replace(packet, dnat=True))
    if rule.target == "REDIRECT":
        own = "127.0.0.1" if ":" not in packet.destination else "::1"
        port = int((rule.option("--to-ports") or "0").partition("-")[0]) or packet.dport
        return state._replace(packet=replace(packet, destination=own, dport=port, dnat=True))
    if rule.target == "SNAT":
        ip, _ = _address_and_port(rule.option("--to-source"))
        packet = replace(packet, source=ip or packet.source)
    return state._replace(packet=replace(packet, snat=True), masqueraded=True)


def _address_and_port(text: str) -> tuple[str, int]:
    """`10.0.0.1:80`, `[fd00::1]:80`, `10.0.0.1` → address and port; the first of a range.

    Raises ValueError for what is no address.
    """
    match = re.match(r"(?:\[([^]]+)]|([^:]*(?::[^:]*:.*)?))(?::(\d+))?", text)
    if not match:
        return "", 0
    address = (match.group(1) or match.group(2) or "").partition("-")[0]
    if address:
        ipaddress.ip_address(address)
    return address, int(match.group(3) or 0)


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
