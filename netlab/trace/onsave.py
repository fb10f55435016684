"""A trace by a save: what a real node's rules do with a packet, and what no save tells. Pure.

A save has no routes, no links, no listeners, and ipsets only where `ipset save` is given as well.
What rules ask of them is tried both ways; where that makes no difference the answer holds, else it
stays open, and it is told what on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from netlab.diagnosis.facts import Cause
from netlab.objects import meta
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.pathcheck import PathCheck, Sender, Target
from netlab.pathcheck.decode import endpoint
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Hop, Journey, rewrites
from netlab.pathcheck.trial import NothingToAddress
from netlab.pathcheck.world import World
from netlab.saves.save import SavedRules
from netlab.simulation.hooks import EntryHook
from netlab.simulation.ipset import IpSets
from netlab.simulation.knowledge import UNTOLD, Known, comes_in_by
from netlab.simulation.packet import Outcome, Packet
from netlab.simulation.suppositions import Case, cases
from netlab.trace.origins import Origin, Where, origin
from netlab.trace.paper_story import OUTCOMES, story
from netlab.trace.passages import MetRule
from netlab.trace.predicted import Prediction, Stay, Which
from netlab.trace.saved_flow import STAND_INS, Flowing, Sent
from netlab.trace.saved_rules import RulesOfSave
from netlab.trace.saved_untold import hidden, not_understood, untold, verdict
from netlab.trace.story import Story, Untold, packet_of


class Node(Struct, frozen=True):
    """The node that a save is of: its name, its own addresses as far as they are known, addresses
    that are not its own, and the links that the packet comes and leaves by, "" where that is not
    known; in `networks` it has no address."""

    name: str
    local: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()
    comes_in_by: str = ""
    leaves_by: str = ""
    networks: tuple[str, ...] = ()


def told(
    probe: ProbePacket,
    saved: SavedRules,
    node: Node,
    world: World,
    files: Sequence[str],
    find: Where | None = None,
    ct: Which = "new",
) -> Story:
    """The story of a packet by a save's rules. One from an address of the node's is sent by itself;
    any other comes in from elsewhere. `find` tells where an object's field is written; `ct` which
    packet of the flow that `probe` begins it is. `NothingToAddress` where none follows that."""
    rules = RulesOfSave(saved)
    entry: EntryHook = "OUTPUT" if probe.src in node.local else "PREROUTING"
    packet = _packet(probe, node, entry, saved.known_sets())
    flow = _flow(rules, entry, packet, node, ct, probe)
    found = cases(lambda one: [each.outcome for each in flow.sent(one)], packet)
    chosen = max(found, key=_steps)  # of those alike the first, where least is so
    sent = _sent(flow, packet, chosen)
    if not any(not each.first for each in sent):
        raise _nothing_follows(probe, sent[0].outcome)
    ends = [_prediction(each.outcome, each.entry, each.packet, node, world) for each in sent]
    told_of = probe if ct == "new" else _probe_of(sent[0].packet, probe, node)
    went = _journey(told_of, node, ends[0])

    def source(rule: MetRule, owner: str | None, came: str, became: str) -> Origin | None:
        found = origin(rule, owner, came, became, world)
        if found is None or find is None:
            return found
        return replace(found, where=find(found.kind, found.key, found.field))

    of_link = _open_links(
        replace(packet, known=sent[0].packet.known),
        node,
        lambda one: [each.outcome for each in flow.sent(one)],
    )
    open_ = (*untold(found, chosen, rules), *hidden(sent[0], rules), *of_link)
    told = story(
        PathCheck("", Sender("node", node.name), Target(address=probe.dst)),
        told_of,
        world.owner(told_of.src) or "",
        went,
        ends,
        lambda _: rules,
        source,
        mode=saved.mode,
        ct=ct,
        unknown=[each.fact for each in open_ if each.matters],
    )
    outcomes = [each.outcome for each in sent]
    return replace(
        told,
        files=tuple(files),
        untold=(*open_, *not_understood(outcomes, rules)),
        causes=tuple(_causes(probe, went, world)) if ct == "new" else (),
        unsaved=tuple(_unsaved(saved)),
    )


def _flow(
    rules: RulesOfSave, entry: EntryHook, packet: Packet, node: Node, ct: Which, probe: ProbePacket
) -> Flowing:
    """What is walked; of a reply, who answers is what the first packet's likeliest end says."""
    addresses = tuple(sorted(each for each in node.local if not _is_loopback(each)))
    first = Flowing(rules, entry, "new", addresses)
    if ct != "reply":
        return replace(first, which=ct)
    found = cases(lambda one: [each.outcome for each in first.sent(one)], packet)
    end = max(found, key=_steps).outcomes[0]
    if verdict(end) not in ("delivered", "open"):
        raise _nothing_follows(probe, end)
    return replace(first, which=ct, answered=endpoint(end.packet.destination, end.packet.dport))


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _sent(flow: Flowing, packet: Packet, chosen: Case) -> list[Sent]:
    """All ends of the case that is told."""
    known = packet.known or Known()
    for fact, so in chosen.supposed:
        known = known.supposing(fact, so=so)
    return flow.sent(replace(packet, known=known))


def _nothing_follows(probe: ProbePacket, first: Outcome) -> NothingToAddress:
    said = {"lost": "dropped"}.get(verdict(first), verdict(first))
    text = f"no packet follows that from {probe.source} to {probe.destination}: by the rules it is"
    return NothingToAddress(f"{text} {said}", hint="trace it: leave --ct away")


def _probe_of(packet: Packet, probe: ProbePacket, node: Node) -> ProbePacket:
    """The packet that is told about, in words for an address that nobody knows."""
    to = f"an address of {node.name}" if packet.destination in STAND_INS else packet.destination
    return replace(probe, src=packet.source, sport=packet.sport, dst=to, dport=packet.dport)


def _unsaved(saved: SavedRules) -> Iterator[str]:
    """Each program knows its own rules alone."""
    if not saved.tables:
        yield "nftables' own tables"
    if not saved.ruleset.tables:
        yield "rules of legacy iptables"


def _causes(probe: ProbePacket, went: Journey, world: World) -> Iterator[Cause]:
    """Why a Service's address leads nowhere, where no rule translated it."""
    if went.dnats or went.delivered is None:
        return
    for key, service in world.services.items():
        spec = meta.spec(service)
        own = (*(spec.get("clusterIPs") or ()), *(spec.get("externalIPs") or ()))
        if probe.dst not in (*own, *ingress_ips(service)):
            continue
        ports = [(one["port"], one.get("protocol") or "TCP") for one in spec.get("ports") or ()]
        asked = f"{probe.dport}/{probe.proto.upper()}"
        if (probe.dport, probe.proto.upper()) in ports:
            said = f"Service {key} has {probe.dst}, port {asked}, and no rule here is for it"
            yield Cause("NoRule", said, remedy="netlab proxy diff -f OBJECTS --save SAVE")
        else:
            known = ", ".join(f"{port}/{protocol}" for port, protocol in ports) or "none"
            yield Cause("NoSuchPort", f"Service {key} has no port {asked}: it has {known}")


def _steps(case: Case) -> int:
    """How much happens in it: a later packet of a flow is more than none, to be translated more
    than to be let pass."""
    return max(
        len(each.rules) + 1000 * each.packet.dnat + 10_000 * (each.packet.ctstate != "NEW")
        for each in case.outcomes
    )


def _packet(probe: ProbePacket, node: Node, entry: EntryHook, sets: IpSets) -> Packet:
    inside = entry == "OUTPUT"
    foreign = node.foreign if inside else node.foreign | {probe.src}
    lo = frozenset() if inside else frozenset({comes_in_by("lo")})
    protocol = "ipv6-icmp" if probe.proto == "icmp" and ":" in probe.dst else probe.proto
    link_address = "" if inside else _link_address(node, probe.dst)
    return replace(
        packet_of(probe),
        link_address=link_address,
        protocol=protocol,
        in_interface="" if inside else node.comes_in_by or UNTOLD,
        out_interface=node.leaves_by or UNTOLD,
        local=node.local | frozenset(filter(None, [link_address])),
        known=Known(foreign=foreign - node.local, not_so=lo, networks=node.networks, ipsets=sets),
    )


def _link_address(node: Node, to: str) -> str:
    """Of the link that a packet comes in by, which REDIRECT gives it: of several nobody told it."""
    known = [each for each in node.local if not _is_loopback(each) and (":" in each) == (":" in to)]
    return known[0] if len(known) == 1 else STAND_INS[":" in to]


def _open_links(
    packet: Packet, node: Node, simulate: Callable[[Packet], Sequence[Outcome]]
) -> Iterator[Untold]:
    """Which address the link has, where rules make different things of a packet for one."""
    if packet.link_address not in STAND_INS:
        return
    found = simulate(packet)
    if all(each.packet.destination != packet.link_address for each in found):
        return
    six = ":" in packet.link_address
    known = [one for one in node.local if (":" in one) == six and not _is_loopback(one)]
    ends = {address: _ends(simulate(replace(packet, link_address=address))) for address in known}
    if any(end != _ends(found) for end in ends.values()):
        fact = f"what address of {node.name} the link has that it comes in by"
        yield Untold(fact, "REDIRECT gives it that one", matters=True)


def _ends(outcomes: Iterable[Outcome]) -> list[tuple[str, float]]:
    return [(verdict(each), each.probability) for each in outcomes]


def _prediction(
    outcome: Outcome, entry: EntryHook, packet: Packet, node: Node, world: World
) -> Prediction:
    said = verdict(outcome)
    after = outcome.packet
    destination = endpoint(after.destination, after.dport)
    if packet.link_address in STAND_INS and after.destination == packet.link_address:
        destination = endpoint(f"an address of {node.name}", after.dport)
    source = endpoint(after.source, after.sport)
    if outcome.masqueraded and after.source == packet.source:
        source = f"an address of {node.name}"
    at = node.name
    if said == "delivered" and not outcome.delivered:
        at = world.owner(after.destination) or ""
    stay = Stay(node.name, entry, _bare(packet), replace(outcome, packet=_bare(after)))
    return Prediction(said, outcome.probability, (stay,), at, source, destination, outcome.unknown)


def _bare(packet: Packet) -> Packet:
    """As it is told: a link that nobody knows has no name."""
    links = (packet.in_interface, packet.out_interface)
    came, left = ("" if link == UNTOLD else link for link in links)
    return replace(packet, in_interface=came, out_interface=left)


def _journey(probe: ProbePacket, node: Node, end: Prediction) -> Journey:
    stay = end.stays[0]
    outcome = stay.outcome
    arrived = end.verdict == "delivered"
    hops = [Hop(node.name, stay.packet.in_interface, probe.source, probe.destination)]
    if outcome.verdict == "ACCEPT" and not outcome.delivered:
        hops.append(Hop(node.name, outcome.packet.out_interface, end.source, end.destination))
    elif outcome.verdict == "ACCEPT":
        hops.append(Hop(node.name, "", end.source, end.destination))
    start = Hop(node.name, "", probe.source, probe.destination)
    return Journey(
        probe=probe,
        outcome=OUTCOMES.get(end.verdict, "timeout"),
        hops=tuple(hops),
        dnats=rewrites((start, *hops), lambda hop: hop.destination),
        snats=rewrites((start, *hops), lambda hop: hop.source),
        delivered=end.destination if arrived else None,
        delivered_at=end.at if arrived else None,
        seen_source=outcome.packet.source if arrived and not outcome.masqueraded else None,
    )
