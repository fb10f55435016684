"""How Services and what belongs to them print."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.api.printing.cells import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Cell,
    Column,
    Printer,
    age,
    first_three,
    format_labels,
    wide,
)
from netlab.objects.addresses import join_host_port
from netlab.objects.kinds.networking import (
    ENDPOINT_SLICE,
    ENDPOINTS,
    IP_ADDRESS,
    SERVICE,
    SERVICE_CIDR,
)
from netlab.objects.meta import name, spec
from netlab.objects.types import (
    Endpoints,
    EndpointSlice,
    EndpointSubset,
    Ingress,
    IPAddress,
    Service,
    ServiceCIDR,
    ServicePort,
    ServiceSpec,
)


def service_cells(svc: Service) -> list[Cell]:
    """NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE, and SELECTOR."""
    return [
        name(svc),
        spec(svc).get("type") or "ClusterIP",
        _cluster_ip(spec(svc)),
        _external_ip(svc),
        ",".join(_service_port(port) for port in spec(svc).get("ports") or []) or NONE,
        age(svc),
        format_labels(spec(svc).get("selector")),
    ]


def _cluster_ip(service_spec: ServiceSpec) -> str:
    ips = service_spec.get("clusterIPs") or []
    return (ips[0] if ips else service_spec.get("clusterIP")) or NONE


def _external_ip(svc: Service) -> str:
    kind, external = spec(svc).get("type"), spec(svc).get("externalIPs") or []
    if kind == "ExternalName":
        return str(spec(svc).get("externalName") or NONE)
    if kind == "LoadBalancer":
        return ",".join([*load_balancer(svc), *external]) or "<pending>"
    return ",".join(external) or NONE


def load_balancer(obj: Service | Ingress) -> list[str]:
    """Where its status says that it can be reached from outside."""
    ingress = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return [str(entry.get("ip") or entry.get("hostname")) for entry in ingress]


def _service_port(port: ServicePort) -> str:
    protocol = port.get("protocol") or "TCP"
    if port.get("nodePort"):
        return f"{port.get('port')}:{port['nodePort']}/{protocol}"
    return f"{port.get('port')}/{protocol}"


def endpoints_cells(obj: Endpoints) -> list[Cell]:
    """NAME ENDPOINTS AGE."""
    subsets = obj.get("subsets") or []
    nothing = "" if subsets else NONE
    return [name(obj), first_three(_endpoint_addresses(subsets), nothing=nothing), age(obj)]


def _endpoint_addresses(subsets: list[EndpointSubset]) -> Iterator[str]:
    for subset in subsets:
        ips = [str(entry["ip"]) for entry in subset.get("addresses") or []]
        if not subset.get("ports"):
            yield from ips
        for port in subset.get("ports") or []:
            yield from (join_host_port(ip, port["port"]) for ip in ips)


def endpointslice_cells(obj: EndpointSlice) -> list[Cell]:
    """NAME ADDRESSTYPE PORTS ENDPOINTS AGE."""
    ports = (str(port.get("port") or "*") for port in obj.get("ports") or [])
    addresses = (
        str(address)
        for endpoint in obj.get("endpoints") or []
        for address in endpoint.get("addresses") or []
    )
    return [
        name(obj),
        obj.get("addressType", UNSET),
        first_three(ports, nothing=UNSET),
        first_three(addresses, nothing=UNSET),
        age(obj),
    ]


def servicecidr_cells(obj: ServiceCIDR) -> list[Cell]:
    """NAME CIDRS AGE."""
    return [name(obj), ",".join(spec(obj).get("cidrs") or []), age(obj)]


def ipaddress_cells(obj: IPAddress) -> list[Cell]:
    """NAME PARENTREF."""
    found = dict(obj).get("spec")
    parent = found.get("parentRef") if isinstance(found, dict) else None
    if not parent:
        return [name(obj), NONE]
    resource = ".".join(filter(None, (parent["resource"], parent.get("group"))))
    parts = (resource.lower(), parent.get("namespace"), parent["name"])
    return [name(obj), "/".join(filter(None, parts))]


PRINTERS = {
    SERVICE: Printer(
        (
            NAME, Column("Type"), Column("Cluster-IP"), Column("External-IP"), Column("Port(s)"),
            AGE, wide("Selector"),
        ),
        service_cells,
    ),
    ENDPOINTS: Printer((NAME, Column("Endpoints"), AGE), endpoints_cells),
    ENDPOINT_SLICE: Printer(
        (NAME, Column("AddressType"), Column("Ports"), Column("Endpoints"), AGE),
        endpointslice_cells,
    ),
    SERVICE_CIDR: Printer((NAME, Column("CIDRs"), AGE), servicecidr_cells),
    IP_ADDRESS: Printer((NAME, Column("ParentRef")), ipaddress_cells),
}  # fmt: skip
