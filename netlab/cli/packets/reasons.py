"""What `why` sees beside a Service's objects: a packet, and the nodes that it passed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from netlab.cli.packets.nodes_in_force import Nodes
from netlab.diagnosis import in_force, lately, names
from netlab.diagnosis.facts import Cause, Facts, Way
from netlab.diagnosis.in_force import InForce
from netlab.objects import meta
from netlab.objects.lab import Lab
from netlab.objects.pathcheck import PathCheck
from netlab.objects.types import Service, ServicePort
from netlab.pathcheck.decode import split
from netlab.pathcheck.result import CheckResult
from netlab.pathcheck.trial import NothingToAddress
from netlab.pathcheck.why import addresses_of, entrance
from netlab.pathcheck.world import World
from netlab.proxy.addresses import Family
from netlab.trace import evidence
from netlab.trace.answer import Seen
from netlab.trace.session import traced
from netlab.trace.story import Story

_MOST_ENDS = 8


def seen(
    check: PathCheck,
    service: Service,
    world: World,
    facts: Facts,
    lab: Lab,
    directory: Path,
    silent: Sequence[str] = (),
) -> Seen:
    """Send the check's packet, and look at the nodes on its way. A name that leads nowhere is one
    thing, whether the Service's address would, another. `silent` as in `names.unresolved`."""
    story, problem = None, ""
    try:
        story = traced(check, world, lab)
    except NothingToAddress as error:
        problem = error.message
        if check.target.by == "name":
            by_address = replace(check, target=replace(check.target, by="address"))
            with contextlib.suppress(NothingToAddress):
                story = traced(by_address, world, lab)
    nodes = Nodes(lab, world, directory)
    found: list[Cause] = []
    if story is not None:
        found += of_way(story, service, world, nodes, own=story.probe.sport)
    if problem:
        reached = story is not None and story.journey.outcome == "reachable"
        found += names.unresolved(problem, service, facts, silent, reached=reached)
    if story is not None:
        story = story.with_causes(world, facts)
    notes = (*_names(check, world), *_headless(service, story))
    way = Way(entrance=entrance(check, service))
    before = _lately(story, world, facts, found) if story is not None else ()
    return Seen(story, problem, tuple(found), notes, way, lately=tuple(before))


def _lately(story: Story, world: World, facts: Facts, found: Sequence[Cause]) -> Iterator[str]:
    """What was put back on the nodes of its way of which nothing else is said."""
    told = {node for cause in found for node in cause.nodes}
    return lately.put_back(facts, [n for n in _way(story, world) if n not in told], time.time())


def explained(story: Story, world: World, facts: Facts, lab: Lab, directory: Path) -> Story:
    """A story with its causes, of its way and of the lab's objects."""
    story, target = story.with_causes(world, facts), story.check.target
    known = world.services.values()
    service = world.services.get(f"{target.namespace}/{target.service}") or next(
        (one for one in known if story.probe.dst in addresses_of(one)), None
    )
    nodes = Nodes(lab, world, directory)
    if service is None:
        there = nodes.in_force(_way(story, world), None, _family(story))
        found = _network(story, world, nodes, there)
    else:
        found = of_way(story, service, world, nodes)
    return replace(story, causes=tuple(dict.fromkeys((*found, *story.causes)))).with_remedies()


def of_check(
    check: PathCheck, result: CheckResult, world: World, lab: Lab, directory: Path
) -> CheckResult:
    """The result of a check for which no object has a cause, with those of the nodes on its way."""
    target, sender, journey = check.target, check.sender, result.journey
    service = world.services.get(f"{target.namespace}/{target.service}")
    if result.passed or result.causes or service is None:
        return result
    hops = [hop.place for hop in journey.hops] if journey is not None else []
    places = [sender.name, f"{sender.namespace}/{sender.name}", *hops]
    names = [one.node or one.name for each in places if (one := world.places.get(each))]
    families = meta.spec(service).get("ipFamilies") or ["IPv4"]
    family: Family = "ipv6" if families[0] == "IPv6" else "ipv4"
    there = Nodes(lab, world, directory).in_force(names, service, family)
    return replace(result, causes=(*in_force.rules(service, there), *in_force.network(there)))


def of_way(
    story: Story, service: Service, world: World, nodes: Nodes, *, own: int = 0
) -> Iterator[Cause]:
    """What the packet's way and the nodes on it say, the surest first; `own` is the port of a probe
    that is nobody's flow."""
    reached = story.journey.outcome == "reachable"
    yield from evidence.stuck(service, story, world)
    yield from evidence.rules_of_others(story)
    yield from evidence.policies(story)
    yield from evidence.unknown_protocol(story)
    if (port := evidence.hairpin_port(story)) is not None and not nodes.lets_back(*port):
        yield evidence.hairpin(story, *port)
    there = nodes.in_force(_way(story, world), service, _family(story))
    yield from in_force.rules(service, there)
    if not reached:
        yield from _network(story, world, nodes, there)
    if (asked := _port(story, service)) is not None:
        node = world.places[story.sender].node or story.sender
        yield from nodes.stale_flows(node, story.sender, story.probe.src, service, asked, own)


def _network(story: Story, world: World, nodes: Nodes, there: Sequence[InForce]) -> Iterator[Cause]:
    """What of links, routes and sysctls kept it away. A link that is down takes its routes along,
    and to one that does not forward the kernel knows no route."""
    silently = story.journey.outcome == "timeout"
    filtered = silently and story.evidence.dropped in ("", "IP_RPFILTER")
    found = list(in_force.network(there, filtered=filtered))
    known = {node for cause in found for node in cause.nodes}
    ends = [one for one in evidence.nowhere(story) if world.places[one.place].role == "node"]
    lost = [nodes.turned_away(one.place, story.probe.src, one.destination) for one in ends]
    yield from (cause for cause in lost if cause.remedy)
    yield from nodes.pod_links(_pods(story, world))
    yield from found
    yield from (cause for cause in lost if not cause.remedy and not known & {*cause.nodes})


def _pods(story: Story, world: World) -> Iterator[str]:
    """Who sent it, and who was to have it: of many, those where it was likeliest to end."""
    went = story.agreement.prediction
    likeliest = [*([went] if went is not None else []), *story.ends[:_MOST_ENDS]]
    meant = [world.owner(split(end.destination)[0]) or "" for end in likeliest]
    for each in (story.sender, *meant):
        if each in world.places and world.places[each].role == "pod":
            yield each


def _family(story: Story) -> Family:
    return "ipv6" if ":" in story.probe.dst else "ipv4"


def _way(story: Story, world: World) -> Sequence[str]:
    """The nodes that the packet passed, or was to pass."""
    sender = world.places[story.sender]
    met = [hop.place for hop in story.journey.hops]
    to_meet = [stay.node for end in story.ends for stay in end.stays]
    ends = [world.places[end.at].node for end in story.ends if end.at in world.places]
    return [sender.node, sender.name, *met, *to_meet, *ends]


def _port(story: Story, service: Service) -> ServicePort | None:
    """The Service's port that was asked for at its ClusterIP."""
    known: list[Any] = list(meta.spec(service).get("ports") or ())
    return next((one for one in known if one["port"] == story.probe.dport), None)


def _names(check: PathCheck, world: World) -> Iterator[str]:
    """How a pod of another namespace has to call the Service."""
    sender, target = check.sender, check.target
    if sender.is_pod and target.by == "name" and sender.namespace != target.namespace:
        alike = f"{sender.namespace}/{target.service}" in world.services
        other = f"means {target.service}.{sender.namespace}" if alike else "is no name there"
        yield (
            f"in namespace {sender.namespace} its name is {target.service}.{target.namespace}: "
            f"{target.service} alone {other}"
        )


def _headless(service: Service, story: Story | None) -> Iterator[str]:
    """Which port its pods are to be asked at: no rule turns one into another."""
    spec = meta.spec(service)
    if story is None or spec.get("clusterIP") != "None":
        return
    numbers = [one["port"] for one in spec.get("ports") or ()]
    if numbers and story.probe.dport not in numbers:
        yield (
            f"headless: its name gives the pods' own addresses, so ask for their port "
            f"{story.probe.dport}, not {numbers[0]}"
        )
