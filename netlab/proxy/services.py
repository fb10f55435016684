"""A Service object → the service ports that kube-proxy programs for one address family.

What is not programmed at all: ExternalName, headless (clusterIP None or empty), a Service
labelled for another proxy, a Service without an address of the family.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TypeGuard

from msgspec import Struct

from netlab.objects import meta, types
from netlab.objects.types import Service, ServiceSpec
from netlab.proxy import addresses
from netlab.proxy.addresses import Family

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"

PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}

_IP_FAMILY: dict[str, Family] = {"IPv4": "ipv4", "IPv6": "ipv6"}
_DEFAULT_AFFINITY_SECONDS = 10800
_LONGEST_AFFINITY_SECONDS = 86400


class Complaint(Struct, frozen=True):
    """Something in an object that could not be used: which object, which field, why."""

    kind: str
    key: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind} {self.key}: {self.field}: {self.message}"


class ServicePort(Struct, frozen=True):
    """One port of a Service as the rules need it.

    `name` is `ns/name[:port]`, as comments show it; `affinity_seconds` is 0 without affinity;
    `external_local` is false for a Service that nothing outside can reach.
    """

    name: str
    port_name: str
    protocol: str
    cluster_ip: str
    port: int
    node_port: int
    external_ips: tuple[str, ...]
    load_balancer_ips: tuple[str, ...]
    source_ranges: tuple[str, ...]
    affinity_seconds: int
    internal_local: bool
    external_local: bool
    health_check_node_port: int

    @property
    def externally_accessible(self) -> bool:
        """Reachable by anything else than its cluster IP."""
        return bool(self.node_port or self.load_balancer_ips or self.external_ips)

    @property
    def uses_cluster_endpoints(self) -> bool:
        """Even with externalTrafficPolicy Local: pods and the node itself go to any endpoint."""
        return not self.internal_local or self.externally_accessible

    @property
    def uses_local_endpoints(self) -> bool:
        """Some traffic may only go to endpoints of this node."""
        return self.internal_local or (self.external_local and self.externally_accessible)


def is_proxied(labels: dict[str, str]) -> bool:
    """False for objects that their label keeps from kube-proxy."""
    return PROXY_NAME_LABEL not in labels and HEADLESS_LABEL not in labels


def service_ports(
    service: Service, family: Family, complaints: list[Complaint]
) -> list[ServicePort]:
    """The ports of a Service to program in that family, in the object's own order."""
    spec = meta.spec(service)
    if spec.get("type") == "ExternalName" or not is_proxied(meta.labels(service)):
        return []
    claimed = _cluster_ip(spec, family)
    if not claimed:
        if not spec.get("clusterIP"):
            complaints.append(_about(service, "spec.clusterIP", "is missing"))
        return []
    cluster_ip = addresses.address(claimed, family)
    if cluster_ip is None:
        complaints.append(_about(service, "spec.clusterIP", unfit(claimed, f"{family} address")))
        return []
    if not spec.get("ports"):
        complaints.append(_about(service, "spec.ports", "is missing"))
    return _ports(service, spec, cluster_ip, family, complaints)


def _about(service: Service, field: str, message: str) -> Complaint:
    return Complaint("Service", meta.key(service), field, message)


def _cluster_ip(spec: ServiceSpec, family: Family) -> str:
    """The cluster IP claimed for that family; "" when there is none."""
    first = spec.get("clusterIP") or ""
    if first in ("", "None"):
        return ""
    families = spec.get("ipFamilies")
    if not families:
        return first if addresses.family_of(first) == family else ""
    claimed = spec.get("clusterIPs") or [first]
    for ip, of in zip(claimed, families, strict=False):
        if _IP_FAMILY.get(of) == family:
            return ip
    return ""


def _ports(
    service: Service,
    spec: ServiceSpec,
    cluster_ip: str,
    family: Family,
    complaints: list[Complaint],
) -> list[ServicePort]:
    make = _shared(service, spec, cluster_ip, family, complaints)
    key = meta.key(service)
    ports = []
    for index, port in enumerate(spec.get("ports") or ()):
        checked = _checked(port, f"spec.ports[{index}]", service, complaints)
        if checked is None:
            continue
        name, protocol, number, node_port = checked
        ports.append(
            make(
                name=f"{key}:{name}" if name else key,
                port_name=name,
                protocol=protocol,
                port=number,
                node_port=node_port,
            )
        )
    return ports


def _shared(
    service: Service,
    spec: ServiceSpec,
    cluster_ip: str,
    family: Family,
    complaints: list[Complaint],
) -> partial[ServicePort]:
    """A port with what is the same for all of its Service's."""
    external_local = spec.get("externalTrafficPolicy") == "Local" and bool(
        spec.get("type") in ("NodePort", "LoadBalancer") or spec.get("externalIPs")
    )
    return partial(
        ServicePort,
        cluster_ip=cluster_ip,
        external_ips=_external_ips(service, spec, family, complaints),
        load_balancer_ips=_load_balancer_ips(service, family, complaints),
        source_ranges=_source_ranges(service, spec, family, complaints),
        affinity_seconds=_affinity_seconds(service, spec, complaints),
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        external_local=external_local,
        health_check_node_port=(
            _health_check_node_port(service, spec, complaints) if external_local else 0
        ),
    )


def _checked(
    port: types.ServicePort, field: str, service: Service, complaints: list[Complaint]
) -> tuple[str, str, int, int] | None:
    """Name, protocol, port and nodePort; None (and a complaint) when they cannot be used."""
    name, number, node_port = port.get("name") or "", port.get("port"), port.get("nodePort") or 0
    protocol = PROTOCOLS.get(port.get("protocol") or "TCP")
    if protocol is None:
        wrong, why = "protocol", unfit(port["protocol"], "protocol: TCP, UDP or SCTP")
    elif not valid_port(number):
        wrong, why = "port", unfit(number, "port")
    elif node_port and not valid_port(node_port):
        wrong, why = "nodePort", unfit(node_port, "port")
    elif name and not _NAME.fullmatch(name):
        wrong, why = "name", unfit(name, "name of a port")
    else:
        return name, protocol, number, node_port
    complaints.append(_about(service, f"{field}.{wrong}", why))
    return None


# Names go into comments and chains: nothing else may get there.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


def unfit(value: object, wanted: str) -> str:
    """Why a value cannot be used."""
    return "is missing" if value is None else f"{value!r} is no {wanted}"


def valid_port(value: object) -> TypeGuard[int]:
    """True for 1 to 65535."""
    return type(value) is int and 0 < value < 65536


def _external_ips(
    service: Service, spec: ServiceSpec, family: Family, complaints: list[Complaint]
) -> tuple[str, ...]:
    claimed = {f"spec.externalIPs[{i}]": ip for i, ip in enumerate(spec.get("externalIPs") or ())}
    return _of_family(service, claimed, family, complaints)


def _load_balancer_ips(
    service: Service, family: Family, complaints: list[Complaint]
) -> tuple[str, ...]:
    """Only addresses the load balancer delivers packets to: mode Proxy terminates connections."""
    entries = (meta.status(service).get("loadBalancer") or {}).get("ingress") or ()
    claimed = {
        f"status.loadBalancer.ingress[{index}].ip": entry["ip"]
        for index, entry in enumerate(entries)
        if entry.get("ip") and entry.get("ipMode") in (None, "VIP")
    }
    return _of_family(service, claimed, family, complaints)


def _of_family(
    service: Service, claimed: dict[str, str], family: Family, complaints: list[Complaint]
) -> tuple[str, ...]:
    """The addresses of that family among those claimed, by field."""
    found = []
    for field, text in claimed.items():
        if addresses.family_of(text) == family:
            ip = addresses.address(text, family)
            if ip is None:
                complaints.append(_about(service, field, unfit(text, f"{family} address")))
            else:
                found.append(ip)
    return tuple(found)


def _source_ranges(
    service: Service, spec: ServiceSpec, family: Family, complaints: list[Complaint]
) -> tuple[str, ...]:
    """The ranges of that family; none at all when one of them allows everybody."""
    found = []
    for index, text in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        stripped = text.strip()
        if addresses.family_of(stripped) != family:
            continue
        network = addresses.prefix(stripped, family)
        if network is None:
            field = f"spec.loadBalancerSourceRanges[{index}]"
            complaints.append(_about(service, field, unfit(text, "prefix")))
            continue
        found.append(network)
    return () if any(network.endswith("/0") for network in found) else tuple(found)


def _affinity_seconds(service: Service, spec: ServiceSpec, complaints: list[Complaint]) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds = client.get("timeoutSeconds") or _DEFAULT_AFFINITY_SECONDS
    if 0 < seconds <= _LONGEST_AFFINITY_SECONDS:
        return seconds
    field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
    why = unfit(seconds, f"time from 1 to {_LONGEST_AFFINITY_SECONDS} s")
    complaints.append(_about(service, field, why))
    return _DEFAULT_AFFINITY_SECONDS


def _health_check_node_port(
    service: Service, spec: ServiceSpec, complaints: list[Complaint]
) -> int:
    number = spec.get("healthCheckNodePort") or 0
    if spec.get("type") != "LoadBalancer" or number == 0:
        return 0
    if valid_port(number):
        return number
    complaints.append(_about(service, "spec.healthCheckNodePort", unfit(number, "port")))
    return 0
