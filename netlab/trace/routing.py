"""Where a packet goes from a machine: by its routes as they are planned, as its kernel decides.

The longest prefix wins; on-link networks are those of the links' own addresses. Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from msgspec import Struct

from netlab.network import plan as networks
from netlab.network.model import Link, Namespace
from netlab.objects.lab import Lab
from netlab.objects.nodes import now
from netlab.pathcheck.world import World

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NextHop(Struct, frozen=True):
    """The link that a packet leaves by, the next machine's address, and the source it would have
    if it began here, which is also whom it is masqueraded as."""

    link: str
    next_hop: str
    source: str


Forwards = Callable[[str, str, bool], bool]
"""Whether a place hands on what comes in by a link; of IPv6, if so."""


def _all_do(place: str, link: str, v6: bool) -> bool:
    """As nodes are planned."""
    del place, link, v6
    return True


LetsBack = Callable[[str, bool], bool]
"""Whether what a pod sends is let out again by the port of its node's bridge that it came in by; of
IPv6, if so."""


def _hairpin(pod: str, v6: bool) -> bool:
    """As pods are planned."""
    del pod, v6
    return True


TurnsAway = Callable[[str, str, str, str], str]
"""The kind of the entry by which a place's routes turn away what came in by a link from a source to
a destination; "" where none does."""


def _none_does(place: str, link: str, source: str, destination: str) -> str:
    """As routes are planned."""
    del place, link, source, destination
    return ""


Hears = Callable[[str], bool]
"""Whether a pod is on its link: it takes what comes by it, and what it sends gets away."""


def _all_hear(pod: str) -> bool:
    """As pods are planned."""
    del pod
    return True


class Router(Struct, frozen=True):
    """The namespaces of machines by the name of the place, which of them forward, which pods' ports
    let back, what routes turn away, and which pods are on their links."""

    namespaces: Mapping[str, Namespace]
    forwards: Forwards = _all_do
    lets_back: LetsBack = _hairpin
    turns_away: TurnsAway = _none_does
    hears: Hears = _all_hear

    def takes(self, place: str, link: str) -> bool:
        """Whether a link of a machine takes what comes in by it: one that is down does not."""
        namespace = self.namespaces.get(place)
        found = namespace.find(link) if namespace is not None and link else None
        return found is None or found.up

    def way(self, place: str, destination: str) -> NextHop | None:
        """None where there is no route."""
        namespace = self.namespaces.get(place)
        if namespace is None:
            return None
        address = ipaddress.ip_address(destination)
        fitting = [one for one in _routes(namespace) if address in _network(one[0])]
        if not fitting:
            return None
        _, link, gateway = max(fitting, key=lambda one: _network(one[0]).prefixlen)
        next_hop = gateway or destination
        return NextHop(link, next_hop, _source(namespace.link(link), next_hop))

    def may_leave_by(self, place: str, link: str, destination: str) -> frozenset[str] | None:
        """The links by which what came in by one goes on; None for all. Without forwarding that is
        a bridge between whose ports it goes."""
        if not link or self.forwards(place, link, ":" in destination):
            return None
        namespace = self.namespaces.get(place)
        bridges = [one.name for one in namespace.links if one.kind == "bridge"] if namespace else ()
        return frozenset(bridges) & {link}

    def routes(self, place: str) -> list[tuple[str, str]]:
        """Every network that a place has a route to, with the link."""
        namespace = self.namespaces.get(place)
        return [(to, link) for to, link, _ in _routes(namespace)] if namespace is not None else []

    def hops(self, place: str) -> Iterator[tuple[str, str, str | None]]:
        """The same, each with the gateway, None where who is meant is on the link itself."""
        namespace = self.namespaces.get(place)
        yield from _routes(namespace) if namespace is not None else ()

    def arrival(self, place: str, next_hop: str) -> str:
        """The link of a machine at which a packet for one of its addresses, or one behind it, comes
        in from the network that this address is in; "" for none."""
        namespace = self.namespaces.get(place)
        for link in namespace.links if namespace is not None else ():
            if any(_inside(next_hop, each) for each in link.addresses):
                return link.name
        return ""

    def address_of(self, place: str, link: str, like: str) -> str:
        """The machine's first address on a link, of the same family as `like`; "" for none."""
        namespace = self.namespaces.get(place)
        found = namespace.find(link) if namespace is not None else None
        for each in found.addresses if found is not None else ():
            if (":" in each) == (":" in like):
                return each.partition("/")[0]
        return ""


def router_of(world: World, lab: Lab) -> Router:
    """By the routes that a lab's machines have as they are planned."""
    planned = {each.name: each for each in networks.cluster(now(lab, world.nodes)).namespaces}
    machines = [place.name for place in world.places.values() if place.role != "pod"]
    return Router({name: planned[networks.node_name(lab, name)] for name in machines})


def _routes(namespace: Namespace) -> Iterator[tuple[str, str, str | None]]:
    """(network, link, gateway) of all routes, those that addresses make too."""
    for link in namespace.links:
        for each in link.addresses if link.up else ():
            if each not in link.unrouted:
                yield each, link.name, None
    for route in namespace.routes:
        yield route.destination, route.link, route.gateway


def _source(link: Link, next_hop: str) -> str:
    """The link's address that is in the next machine's network, or its first of that family."""
    same = [each for each in link.addresses if (":" in each) == (":" in next_hop)]
    near = [each for each in same if _inside(next_hop, each)]
    return (near or same or [""])[0].partition("/")[0]


def _inside(address: str, interface: str) -> bool:
    return ipaddress.ip_address(address) in _network(interface)


@lru_cache(maxsize=10_000)
def _network(text: str) -> _Network:
    return ipaddress.ip_network(text, strict=False)
