"""Which endpoints a Service has, from its pods: addresses, conditions, ports. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import Literal

from msgspec import Struct

from netlab.controllers.perpod import PerPod
from netlab.objects import meta
from netlab.objects.offers import address_of, addresses, target_port
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.ranges import Family
from netlab.objects.types import (
    DiscoveryEndpointPort,
    Endpoint,
    EndpointPort,
    ObjectReference,
    Pod,
    Service,
)

Protocol = Literal["SCTP", "TCP", "UDP"]
ZONE_LABEL = "topology.kubernetes.io/zone"
HEADLESS_LABEL = "service.kubernetes.io/headless"


Port = tuple[str, Protocol, int, str]
"""(name, protocol, port, appProtocol)."""


class PortSet(Struct, frozen=True):
    """The ports that a slice's endpoints share, hashable."""

    ports: tuple[Port, ...]

    def as_list(self) -> list[DiscoveryEndpointPort]:
        """As an EndpointSlice writes them."""
        return [_written(*port) for port in self.ports]


def _written(name: str, protocol: Protocol, number: int, app: str) -> DiscoveryEndpointPort:
    port: DiscoveryEndpointPort = {"name": name, "protocol": protocol, "port": number}
    if app:
        port["appProtocol"] = app
    return port


def port_set(ports: Iterable[DiscoveryEndpointPort | EndpointPort]) -> PortSet:
    """The ports as an EndpointSlice or an Endpoints subset lists them."""
    return PortSet(
        tuple(
            (
                port.get("name") or "",
                port.get("protocol") or "TCP",
                port.get("port") or 0,
                port.get("appProtocol") or "",
            )
            for port in ports
        )
    )


def has_managed_endpoints(service: Service) -> bool:
    """True when the endpoints follow a selector rather than being somebody's own."""
    spec = meta.spec(service)
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName"


def is_headless(service: Service) -> bool:
    """`clusterIP: None`."""
    return meta.spec(service).get("clusterIP") == "None"


def families(service: Service) -> list[Family]:
    """The address types of the Service's slices: its ipFamilies, IPv4 when it names none."""
    return list(meta.spec(service).get("ipFamilies") or ["IPv4"])


def belongs(pod: Pod) -> bool:
    """Whether a selected pod is an endpoint at all: it has an address and has not ended."""
    return bool(addresses(pod)) and not is_pod_terminal(pod)


def ports_of(service: Service, pod: Pod) -> PortSet:
    """The Service's ports as this pod serves them; a name its containers lack is left out."""
    ports = []
    for port in meta.spec(service).get("ports") or []:
        protocol = port.get("protocol") or "TCP"
        number = target_port(port, protocol, pod)
        if number is not None:
            name, app = port.get("name") or "", port.get("appProtocol") or ""
            ports.append((name, protocol, number, app))
    return _one_of_all(tuple(ports))


@lru_cache(256)
def _one_of_all(ports: tuple[Port, ...]) -> PortSet:
    """The same object for the same ports: a thousand pods of a Service mostly have the same."""
    return PortSet(ports)


def endpoint(service: Service, pod: Pod, address: str, zone: str | None) -> Endpoint:
    """One entry of an EndpointSlice."""
    serving, terminating = meta.is_ready(pod), meta.is_terminating(pod)
    regardless = bool(meta.spec(service).get("publishNotReadyAddresses"))
    entry: Endpoint = {
        "addresses": [address],
        "conditions": {
            "ready": regardless or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": reference(pod),
    }
    if hostname := hostname_of(service, pod):
        entry["hostname"] = hostname
    if node := meta.spec(pod).get("nodeName"):
        entry["nodeName"] = node
    if zone:
        entry["zone"] = zone
    return entry


def hostname_of(service: Service, pod: Pod) -> str | None:
    """The pod's own DNS label below the Service's name, if its spec asks for one."""
    spec = meta.spec(pod)
    if spec.get("hostname") and spec.get("subdomain") == meta.name(service):
        return spec["hostname"]
    return None


def reference(pod: Pod) -> ObjectReference:
    """The targetRef of an endpoint."""
    return {
        "kind": "Pod",
        "namespace": meta.namespace(pod),
        "name": meta.name(pod),
        "uid": meta.uid(pod),
    }


Placed = tuple[PortSet, Endpoint]
"""An endpoint, and the ports it serves."""


def grouped(
    service: Service,
    pods: Iterable[Pod],
    family: Family,
    zones: Mapping[str, str],
    made: PerPod[Placed | None] | None = None,
) -> dict[PortSet, list[Endpoint]]:
    """The Service's endpoints of one family by the ports they serve, each group by pod name.

    `zones`: node name → zone; `made` keeps what was made of pods the last time, and is what the
    entries belong to: copy before changing them.
    """
    make = partial(placed, service, family, zones)
    in_order = sorted(pods, key=meta.name)
    every = (made or PerPod()).of(service, in_order, make, what=family, beside=zones)
    groups: dict[PortSet, list[Endpoint]] = {}
    last, group = None, list[Endpoint]()
    for ports, entry in filter(None, every):
        if ports is not last:
            last, group = ports, groups.setdefault(ports, [])
        group.append(entry)
    return groups


def placed(service: Service, family: Family, zones: Mapping[str, str], pod: Pod) -> Placed | None:
    """A pod as an endpoint of one family, if it is one."""
    address = address_of(pod, family)
    if address is None or not belongs(pod):
        return None
    zone = zones.get(str(meta.spec(pod).get("nodeName") or ""))
    return ports_of(service, pod), endpoint(service, pod, address, zone)


def concerns_endpoints(old: Pod | None, new: Pod | None) -> bool:
    """Whether a pod's change can change any Service's endpoints."""
    if old is not None and new is not None:
        return _relevant(old) != _relevant(new)
    return any(addresses(pod) for pod in (old, new) if pod is not None)


def _relevant(pod: Pod) -> tuple[object, ...]:
    spec = meta.spec(pod)
    return (
        meta.labels(pod),
        addresses(pod),
        meta.is_ready(pod),
        meta.is_terminating(pod),
        is_pod_terminal(pod),
        spec.get("nodeName"),
        spec.get("hostname"),
        spec.get("subdomain"),
    )
