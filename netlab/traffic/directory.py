"""Who has an address, and what of a Service an address and port are, of a lab as it was a moment
ago. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.objects import meta
from netlab.objects.hostports import mappings
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import Service, ServicePort
from netlab.pathcheck.world import Place, World
from netlab.traffic.opening import End, VirtualAddress

_LOOPBACKS = ("127.", "::1")


class Directory:
    """Looked into for each connection, so made once of what it is looked into for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._places: dict[str, Place] = {
            address: place for place in world.places.values() for address in place.addresses
        }
        self._names = {
            **dict(_of_pods(world)),
            **{address: place.name for address, place in self._places.items()},
        }
        self._doors: dict[tuple[str, str, int], VirtualAddress] = {}
        self._node_ports: dict[tuple[str, int], VirtualAddress] = {}
        self._host_ports = set(_host_ports(world))
        for key, service in world.services.items():
            for port in meta.spec(service).get("ports") or ():
                self._add(key, service, port)

    def _add(self, key: str, service: Service, port: ServicePort) -> None:
        protocol, name = (port.get("protocol") or "TCP").lower(), port.get("name") or ""
        for kind, address in _addresses(service):
            door = (protocol, address, port["port"])
            self._doors.setdefault(door, VirtualAddress(key, name, kind))
        if number := port.get("nodePort"):
            self._node_ports[protocol, number] = VirtualAddress(key, name, "nodePort")

    def place(self, address: str) -> Place | None:
        """Who has it."""
        return self._places.get(address)

    def end(self, address: str, port: int) -> End:
        """An address and port with a name; that of a pod also where its node is switched off."""
        return End(self._names.get(address, ""), address, port)

    def knows(self, address: str) -> bool:
        """Whether it has a name."""
        return address in self._names

    def node(self, address: str) -> str:
        """The node that what has this address is, or is on; "" for what is on none."""
        place = self._places.get(address)
        if place is None:
            return ""
        return place.name if place.role == "node" else place.node

    def virtual(self, protocol: str, address: str, port: int) -> VirtualAddress | None:
        """What of which Service that is."""
        found = self._doors.get((protocol, address, port))
        if found is not None:
            return found
        node_port = self._node_ports.get((protocol, port))
        return node_port if node_port is not None and self._is_nodes(address) else None

    def is_host_port(self, protocol: str, address: str, port: int) -> bool:
        """Whether a pod has that port of its node."""
        return (self.node(address), protocol, port) in self._host_ports

    def _is_nodes(self, address: str) -> bool:
        place = self._places.get(address)
        return place.role == "node" if place is not None else address.startswith(_LOOPBACKS)


def _of_pods(world: World) -> Iterator[tuple[str, str]]:
    """Addresses of pods, and their names."""
    for key, pod in world.pods.items():
        if not meta.spec(pod).get("hostNetwork") and not is_pod_terminal(pod):
            yield from ((one["ip"], key) for one in meta.status(pod).get("podIPs") or ())


def _host_ports(world: World) -> Iterator[tuple[str, str, int]]:
    """Nodes, protocols and ports."""
    for pod in world.pods.values():
        for one in mappings(pod):
            yield meta.spec(pod).get("nodeName") or "", one.protocol.lower(), one.host_port


def _addresses(service: Service) -> Iterator[tuple[str, str]]:
    spec = meta.spec(service)
    for address in spec.get("clusterIPs") or [spec.get("clusterIP") or "None"]:
        if address not in ("", "None"):
            yield "clusterIP", address
    yield from (("externalIP", address) for address in spec.get("externalIPs") or ())
    yield from (("loadBalancer", address) for address in ingress_ips(service))
