"""Classes of packets held against the simulator: any packet of one ends as its class says."""

import pytest

from netlab.prove.classes import classes
from netlab.prove.diagram import Diagrams
from netlab.prove.hooks import Hooks
from netlab.prove.space import (
    CT,
    DADDR,
    DPORT,
    IIF,
    NO_LINK,
    OIF,
    OTHER_NAME,
    PROTO,
    SADDR,
    SPORT,
    STATES,
)
from netlab.simulation.match import PROTOCOL_NUMBERS
from netlab.simulation.packet import Packet

NAMES = {int(number): name for name, number in PROTOCOL_NUMBERS.items()} | {
    33: "dccp",
    136: "udplite",
}
TRACKED = ((0, 3),)


def asked(rules, space):
    """Rules as functions of the header."""
    return Hooks(rules, space, Diagrams(space.tops))


def region_of(space, entry):
    """All packets that the simulator knows."""
    region = list(space.all)
    region[CT] = TRACKED
    region[IIF] = ((NO_LINK,) * 2,) if entry == "OUTPUT" else ((1, space.tops[IIF]),)
    return tuple(region)


def classes_of(hooks, space, entry):
    region = region_of(space, entry)
    return classes(hooks.ends(entry, region), region)


def packet_in(region, space, pick):
    """A packet of a region; `pick` chooses one of some."""

    def value(field):
        low, high = pick(region[field])
        return pick([low, high, (low + high) // 2, min(low + 1, high)])

    number, dport, sport = value(PROTO), value(DPORT), value(SPORT)
    return Packet(
        source=space.address(value(SADDR)),
        destination=space.address(value(DADDR)),
        protocol=NAMES.get(number, str(number)),
        dport=dport,
        sport=sport,
        icmp=(dport, sport) if number in (1, 58) else None,
        in_interface=link(value(IIF), space),
        out_interface=link(value(OIF), space),
        ctstate=STATES[value(CT)],
        local=frozenset(map(str, space.known)),
        link_address=str(pick(space.known)) if space.known and region[IIF] != _NO_LINK else "",
    )


_NO_LINK = ((NO_LINK,) * 2,)


def link(number, space):
    return space.links[number].replace(OTHER_NAME, "other0")


def agree(one, packet, outcomes, space):
    """Whether the simulator's outcomes are the ends of that class; None where it has doubts."""
    if any(outcome.unknown for outcome in outcomes) or _of_the_link(one):
        return None
    told = {}
    for outcome in outcomes:
        key = _end(outcome, packet)
        told[key] = told.get(key, 0.0) + outcome.probability
    said = {}
    for way, share in one.ends.ways:
        if not way.state.remembered:
            key = _told(way, packet, space)
            said[key] = said.get(key, 0.0) + share
    return told == {key: pytest.approx(share, abs=1e-6) for key, share in said.items()}


def among(one, packet, outcomes, space):
    """Whether each end of a client that rules remember is one that its class has; None where the
    simulator has doubts."""
    if any(outcome.unknown for outcome in outcomes) or _of_the_link(one):
        return None
    if any(way.at == "open" for way, _ in one.ends.ways):
        return None  # of others, a rule that remembered clients do not come to
    said = {_told(way, packet, space) for way, _ in one.ends.ways}
    return {_end(outcome, packet) for outcome in outcomes} <= said


def _of_the_link(one):
    """Whether the link's address decides, which proofs do not know."""
    return any(way.at == "open" and "link's address" in way.how for way, _ in one.ends.ways)


def _told(way, packet, space):
    if way.at in ("dropped", "rejected"):
        return (way.at,)
    return (str(way.at), *_to(way.state.to, packet, space), bool(way.state.source))


def ends_of(hooks, packet, entry):
    """The ways that one packet may take."""
    space = hooks.space
    region = list(region_of(space, entry))
    numbers = {name: number for number, name in NAMES.items()}
    for field, value in (
        (SADDR, space.network(packet.source)),
        (DADDR, space.network(packet.destination)),
        (DPORT, ((packet.dport, packet.dport),)),
        (SPORT, ((packet.sport, packet.sport),)),
        (PROTO, ((numbers[packet.protocol],) * 2,)),
        (CT, ((0, 0),)),
    ):
        region[field] = value
    if packet.in_interface:
        name = packet.in_interface
        named = name if name in space.links else OTHER_NAME
        region[IIF] = ((space.links.index(named),) * 2,)
    (one,) = classes(hooks.ends(entry, tuple(region)), tuple(region))
    return [way for way, _ in one.ends.ways if packet.recent or not way.state.remembered]


def destination(to, packet, space):
    """Where a packet goes that was translated, or was not."""
    return _to(to, packet, space)


def _end(outcome, packet):
    if outcome.verdict != "ACCEPT":
        return ({"DROP": "dropped", "REJECT": "rejected"}[outcome.verdict],)
    at = "delivered" if outcome.delivered else "sent"
    there = outcome.packet
    moved = (there.destination, there.dport) if there.dnat else (packet.destination, packet.dport)
    return (at, *moved, outcome.masqueraded)


def _to(to, packet, space):
    address, port = to or (None, None)
    own = packet.link_address if address == space.own else ""
    return (
        packet.destination if address is None else own or space.address(address),
        packet.dport if port is None else port,
    )
