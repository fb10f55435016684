"""A trace on paper: what the rules would do with a packet, of which none is sent. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from netlab.errors import UsageError
from netlab.network.names import POD_BRIDGE
from netlab.objects.lab import Lab
from netlab.objects.pathcheck import PathCheck
from netlab.pathcheck.decode import endpoint
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Hop, Journey, rewrites
from netlab.pathcheck.trial import CannotRun, NothingToAddress, Trial, plan
from netlab.pathcheck.world import World
from netlab.trace.node_rules import NodeRules, Rules
from netlab.trace.origins import Origin, origin
from netlab.trace.paper_story import OUTCOMES, story, turned
from netlab.trace.passages import MetRule
from netlab.trace.predicted import Prediction, Which, predict, ways
from netlab.trace.routing import Router
from netlab.trace.story import Story, packet_of
from netlab.trace.whynot import why_not

_SOURCE_PORT = 40000


class Asking(Struct, frozen=True):
    """What is asked of the packet, as in a `session.Wish`."""

    source_port: int = 0
    about: str = ""
    ct: Which = "new"


def rehearsed(
    check: PathCheck,
    world: World,
    lab: Lab,
    router: Router,
    family_rules: Callable[[str, bool], NodeRules],
    asked: Asking,
) -> Story:
    """The story of a packet by the rules alone: that of its likeliest end, with all others.

    `NothingToAddress` where no first packet arrives that a later one could follow.
    """
    trial = plan(check, world)
    probe = _probe(trial, router, asked.source_port)

    def rules(node: str) -> NodeRules:
        return family_rules(node, ":" in probe.dst)

    first = predict(packet_of(probe), trial.place, world, router, rules)[0]
    ends = ways(
        packet_of(probe), asked.ct, trial.place, world, router, rules, answered=first.destination
    )
    if not ends:
        raise NothingToAddress(
            f"no packet follows that from {trial.place.name} to {probe.destination}: by the rules "
            f"it is {first.verdict}", hint="trace it: leave --ct away",
        )  # fmt: skip
    sender = first.at if asked.ct == "reply" else trial.place.name
    probe = turned(probe, first) if asked.ct == "reply" else probe
    found = _story(check, probe, sender, ends, world, lab, rules, asked.ct)
    turns = None
    if asked.about:
        turns = tuple(why_not(asked.about, found.there, rules, world, check.sender.namespace))
    return replace(found, name=trial.name, turns=turns)


def _story(
    check: PathCheck, probe: ProbePacket, sender: str, ends: Sequence[Prediction],
    world: World, lab: Lab, rules: Rules, ct: Which,
) -> Story:  # fmt: skip
    def source(rule: MetRule, owner: str | None, came: str, became: str) -> Origin | None:
        return origin(rule, owner, came, became, world)

    went = _journey(probe, sender, ends[0])
    return story(check, probe, sender, went, ends, rules, source, mode=lab.proxy_mode, ct=ct)


def _probe(trial: Trial, router: Router, source_port: int) -> ProbePacket:
    address, port = trial.targets[0]
    if not address:
        text = f"no DNS is asked for {trial.name} on paper"
        raise CannotRun(text, hint="name a Service with an address, or an address")
    place = trial.place
    alike = [each for each in place.addresses if (":" in each) == (":" in address)]
    way = router.way(place.name, address) if place.role != "pod" else None
    source = way.source if way is not None and way.source else (alike or [""])[0]
    if not source:
        raise UsageError(f"{place.name} has no address of the family of {address}")
    return ProbePacket(
        0, trial.protocol.name, source, source_port or _SOURCE_PORT, address, port, 1
    )


def _journey(probe: ProbePacket, sender: str, end: Prediction) -> Journey:
    start = Hop(sender, "", probe.source, probe.destination)
    hops = tuple(_hops(end))
    arrived = end.verdict == "delivered"
    if arrived:
        hops = (*hops, Hop(end.at, "", end.source, end.destination))
    return Journey(
        probe=probe,
        outcome=OUTCOMES.get(end.verdict, "timeout"),
        hops=hops,
        dnats=rewrites((start, *hops), lambda hop: hop.destination),
        snats=rewrites((start, *hops), lambda hop: hop.source),
        delivered=end.destination if arrived else None,
        delivered_at=end.at if arrived else None,
        seen_source=end.source.rpartition(":")[0].strip("[]") if arrived else None,
        note="a rule that nobody here understands decides" if end.verdict == "open" else "",
    )


def _hops(end: Prediction) -> Iterator[Hop]:
    sources = [endpoint(stay.packet.source, stay.packet.sport) for stay in end.stays[1:]]
    for stay, source in zip(end.stays, (*sources, end.source), strict=True):
        came, left = stay.packet, stay.outcome.packet
        if came.in_interface:
            there = endpoint(came.destination, came.dport)
            yield Hop(stay.node, came.in_interface, endpoint(came.source, came.sport), there)
        if stay.outcome.verdict == "ACCEPT" and not stay.outcome.delivered:
            there = endpoint(left.destination, left.dport)
            yield Hop(stay.node, left.out_interface or POD_BRIDGE, source, there)
