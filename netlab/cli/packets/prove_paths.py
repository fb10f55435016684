"""Where packets go from each node of a lab, for proofs of all nodes together: as it is planned, or
as their kernels have it."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from netlab.network.model import Route
from netlab.network.names import POD_BRIDGE
from netlab.objects.loadbalancing import ingress_ips
from netlab.prove.ground import Leg, Node
from netlab.trace.routing import Router

if TYPE_CHECKING:
    from netlab.network.model import Namespace, Network
    from netlab.objects.lab import Lab
    from netlab.pathcheck.world import Place, World
    from netlab.prove.intake import Save

_EVERYWHERE = ("0.0.0.0/0", "::/0")


class Paths:
    """The legs of every node of a lab; `cut` are links that nothing comes in by, of places."""

    def __init__(
        self, world: World, router: Router, lab: Lab, cut: frozenset[tuple[str, str]] = frozenset()
    ) -> None:
        self._world, self._router, self._cut = world, router, cut
        self._pods = {node.name: tuple(node.pod_cidrs) for node in lab.nodes}

    def node(self, name: str, save: Save) -> Node:
        """A node with its rules, as proofs take it."""
        links = [one.name for one in self._router.namespaces[name].links if one.name != "lo"]
        still = [one for one in links if not self._router.forwards(name, one, False)]
        local = tuple(sorted(self._world.places[name].local))
        routes = tuple(self._router.routes(name))
        legs = tuple(self._legs(name))
        pods = self._pods.get(name, ())
        return Node(name, (save,), local, routes, legs, tuple(still), (POD_BRIDGE,), pods)

    def _legs(self, name: str) -> Iterator[Leg]:
        for to, link, gateway in self._router.hops(name):
            network = str(ipaddress.ip_interface(to).network)
            if gateway is not None:
                yield from self._by(name, gateway, network, link)
                continue
            for address, place in self._on_link(network):
                if place.name != name:
                    full = str(ipaddress.ip_network(address))
                    yield from self._by(name, address, full, link, place)
            yield Leg(network, link, end="lost", why=f"nobody on {link} of {name} has the address")
        for everything in _EVERYWHERE:
            yield Leg(everything, end="rejected", why=f"no route from {name}")

    def _on_link(self, network: str) -> Iterator[tuple[str, Place]]:
        """Everybody whose address is in a network, those that answer for a load balancer's too."""
        inside = ipaddress.ip_network(network)
        for place in self._world.places.values():
            for address in place.addresses:
                if ipaddress.ip_address(address) in inside:
                    yield address, place
        for key, service in self._world.services.items():
            for address in ingress_ips(service):
                if ipaddress.ip_address(address) in inside:
                    found = self._world.places.get(self._world.announcer(key) or "")
                    if found is not None:
                        yield address, found

    def _by(
        self, name: str, next_hop: str, to: str, link: str, place: Place | None = None
    ) -> Iterator[Leg]:
        """What goes to a network by way of an address on a link."""
        there = place or self._world.places.get(self._world.owner(next_hop) or "")
        way = self._router.way(name, next_hop)
        source = way.source if way is not None else ""
        arrives = self._router.arrival(there.name, next_hop) if there is not None else ""
        if there is None or there.name == name:
            yield Leg(to, link, end="lost", why=f"nobody on {link} of {name} has {next_hop}")
        elif (there.name, arrives) in self._cut:
            yield Leg(to, link, end="lost", why=f"{arrives} of {there.name} is down")
        elif there.role == "node":
            yield Leg(to, link, there.name, arrives or link, source)
        else:
            yield from self._ends(there, to, link)

    def _ends(self, there: Place, to: str, link: str) -> Iterator[Leg]:
        """At a place that hands nothing on."""
        network = ipaddress.ip_network(to)
        why = f"{there.name} hands nothing on"
        end = "rejected" if network.version == 6 else "lost"
        for address in there.addresses:
            if ipaddress.ip_address(address) in network:
                full = str(ipaddress.ip_network(address))
                yield Leg(full, link, there.name, end="delivered")
        for known, _, _ in self._router.hops(there.name) if network.version == 6 else ():
            inside = ipaddress.ip_interface(known).network
            if inside.version == 6 and inside.subnet_of(network):  # type: ignore[arg-type]
                yield Leg(str(inside), link, end="lost", why=why)
        yield Leg(to, link, end=end, why=why)


# -- as kernels have it --------------------------------------------------------------------


def paths_in_force(world: World, lab: Lab, directory: Path) -> Paths:
    """By the routes, links and sysctls that the running lab's machines have."""
    from netlab.network import plan, read
    from netlab.objects.nodes import now
    from netlab.trace.asking import forwards

    planned = plan.cluster(now(lab, world.nodes))
    found = read.state(planned, directory, rules=False, sysctls=False)
    places = {
        plan.node_name(lab, place.name): place
        for place in world.places.values()
        if place.role != "pod"
    }
    namespaces = {
        place.name: _with_routes(found[name], place.netns)
        for name, place in places.items()
        if name in found
    }
    cut = {
        (places[namespace].name, link)
        for namespace, link in _down(planned, found)
        if namespace in places
    }
    return Paths(world, Router(namespaces, forwards(world)), lab, frozenset(cut))


def _with_routes(namespace: Namespace, netns: Path | int) -> Namespace:
    """With all routes that its kernel has, whoever made them, but those that addresses make."""
    from netlab.kernel.run import run

    found: list[Route] = []
    for version, everywhere in zip(("-4", "-6"), _EVERYWHERE, strict=True):
        told = run(["ip", "-j", version, "route", "show", "table", "main"], netns=netns).stdout
        for one in json.loads(told or "[]"):
            to = everywhere if one["dst"] == "default" else one["dst"]
            if one.get("protocol") != "kernel" and one.get("dev") and "type" not in one:
                found.append(Route(to, one["dev"], one.get("gateway")))
    return replace(namespace, routes=tuple(found))


def _down(planned: Network, found: Mapping[str, Namespace]) -> Iterator[tuple[str, str]]:
    """The links, each with its namespace, that nothing comes in by: they are down, or the other
    end is."""
    for namespace in planned.namespaces:
        there = found.get(namespace.name)
        for link in namespace.links:
            one = there.find(link.name) if there is not None else None
            if one is None or not one.up:
                yield namespace.name, link.name
                if link.peer is not None:
                    yield link.peer.namespace, link.peer.name
