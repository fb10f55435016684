"""A packet through a node's hooks: where routing decisions send it, and every end it may come to.

    prerouting → routing decision → input, or forward (unless that is off) → postrouting
    output → routing decision → postrouting (→ prerouting → input, by lo)

What happens at one hook is the rules' affair: those of `iptables`, or of `nftables`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, Protocol

from msgspec.structs import replace

from netlab.errors import NetlabError
from netlab.simulation.knowledge import UNTOLD, Unsure
from netlab.simulation.packet import BRIDGE, ROUTING, Doubt, Hit, Outcome, Packet

EntryHook = Literal["PREROUTING", "OUTPUT"]

Route = Callable[[str], str]
"""The link by which a node sends to an address, or ""."""

DEEPEST = 100
"""So far below a hook's chain rules are followed."""

ALLOWANCE = 6_000_000
"""What one packet may come to: 1 for a rule that one of its ways comes by, 8 for one it asks."""


class DanglingJump(NetlabError):
    """A rule refers to what is not there; no kernel would have taken that."""


def dangling(table: str, name: str, *, exists: bool) -> DanglingJump:
    """A jump to a chain that does not exist, or leads in a circle."""
    why = "leads in a circle" if exists else "does not exist"
    return DanglingJump(f"table {table}: jump to chain {name}, which {why}")


class Unfollowed(Exception):
    """A packet's ways are followed no further than to a rule."""

    def __init__(self, why: str, table: str, chain: str, number: int) -> None:
        super().__init__(why)
        self.at = Doubt(why, table, chain, number)


TOO_MANY = "there are more ways than can be followed"
TOO_DEEP = f"it is more than {DEEPEST} chains deep"


class Effort:
    """What is left of the allowance for a packet."""

    def __init__(self) -> None:
        self._left = ALLOWANCE

    def spend(self, units: int, table: str, chain: str, number: int) -> None:
        """Take from it, for a rule. `Unfollowed` when there is nothing left."""
        self._left -= units
        if self._left < 0:
            raise Unfollowed(TOO_MANY, table, chain, number)


def too_deep(table: str, chain: str, depth: int, chains: int) -> Exception:
    """Of a chain too deep. A way along more chains than a table has comes by one of them twice."""
    if depth > chains:
        return dangling(table, chain, exists=True)
    return Unfollowed(TOO_DEEP, table, chain, 1)


class State(NamedTuple):
    """A packet on its way, how likely it came here, and what it met."""

    packet: Packet
    effort: Effort
    probability: float = 1.0
    hits: tuple[Hit, ...] = ()
    unknown: tuple[str, ...] = ()
    masqueraded: bool = False
    unsure: tuple[Doubt, ...] = ()

    def likely(self, chance: float) -> State:
        """The same where something was so with that chance."""
        return self._replace(probability=self.probability * chance)

    def puzzled(self, *unknown: str) -> State:
        """The same with conditions that nobody understands."""
        return self._replace(unknown=(*self.unknown, *unknown)) if unknown else self

    def wondering(self, fact: str, hit: Hit | None = None) -> State:
        """The same where a fact was asked for that nobody told, by that rule or by routing."""
        doubt = Doubt(fact, hit.table, hit.chain, hit.number) if hit is not None else Doubt(fact)
        return self._replace(unsure=(*self.unsure, doubt))

    def altered(self, packet: Packet) -> State:
        """The same with the packet changed."""
        return self._replace(packet=packet)


Result = tuple[str, State]
"""A verdict (ACCEPT, DROP, REJECT, RETURN when a chain was left, CONTINUE when the next rule is to
be asked) and the state it came to."""


class BaseChain(NamedTuple):
    """A chain that packets come to by themselves. `asked` is where one stands after it, `policy`
    (ACCEPT, DROP) what becomes of those that leave it; `order` by the kernel's place, and by its
    own priority."""

    is_nat: bool
    policy: str
    asked: Callable[[State], list[Result]]
    order: tuple[int, int] = (0, 0)


class Rules(Protocol):
    """A node's rules."""

    def at(self, hook: str) -> Iterable[BaseChain]:
        """The chains of a hook, in the order in which a packet meets them."""


# What the node sends itself leaves and comes in again, by lo.
_LOOP = ("POSTROUTING", "PREROUTING", "INPUT")


def walk(rules: Rules, packet: Packet, entry: EntryHook, route: Route | None) -> list[Outcome]:
    """Every outcome of that packet, the likeliest first; where it has too many ways, a single one
    that is `cut_short`."""
    try:
        return _walk(rules, packet, entry, route)
    except Unfollowed as error:
        unknown = (str(error),)
        return [Outcome("DROP", entry, False, False, packet, 1.0, (), unknown, cut_short=error.at)]


def _walk(rules: Rules, packet: Packet, entry: EntryHook, route: Route | None) -> list[Outcome]:
    ended: list[Outcome] = []

    def passed(hook: str, states: list[State]) -> list[State]:
        for base in rules.at(hook):
            if base.is_nat:
                states = [_turned(state, hook) for state in states]
            states = _asked(base, hook, entry, states, ended)
        return [_turned(state, hook) for state in states]

    sent = _routed(packet, route) if entry == "OUTPUT" else packet
    for state in passed(entry, [State(sent, Effort())]):
        rest, state = _rest_of_the_way(state, entry)
        state = state.altered(_routed(state.packet, route))
        if rest[0] == "FORWARD" and not _is_handed_on(packet, state.packet):
            ended.append(_outcome("DROP", ROUTING, state))
            continue
        if rest[0] == "FORWARD" and state.packet.destination in packet.shut:
            ended.append(_outcome("DROP", BRIDGE, state))
            continue
        here = [_looped(state) if rest == _LOOP else state]
        for hook in rest:
            here = passed(hook, here)
        delivered = rest[-1] == "INPUT"
        ended += [_outcome("ACCEPT", rest[-1], end, delivered=delivered) for end in here]
    return sorted(_merged(ended), key=lambda each: -each.probability)


def _asked(
    base: BaseChain, hook: str, entry: EntryHook, states: list[State], ended: list[Outcome]
) -> list[State]:
    """Those that go on from a chain; what ends there goes to `ended`."""
    on: list[State] = []
    for state in states:
        if base.is_nat and not _translates(state.packet, hook, entry):
            on.append(state)
            continue
        for verdict, after in base.asked(state):
            final = base.policy if verdict == "RETURN" else verdict
            if final == "ACCEPT":
                on.append(after)
            else:
                ended.append(_outcome(final, hook, after))
    return on


def _turned(state: State, hook: str) -> State:
    """A later packet of a flow, with the addresses that it has behind that hook."""
    packet, flow = state.packet, state.packet.flow
    if flow is None or hook == "FORWARD":
        return state
    if hook in ("PREROUTING", "OUTPUT"):
        return state.altered(replace(packet, destination=flow.destination, dport=flow.dport))
    return state.altered(replace(packet, source=flow.source, sport=flow.sport))


def _translates(packet: Packet, hook: str, entry: EntryHook) -> bool:
    """Whether the nat rules of a hook are asked: only a connection's first packet meets them, a
    settled end stays, and one that began here is not translated when it comes in by lo."""
    settled = packet.dnat if hook in ("PREROUTING", "OUTPUT") else packet.snat
    again = entry == "OUTPUT" and hook in ("PREROUTING", "INPUT")
    return packet.ctstate == "NEW" and packet.flow is None and not settled and not again


def _outcome(verdict: str, hook: str, state: State, *, delivered: bool = False) -> Outcome:
    """The end of a way."""
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
        tuple(dict.fromkeys(state.unsure)),
    )


def _rest_of_the_way(state: State, entry: EntryHook) -> tuple[tuple[str, ...], State]:
    """The hooks after the routing decision."""
    try:
        local = state.packet.is_local(state.packet.destination)
    except Unsure as unsure:
        local = False
        if state.packet.out_interface in (UNTOLD, "", "lo"):  # else it is said to leave
            state = state.wondering(unsure.fact)
    if local:
        return (_LOOP if entry == "OUTPUT" else ("INPUT",)), state
    return (("POSTROUTING",) if entry == "OUTPUT" else ("FORWARD", "POSTROUTING")), state


def _is_handed_on(came: Packet, packet: Packet) -> bool:
    """A bridge sends on without forwarding, but not what had another destination before."""
    if packet.may_leave_by is None:
        return True
    return packet.destination == came.destination and packet.out_interface in packet.may_leave_by


def _routed(packet: Packet, route: Route | None) -> Packet:
    return packet if route is None else replace(packet, out_interface=route(packet.destination))


def _looped(state: State) -> State:
    return state.altered(replace(state.packet, in_interface="lo", out_interface="lo"))


def _merged(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One outcome for each way; those that took the same rules are the same."""
    found: dict[tuple[object, ...], Outcome] = {}
    for each in outcomes:
        key = (each.verdict, each.hook, each.packet, each.rules, each.masqueraded)
        before = found.get(key)
        total = each.probability + (before.probability if before else 0.0)
        found[key] = replace(each, probability=total)
    return list(found.values())
