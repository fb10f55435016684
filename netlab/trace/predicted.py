"""What the nodes' rules should do with a packet, node by node, until it is where it goes. Pure.

Every way it can go is followed: one for each draw that the rules may make.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby, zip_longest
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from netlab.network.names import POD_BRIDGE
from netlab.objects.loadbalancing import ingress_ips
from netlab.pathcheck.decode import endpoint, split
from netlab.pathcheck.world import Place, World
from netlab.simulation.hooks import EntryHook
from netlab.simulation.packet import BRIDGE, ROUTING, Flow, Hit, Outcome, Packet
from netlab.trace.node_rules import Rules
from netlab.trace.passages import MetRule, Passage
from netlab.trace.routing import Router

Verdict = Literal["delivered", "refused", "lost", "open"]
Which = Literal["new", "established", "reply"]
"""Which packet of a flow: its first, the next after an answer, or the answer."""

_MOST_NODES = 8
"""A packet that nodes hand on to each other for longer goes in a circle."""


class Stay(Struct, frozen=True):
    """What one node makes of the packet that came `entry` as `packet`."""

    node: str
    entry: EntryHook
    packet: Packet
    outcome: Outcome


class Prediction(Struct, frozen=True):
    """One way the packet can go: the nodes it passes, and its end. `share` is how likely it is;
    `at` the place it ends at, and `destination` its `address:port` there. Of an open one, `unknown`
    are the conditions that nobody here understands."""

    verdict: Verdict
    share: float
    stays: tuple[Stay, ...]
    at: str
    source: str
    destination: str
    unknown: tuple[str, ...] = ()


def predict(
    packet: Packet, sender: Place, world: World, router: Router, rules: Rules
) -> list[Prediction]:
    """All ways of a packet that a place sends, the likeliest first; their shares add up to 1."""
    found = _Walk(world, router, rules, {}).leave(packet, sender)
    return sorted(found, key=lambda each: -each.share)


def predict_later(
    packet: Packet, first: Prediction, sender: Place, world: World, router: Router, rules: Rules,
    *, reply: bool, replied: bool = True,
) -> list[Prediction]:  # fmt: skip
    """The ways of a later packet of the flow whose first, `packet`, went as predicted: the next in
    its direction, or a `reply`. `replied`: one has been seen by then, so that it is established."""
    flows = {stay.node: _flow(stay, source, reply=reply) for stay, source in _sources(first)}
    packet = replace(packet, ctstate="ESTABLISHED" if replied else "NEW")
    if reply:
        sender = world.places[first.at]
        source, sport = split(first.destination)
        destination, dport = split(first.source)
        dport = dport if packet.protocol != "icmp" else 0
        packet = replace(packet, source=source, sport=sport, destination=destination, dport=dport)
    found = _Walk(world, router, rules, flows).leave(packet, sender)
    return [replace(each, share=each.share * first.share) for each in found]


def ways(
    packet: Packet, which: Which, sender: Place, world: World, router: Router, rules: Rules,
    *, answered: str = "", replied: bool = True,
) -> list[Prediction]:  # fmt: skip
    """All ways of that packet of a flow whose first is `packet`: of a reply, that from `answered`,
    an `address:port`."""
    firsts = predict(packet, sender, world, router, rules)
    if which == "new":
        return firsts
    is_reply = which == "reply"
    return [
        later
        for first in firsts
        if first.verdict == "delivered"
        if not is_reply or first.destination == answered
        for later in predict_later(
            packet, first, sender, world, router, rules, reply=is_reply, replied=replied or is_reply
        )
    ]


def _sources(first: Prediction) -> Iterator[tuple[Stay, str]]:
    """Each stay with the `address:port` that the packet left with."""
    for stay, after in zip_longest(first.stays, first.stays[1:]):
        left = endpoint(after.packet.source, after.packet.sport) if after else first.source
        yield stay, left


def _flow(stay: Stay, left: str, *, reply: bool) -> Flow:
    came, to = stay.packet, stay.outcome.packet
    source, sport = split(left)
    dnat = (came.destination, came.dport) != (to.destination, to.dport)
    snat = came.source != source
    if reply:
        sport = came.sport if came.protocol != "icmp" else 0  # an echo's identifier
        return Flow(came.source, sport, came.destination, came.dport, dnat, snat)
    return Flow(to.destination, to.dport, source, sport, dnat, snat)


class _Going(Struct, frozen=True):
    """A packet on its way: where it has been, and how likely it came so far. `behind` is the pod
    that sends it by its port of a node's bridge, while it is there."""

    packet: Packet
    stays: tuple[Stay, ...] = ()
    share: float = 1.0
    behind: Place | None = None


class _Walk:
    def __init__(
        self, world: World, router: Router, rules: Rules, flows: Mapping[str, Flow]
    ) -> None:
        self._flows = flows
        self._world = world
        self._router = router
        self._rules = rules

    def leave(self, packet: Packet, sender: Place) -> Iterator[Prediction]:
        going = _Going(packet)
        if sender.role == "node":
            yield from self._node(sender.name, "OUTPUT", going)
        elif packet.destination in sender.addresses:
            yield _end("delivered", going, sender.name)
        elif sender.role == "pod" and not self._router.hears(sender.name):
            yield _end("lost", going, sender.name)
        elif sender.role == "pod":
            yield from self._enter(sender.node, POD_BRIDGE, replace(going, behind=sender))
        else:
            yield from self._send_on(sender.name, going)

    def _send_on(self, place: str, going: _Going) -> Iterator[Prediction]:
        """From a machine to whoever is next on its route."""
        way = self._router.way(place, going.packet.destination)
        if way is None:
            yield _end(self._turned_away(self._world.places[place], going), going, place)
            return
        owner = self._owner(way.next_hop)
        if owner is None or owner.name == place:
            yield _end("lost", going, place)
        else:
            link = self._router.arrival(owner.name, way.next_hop)
            yield from self._enter(owner.name, link, going)

    def _turned_away(self, place: Place, going: _Going) -> Verdict:
        """One that forwards says so where it has no route; of IPv6, each machine does."""
        destination = going.packet.destination
        lacks = place.role != "pod" and self._router.way(place.name, destination) is None
        return "refused" if lacks and (":" in destination or place.role == "node") else "lost"

    def _enter(self, place: str, link: str, going: _Going) -> Iterator[Prediction]:
        found = self._world.places.get(place)
        if found is None or len(going.stays) > _MOST_NODES or not self._router.takes(place, link):
            yield _end("lost", going, place)
        elif found.role == "node":
            packet = replace(going.packet, in_interface=link, mark=0, dnat=False, snat=False)
            own = self._router.address_of(place, link, packet.destination)
            packet = replace(packet, link_address=own)
            yield from self._node(place, "PREROUTING", replace(going, packet=packet))
        else:
            owns = going.packet.destination in found.addresses
            if found.role == "pod" and not self._router.hears(place):
                yield _end("lost", going, place)
                return
            yield _end("delivered" if owns else self._turned_away(found, going), going, place)

    def _node(self, node: str, entry: EntryHook, going: _Going) -> Iterator[Prediction]:
        flow = self._flows.get(node)
        packet = replace(going.packet, local=self._world.places[node].local, flow=flow)
        if flow is not None:
            packet = replace(packet, dnat=flow.dnat, snat=flow.snat)
        if entry == "PREROUTING":
            link, to = packet.in_interface, packet.destination
            packet = replace(packet, may_leave_by=self._router.may_leave_by(node, link, to))
        for outcome in self._outcomes(node, entry, packet, going.behind):
            stays = (*going.stays, Stay(node, entry, packet, outcome))
            sent = replace(outcome.packet, shut=frozenset())
            after = _Going(sent, stays, going.share * outcome.probability)
            if outcome.unknown:
                yield _end("open", after, node, outcome.unknown)
            elif outcome.verdict != "ACCEPT":
                yield _end("refused" if outcome.verdict == "REJECT" else "lost", after, node)
            elif outcome.delivered:
                yield _end("delivered", after, node)
            else:
                yield from self._send_on(node, self._masqueraded(node, after))

    def _outcomes(
        self, node: str, entry: EntryHook, packet: Packet, pod: Place | None
    ) -> list[Outcome]:
        """What the rules make of it, and of what comes back to its pod, that pod's port."""

        def simulated(packet: Packet) -> list[Outcome]:
            route = partial(self._link, node)
            return self._rules(node).simulate(packet, entry=entry, route=route)

        found = simulated(packet)
        if packet.may_leave_by is None and (shut := self._turned(node, packet, found)):
            alone = simulated(replace(packet, may_leave_by=frozenset()))
            routed = [one for one in found if one.packet.destination not in shut]
            found = [*routed, *_ended(alone, shut)]
        if pod is not None and (deaf := self._deaf(node, found)):
            return simulated(replace(packet, shut=deaf))
        own = frozenset(pod.addresses) if pod is not None else frozenset()
        comes_back = any(outcome.packet.destination in own for outcome in found)
        if pod is None or not comes_back or self._router.lets_back(pod.name, ":" in packet.source):
            return found
        return simulated(replace(packet, shut=own))

    def _deaf(self, node: str, found: Iterable[Outcome]) -> frozenset[str]:
        """Those ends that a bridge sends nothing to, because that port of it is down."""
        ends = {one.packet.destination: self._owner(one.packet.destination) for one in found}
        pods = {to: one for to, one in ends.items() if one is not None and one.role == "pod"}
        here = {to: one.name for to, one in pods.items() if one.node == node}
        return frozenset(to for to, name in here.items() if not self._router.hears(name))

    def _turned(self, node: str, packet: Packet, found: Iterable[Outcome]) -> Mapping[str, str]:
        """What the node's routes turn away of it behind its first rules: the entry's kind by its
        destination then."""
        link, ends = packet.in_interface, {one.packet.destination for one in found}
        asked = ((to, self._router.turns_away(node, link, packet.source, to)) for to in ends)
        return {to: kind for to, kind in asked if link and kind}

    def _link(self, node: str, destination: str) -> str:
        way = self._router.way(node, destination)
        return way.link if way is not None else ""

    def _masqueraded(self, node: str, going: _Going) -> _Going:
        way = self._router.way(node, going.packet.destination)
        if not going.packet.snat or way is None or going.packet.flow is not None:
            return going
        return replace(going, packet=replace(going.packet, source=way.source))

    def _owner(self, address: str) -> Place | None:
        """Whose an address is; a load balancer's is that of the node which answers for it."""
        name = self._world.owner(address) or self._announcer(address) or ""
        return self._world.places.get(name)

    def _announcer(self, address: str) -> str | None:
        for key, service in self._world.services.items():
            if address in ingress_ips(service):
                return self._world.announcer(key)
        return None


def _ended(found: Iterable[Outcome], shut: Mapping[str, str]) -> Iterator[Outcome]:
    """Those that routes turn away: all but a blackhole say so to who sent it. Of IPv6 a bridge
    drops what has another destination than it came with, without a word."""
    for one in found:
        kind = shut.get(one.packet.destination)
        is_mute = kind == "blackhole" or (one.packet.dnat and ":" in one.packet.destination)
        refuses = one.hook == ROUTING and not is_mute
        if kind:
            yield replace(one, verdict="REJECT") if refuses else one


def _end(verdict: Verdict, going: _Going, at: str, unknown: tuple[str, ...] = ()) -> Prediction:
    packet = going.packet
    source = endpoint(packet.source, packet.sport)
    destination = endpoint(packet.destination, packet.dport)
    return Prediction(verdict, going.share, going.stays, at, source, destination, unknown)


def is_shut_out(prediction: Prediction | None) -> bool:
    """Whether that way ends at a bridge's port, which lets nothing back out."""
    stays = prediction.stays if prediction is not None else ()
    return bool(stays) and stays[-1].outcome.hook == BRIDGE


def supposed_denial(prediction: Prediction | None) -> list[Passage]:
    """The chain whose policy ends that way, as the kernel would tell of it; none of another end."""
    stay = prediction.stays[-1] if prediction is not None and prediction.stays else None
    if stay is None or stay.outcome.verdict != "DROP" or stay.outcome.hook in (ROUTING, BRIDGE):
        return []
    packet, outcome = stay.packet, stay.outcome
    denial = Passage(
        place=stay.node,
        table="filter",
        chain=outcome.hook,
        source=endpoint(packet.source, packet.sport),
        destination=endpoint(outcome.packet.destination, outcome.packet.dport),
        iif=packet.in_interface,
        oif=outcome.packet.out_interface,
        mark=outcome.packet.mark,
        reply=False,
        rules=tuple(map(_met, outcome.rules)),
        verdict="drop",
    )
    return [denial] if denial.is_denied else []


def supposed(prediction: Prediction | None) -> list[Passage]:
    """A way's passages, as the kernel would tell them; none of no way."""
    found: list[Passage] = []
    for stay in prediction.stays if prediction is not None else ():
        packet, mark = stay.packet, stay.packet.mark
        for table, hits in groupby(stay.outcome.rules, key=lambda hit: hit.table):
            met = tuple(map(_met, hits))
            found.append(_supposed(stay.node, packet, mark, met))
            mark = met[-1].mark
            if any(rule.verdict == "accept" for rule in met) and table not in ("filter", "raw"):
                packet = stay.outcome.packet  # translated by now
    return found


def _supposed(node: str, packet: Packet, mark: int, met: tuple[MetRule, ...]) -> Passage:
    return Passage(
        place=node,
        table=met[0].table,
        chain=met[0].chain,
        source=endpoint(packet.source, packet.sport),
        destination=endpoint(packet.destination, packet.dport),
        iif=packet.in_interface,
        oif=packet.out_interface,
        mark=mark,
        reply=False,
        rules=met,
        verdict="",
        state=packet.ctstate.lower(),
    )


def _met(hit: Hit) -> MetRule:
    return MetRule(hit.table, hit.chain, hit.number, hit.rule, hit.verdict, hit.to, mark=hit.mark)
