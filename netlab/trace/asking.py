"""The kernels of the machines that a packet passed, asked of its connection and of its way on.

What is asked is what a capture or a rule's trace has shown: the addresses that the packet had.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from netlab.kernel import conntrack, sysctl
from netlab.kernel.routes import Route, Routing
from netlab.kernel.run import run
from netlab.network import read
from netlab.network.model import Namespace
from netlab.pathcheck.decode import split
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Hop, Journey
from netlab.pathcheck.world import World
from netlab.trace.passages import Passage
from netlab.trace.way import NOWHERE, Decision, Tracked

_TRANSLATED = re.compile(r"(?:--to-destination|dnat to) (?:\[([0-9a-f:]+)\]|([0-9.]+))")


def forwards(world: World) -> Callable[[str, str, bool], bool]:
    """Whether a place hands on what comes in by a link: as its kernel has it, asked once."""

    @cache
    def asked(place: str, link: str, v6: bool) -> bool:
        name = "net.ipv6.conf.all" if v6 else f"net.ipv4.conf.{link.replace('.', '/')}"
        return sysctl.get(world.places[place].netns, f"{name}.forwarding") != "0"

    return asked


def lets_back(world: World) -> Callable[[str, bool], bool]:
    """Whether the port of a pod lets out again what came in by it, or no bridge is asked: where it
    does not have rules asked, the packet goes by its node's own routes. Asked once."""

    @cache
    def asked(pod: str, v6: bool) -> bool:
        place = world.places[pod]
        node = world.places[place.node].netns
        if sysctl.get(node, f"net.bridge.bridge-nf-call-ip{'6' if v6 else ''}tables") == "0":
            return True
        links = json.loads(run(["ip", "-j", "link", "show"], netns=place.netns).stdout)
        peers = {link.get("link_index") for link in links}
        ports = json.loads(run(["bridge", "-d", "-j", "link", "show"], netns=node).stdout)
        return all(port.get("hairpin") for port in ports if port["ifindex"] in peers)

    return asked


def turns_away(world: World) -> Callable[[str, str, str, str], str]:
    """The kind of the entry by which a place's routes turn such a packet away, "" for none: as its
    kernel says, asked once."""

    @cache
    def asked(place: str, link: str, source: str, destination: str) -> str:
        with Routing(world.places[place].netns) as kernel:
            if not kernel.has(link):
                return ""
            kind = kernel.route(destination, source=source, iif=link).kind
        return kind if kind in NOWHERE else ""

    return asked


def link_faults(netns: Path | int) -> list[str]:
    """What is amiss of the links of a pod, as its kernel has them."""
    found = []
    for link in json.loads(run(["ip", "-j", "link", "show"], netns=netns).stdout):
        if "LOOPBACK" not in link["flags"] and "UP" not in link["flags"]:
            found.append(f"{link['ifname']} is down")
        elif "LOOPBACK" not in link["flags"] and "LOWER_UP" not in link["flags"]:
            found.append(f"{link['ifname']}'s port on the node is down")
    return found


def hears(world: World) -> Callable[[str], bool]:
    """Whether the links of a pod are up at both ends. Asked once."""

    @cache
    def asked(pod: str) -> bool:
        return not link_faults(world.places[pod].netns)

    return asked


def networks(planned: Mapping[str, Namespace], world: World) -> dict[str, Namespace]:
    """The links and the routes that machines have, instead of those that they are planned to."""
    return {
        name: read.as_planned(world.places[name].netns, one, sysctls=False)
        for name, one in planned.items()
    }


def tracked(went: Journey, world: World, sender: str) -> Iterator[Tracked]:
    """What each machine that it passed remembers of it. Pods translate nothing, and are not asked.

    The packet is known there as it came in.
    """
    probe = went.probe
    for place in _places(went, sender):
        if world.places[place].role == "pod":
            continue
        first = next((hop for hop in went.hops if hop.place == place), None)
        came = (probe.source, probe.destination)
        if first is not None and place != sender:
            came = (first.source, first.destination)
        original = _tuple(probe, *came)
        found = conntrack.connection(world.places[place].netns, probe.proto, original)
        yield Tracked(place, found)


def _tuple(probe: ProbePacket, source: str, destination: str) -> conntrack.Tuple:
    (src, sport), (dst, dport) = split(source), split(destination)
    return conntrack.Tuple(src, sport or probe.sport, dst, dport)


def decisions(
    went: Journey, passages: Sequence[Passage], world: World, sender: str
) -> Iterator[Decision]:
    """Where each place that it passed sends it; the passages are its own, not its answer's."""
    for place in _places(went, sender):
        there = [one for one in passages if one.place == place]
        hops = [hop for hop in went.hops if hop.place == place]
        became = _lost_translated(hops, there)
        if became == "":
            continue
        with Routing(world.places[place].netns) as kernel:
            asked = _Asked(kernel, place, hops, there, went.probe, begins=place == sender)
            yield asked.decision(became)


def _lost_translated(hops: Sequence[Hop], there: Sequence[Passage]) -> str | None:
    """The destination that a rule gave to a packet which nothing saw again there, "" for one that
    no rule says; None if none did."""
    texts = [rule.text for rule in there[-1].rules] if there else []
    if not any("DNAT" in text or "dnat to" in text for text in texts):
        return None
    if any(hop.destination != there[-1].destination for hop in hops):
        return None
    found = [one[1] or one[2] for text in texts if (one := _TRANSLATED.search(text))]
    return found[-1] if found else ""


def _places(went: Journey, sender: str) -> list[str]:
    return list(dict.fromkeys((sender, *(hop.place for hop in went.hops))))


class _Asked:
    """One place's kernel, and what was seen of the packet there."""

    def __init__(
        self,
        kernel: Routing,
        place: str,
        hops: Sequence[Hop],
        there: Sequence[Passage],
        probe: ProbePacket,
        *,
        begins: bool,
    ) -> None:
        self._kernel = kernel
        self._place = place
        self._links = list(dict.fromkeys(hop.ifname for hop in hops if kernel.has(hop.ifname)))
        self._begins = begins
        was = hops[0].destination if hops and not begins else probe.destination
        ends = [*(hop.destination for hop in hops), *(one.destination for one in there)]
        known = [end for end in ends if end != was]
        self._destination = split(known[-1] if known else was)[0]
        self._source = split(hops[0].source)[0] if hops and not begins else ""
        self._mark = next((one.mark for one in there if one.oif), 0)

    def decision(self, became: str | None = None) -> Decision:
        """Of a packet that `became` for another destination where nothing saw it again, that."""
        self._destination = became or self._destination
        came = "" if self._begins or not self._links else self._links[0]
        bridge = self._kernel.bridge_of(came) if came else ""
        if bridge and len(self._links) > 1 and bridge not in self._links:
            return self._bridged(bridge)
        route = self._kernel.route(
            self._destination, source=self._source, iif=bridge or came, mark=self._mark
        )
        if route.kind != "unicast" or not route.link:
            return Decision(self._place, self._destination, route)
        return self._next(route)

    def _bridged(self, bridge: str) -> Decision:
        """From one port to another, past the machine's routes."""
        return Decision(self._place, self._destination, None, bridge=bridge, port=self._links[-1])

    def _next(self, route: Route) -> Decision:
        to = route.gateway or self._destination
        found = self._kernel.neighbour(route.link, to)
        port = self._kernel.port_of(route.link, found.mac) if found.mac else ""
        bridge = route.link if port else ""
        return Decision(
            self._place, self._destination, route, to, found.mac, found.known, bridge, port
        )
