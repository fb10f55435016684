"""What is in force on the nodes of a packet's way, read there and held against what is to be."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from netlab.agents.node_proxier import proxy_config
from netlab.conntrack import parsed
from netlab.diagnosis import routes
from netlab.diagnosis.facts import Cause
from netlab.diagnosis.flows import stale
from netlab.diagnosis.in_force import InForce, RuleGap, Setting, matters, pod_link
from netlab.kernel import paths
from netlab.kernel.run import run
from netlab.network import diff, findings, plan, read, settings
from netlab.network.model import Namespace, Network
from netlab.network.model import Sysctl as Wanted
from netlab.network.operations import AddAddress, AddRoute, Operation, SetMaster, SetUp
from netlab.objects import meta
from netlab.objects.endpointslices import service_key
from netlab.objects.lab import Lab
from netlab.objects.nodes import is_left, standing
from netlab.objects.types import Service, ServicePort
from netlab.pathcheck.world import World
from netlab.proxy import modes
from netlab.proxy.addresses import Family
from netlab.proxy.difference import Difference
from netlab.proxy.node_view import node_view
from netlab.trace import asking


class Nodes:
    """The nodes of a running lab, to be looked into."""

    def __init__(self, lab: Lab, world: World, directory: Path) -> None:
        self._lab, self._world, self._directory = lab, world, directory
        there = standing(lab, world.nodes)
        self._machines = {node.name: node for node in there.nodes}
        self._network = plan.cluster(lab, there.nodes, there.off)

    def in_force(
        self, names: Sequence[str], service: Service | None, family: Family
    ) -> list[InForce]:
        """What differs on each of these nodes, of rules if they are those of a Service; of those
        that are off, nothing is said."""
        known = [name for name in dict.fromkeys(names) if name in self._machines]
        words = self._links(known)
        objects = {meta.name(node): node for node in self._world.nodes}
        found = []
        for name in known:
            gaps, has_rules = self._gaps(name, service, family) if service else ((), True)
            found.append(
                InForce(
                    node=name,
                    has_rules=has_rules,
                    gaps=gaps,
                    settings=tuple(self._settings(name)),
                    links=words.get(plan.node_name(self._lab, name), ""),
                    rules_left=is_left(objects.get(name), "rules"),
                    network_left=is_left(objects.get(name), "network"),
                )
            )
        return found

    # -- rules -----------------------------------------------------------------------------

    def _gaps(
        self, name: str, service: Service, family: Family
    ) -> tuple[tuple[RuleGap, ...], bool]:
        """What of the Service's rules, and of those all share, is not as it is to be; whether any
        of the Service's is there."""
        mode = modes.of(self._lab.proxy_mode)
        node = next((one for one in self._world.nodes if meta.name(one) == name), None)
        view = node_view(node, proxy_config(self._lab, self._machines[name]), family)
        few = len(self._world.services) <= _MANY
        services = list(self._world.services.values()) if few else [service]
        wanted = mode.assemble(mode.compile_services(services, self._world.slices, view), view)
        found = mode.applier(self._lab.iptables, family, self._netns(name)).read()
        mine = _of(service, mode.diff(wanted, found))
        if not mine:
            return (), True
        bare = _of(service, mode.diff(wanted, mode.assemble([], view)))
        lost = {_key(one) for one in mine if one.kind == "missing" and one.service is not None}
        whole = {_key(one) for one in bare if one.kind == "missing" and one.service is not None}
        gaps = tuple(RuleGap(one.kind, one.table, one.chain, one.wanted, one.found) for one in mine)
        return gaps, not (whole and whole <= lost)

    def _netns(self, name: str) -> Path:
        return paths.namespace(self._directory, plan.node_name(self._lab, name))

    # -- network ---------------------------------------------------------------------------

    def _settings(self, name: str) -> Iterator[Setting]:
        """The sysctls of a node that keep packets away; each link's own where the node's is on."""
        planned = self._network.namespace(plan.node_name(self._lab, name))
        wanted = [*(one for one in planned.sysctls if matters(one.name)), *_of_links(planned)]
        there = read.namespace(self._netns(name), planned.name, [one.name for one in wanted])
        values = {one.name: one.value for one in there.sysctls}
        off = [
            Setting(one.name, values[one.name], one.value)
            for one in wanted
            if one.name in values and settings.sysctl_differs(values[one.name], one)
        ]
        is_all = any(one.name == _OF_ALL for one in off)
        yield from (one for one in off if not (is_all and _is_of_link(one.name)))

    def _links(self, names: Sequence[str]) -> dict[str, str]:
        """By namespace, what is amiss of links, addresses and routes."""
        there = {plan.node_name(self._lab, name) for name in names}
        mine = tuple(one for one in self._network.namespaces if one.name in there)
        part: Network = replace(self._network, namespaces=mine)
        state = read.state(part, self._directory, rules=False, sysctls=False)
        found = [one for one in diff.diff(part, state) if isinstance(one, _TOLD)]
        return findings.by_namespace(part, found)

    def lets_back(self, name: str, port: str) -> bool:
        """Whether a port of a node's bridge lets out again what came in by it."""
        argv = ["bridge", "-d", "-j", "link", "show", "dev", port]
        shown = run(argv, netns=self._netns(name), check=False).stdout
        links = json.loads(shown or "[]")
        return not links or bool(links[0].get("hairpin"))

    def pod_links(self, pods: Iterable[str]) -> Iterator[Cause]:
        """Links of pods that are down, at either end."""
        objects = {meta.name(node): node for node in self._world.nodes}
        for name in dict.fromkeys(pods):
            place = self._world.places[name]
            if found := asking.link_faults(place.netns):
                left = is_left(objects.get(place.node), "network")
                yield pod_link(name, place.node, "; ".join(found), left=left)

    def turned_away(self, name: str, source: str, destination: str) -> Cause:
        """Why a node does not send on what goes from there to there."""
        listed = [
            json.loads(run([*argv], netns=self._netns(name), check=False).stdout or "[]")
            for family in ["-6" if ":" in destination else "-4"]
            for argv in (
                ("ip", family, "-j", "route", "show", "table", "all"),
                ("ip", family, "-j", "rule", "show"),
            )
        ]
        return routes.turned_away(name, source, destination, *listed)

    # -- flows -----------------------------------------------------------------------------

    def stale_flows(
        self,
        node: str,
        sender: str,
        source: str,
        service: Service,
        port: ServicePort,
        own: int = 0,
    ) -> Iterator[Cause]:
        """UDP flows of that sender, by its address, that this node sends nowhere; without the one
        from the port `own`, a probe's, which is forgotten."""
        version = ipaddress.ip_address(source).version
        ips = [ip for ip in meta.spec(service).get("clusterIPs") or () if _is(ip, version)]
        if node not in self._machines or (port.get("protocol") or "TCP") != "UDP" or not ips:
            return
        argv = [
            *("conntrack", "-L", "-f", "ipv6" if version == 6 else "ipv4", "-p", "udp"),
            *("-s", source, "-d", ips[0], "--dport", str(port["port"])),
        ]
        found = parsed(run(argv, netns=self._netns(node), check=False).stdout)
        if any(flow.source[1] == own for flow in found):
            argv[1] = "-D"
            run([*argv, "--sport", str(own)], netns=self._netns(node), check=False)
        others = [flow for flow in found if flow.source[1] != own]
        yield from stale(others, _endpoints(self._world, service, port), sender, node)


_MANY = 1000
"""With more Services than these, the rules of the one alone are compiled: those of others say whose
they are."""
_TOLD: tuple[type[Operation], ...] = (SetUp, AddRoute, AddAddress, SetMaster)
_OF_ALL = "net.ipv4.ip_forward"
"""The sysctl that sets those of all links."""


def _of_links(planned: Namespace) -> Iterator[Wanted]:
    """What each link of a node is to have, though no plan says it: `all` is written before. (Of
    IPv6 `all` alone decides whether packets are handed on.)"""
    for link in planned.links:
        if link.kind != "loopback" and "." not in link.name:
            yield Wanted(f"net.ipv4.conf.{link.name}.forwarding", "1")
            yield Wanted(f"net.ipv4.conf.{link.name}.rp_filter", "0")


def _is_of_link(name: str) -> bool:
    return name.startswith("net.ipv4.") and name.endswith(".forwarding")


def _of(service: Service, differences: Sequence[Difference]) -> list[Difference]:
    """Those that packets for the Service meet."""
    key = meta.key(service)
    return [
        one
        for one in differences
        if one.service is None or one.service == key or one.service.startswith(f"{key}:")
    ]


def _key(one: Difference) -> tuple[str, str, str]:
    return one.table, one.chain, one.wanted


def _endpoints(world: World, service: Service, port: ServicePort) -> set[tuple[str, int]]:
    """All that its slices name, be they about to end."""
    found = set()
    for slice_ in world.slices:
        if service_key(slice_) == meta.key(service):
            numbers = [
                one["port"]
                for one in slice_.get("ports") or ()
                if (one.get("name") or "") == (port.get("name") or "") and one.get("port")
            ]
            for each in slice_.get("endpoints") or ():
                found |= {(ip, n) for ip in each.get("addresses") or () for n in numbers}
    return found


def _is(ip: str, version: int) -> bool:
    return (":" in ip) == (version == 6)
