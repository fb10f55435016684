"""What a check knows of the lab: its namespaces, their addresses, and its objects. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from netlab.network import plan
from netlab.objects import meta
from netlab.objects.endpointslices import service_key
from netlab.objects.hostports import mappings
from netlab.objects.lab import Lab
from netlab.objects.loadbalancing import announcing_node
from netlab.objects.nodes import is_off, now
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.ranges import nth_address
from netlab.objects.types import EndpointSlice, Node, Pod, Service, ServicePort
from netlab.pathcheck.decode import endpoint
from netlab.pathcheck.services import Services
from netlab.pathcheck.slices import Slices

Role = Literal["pod", "node", "client", "internet"]


class Place(Struct, frozen=True):
    """A namespace of the lab; `name` is `worker001`, `client`, or a pod's `namespace/name`.

    `addresses` are all it owns; `external` those of a node that machines outside may use. `node`
    is the node that a pod runs on; `shared` are addresses that each node has.
    """

    name: str
    role: Role
    netns: Path | int
    addresses: tuple[str, ...]
    external: tuple[str, ...] = ()
    node: str = ""
    shared: tuple[str, ...] = ()

    @property
    def local(self) -> frozenset[str]:
        """All addresses that it answers at."""
        return frozenset((*self.addresses, *self.shared))


class World(Struct, frozen=True, dict=True):
    """The lab as checks see it; Services and pods by `namespace/name`. Where it has only those that
    some checks are about, `read_all` gives the world with all."""

    places: Mapping[str, Place]
    services: Mapping[str, Service] = field(default_factory=dict)
    slices: Sequence[EndpointSlice] = ()
    pods: Mapping[str, Pod] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    domain: str = "cluster.local"
    name_servers: tuple[str, ...] = ()
    """Whom pods ask for names, in this order."""
    read_all: Callable[[], World] | None = None

    @cached_property
    def whole(self) -> World:
        """The same with all Services and pods."""
        return self.read_all() if self.read_all is not None else self

    def addresses(self) -> dict[str, frozenset[str]]:
        """The addresses each place has."""
        return {name: place.local for name, place in self.places.items()}

    def owner(self, address: str) -> str | None:
        """The place that owns an address."""
        return self._owners.get(address)

    @cached_property
    def _owners(self) -> dict[str, str]:
        """The first place that has an address, by that."""
        found: dict[str, str] = {}
        for name, place in self.places.items():
            for address in place.addresses:
                found.setdefault(address, name)
        return found

    def announcer(self, service: str) -> str | None:
        """The node that is to answer for a Service's load balancer, if one may."""
        return announcing_node(self.services[service], self.nodes, self.slices_of(service))

    def slices_of(self, service: str) -> Sequence[EndpointSlice]:
        """Those of one Service."""
        if isinstance(self.slices, Slices):
            return self.slices.of(service)
        return [slice_ for slice_ in self.slices if service_key(slice_) == service]

    def endpoints(self, service: str, port: ServicePort, version: int) -> dict[str, str]:
        """The ready endpoints of a Service's port: `address:port` → the name of the place."""
        found: dict[str, str] = {}
        for slice_ in self.slices_of(service):
            family = slice_.get("addressType") == ("IPv6" if version == 6 else "IPv4")
            if family:
                for number in _port_numbers(slice_, port):
                    for address in _ready_addresses(slice_):
                        found[endpoint(address, number)] = self.owner(address) or address
        return found

    def host_endpoints(self, node: str, number: int, protocol: str, address: str) -> dict[str, str]:
        """Where a node's hostPort leads, asked for by one of its addresses: `address:port` → the
        name of the place."""
        pods = (pod for pod in self.pods.values() if meta.spec(pod).get("nodeName") == node)
        found: dict[str, str] = {}
        for pod in (pod for pod in pods if not is_pod_terminal(pod)):
            ips = [entry["ip"] for entry in meta.status(pod).get("podIPs") or []]
            alike = [ip for ip in ips if (":" in ip) == (":" in address)]
            for port in mappings(pod):
                if port.host_port == number and port.is_for(protocol, address):
                    here = [address] if meta.spec(pod).get("hostNetwork") else alike
                    found |= {
                        endpoint(ip, port.container_port): self.owner(ip) or ip for ip in here
                    }
        return found


def _port_numbers(slice_: EndpointSlice, port: ServicePort) -> list[int]:
    """The ports behind a Service's; of 0, which stands for none, that itself."""
    if not port["port"]:
        return [0]
    wanted = (port.get("name") or "", port.get("protocol") or "TCP")
    return [
        each["port"]
        for each in slice_.get("ports") or []
        if (each.get("name") or "", each.get("protocol") or "TCP") == wanted and each.get("port")
    ]


def _ready_addresses(slice_: EndpointSlice) -> list[str]:
    return [
        address
        for each in slice_.get("endpoints") or []
        if (each.get("conditions") or {}).get("ready") is not False
        for address in each.get("addresses") or []
    ]


def world_of(
    lab: Lab,
    *,
    services: Iterable[Service] | Services,
    slices: Sequence[EndpointSlice],
    pods: Iterable[Pod],
    nodes: Iterable[Node],
    netns: Callable[[str], Path],
    read_all: Callable[[], World] | None = None,
) -> World:
    """The world of a running lab.

    `netns` gives the namespace of a place by its parts joined with dots: `worker001`, `client`,
    `internet`, `default.web-0`; `read_all` is for one of some Services and pods.
    """
    by_key = {meta.key(pod): pod for pod in pods}
    services_by_key: Mapping[str, Service] = (
        services
        if isinstance(services, Services)
        else {meta.key(service): service for service in services}
    )
    objects = tuple(nodes)
    off = {meta.name(node) for node in objects if is_off(node)}
    there = {key: pod for key, pod in by_key.items() if meta.spec(pod).get("nodeName") not in off}
    places = [*_machines(now(lab, objects), netns), *_pods(there, netns)]
    dns = services_by_key.get("kube-system/kube-dns")
    return World(
        places={place.name: place for place in places},
        services=services_by_key,
        slices=slices,
        pods=by_key,
        nodes=objects,
        domain=lab.dns.domain,
        name_servers=(*lab.dns.node_local, str(meta.spec(dns).get("clusterIP"))) if dns else (),
        read_all=read_all,
    )


def _machines(lab: Lab, netns: Callable[[str], Path]) -> list[Place]:
    outside = (*lab.external.gateway_ips, *plan.web_ips(lab))
    places = [Place("internet", "internet", netns("internet"), outside)]
    for client in lab.external.clients:
        places.append(Place(client.name, "client", netns(client.name), client.ips))
    for node in lab.nodes:
        bridge = tuple(nth_address(cidr, 1) for cidr in node.pod_cidrs)
        addresses = (*node.internal_ips, *node.external_ips, *bridge)
        place = Place(node.name, "node", netns(node.name), addresses, node.external_ips)
        places.append(replace(place, shared=lab.dns.node_local))
    return places


def _pods(pods: Mapping[str, Pod], netns: Callable[[str], Path]) -> list[Place]:
    """Pods that have a namespace of their own; one on the host's network is its node."""
    places = []
    for key, pod in pods.items():
        addresses = tuple(entry["ip"] for entry in meta.status(pod).get("podIPs") or [])
        if addresses and not is_pod_terminal(pod) and not meta.spec(pod).get("hostNetwork"):
            namespace = netns(key.replace("/", ".", 1))
            node = str(meta.spec(pod).get("nodeName") or "")
            places.append(Place(key, "pod", namespace, addresses, node=node))
    return places
