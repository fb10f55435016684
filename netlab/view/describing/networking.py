"""Services and what belongs to them as `kubectl describe` shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netlab.objects import meta
from netlab.objects.addresses import join_host_port
from netlab.objects.endpointslices import LABEL_SERVICE_NAME
from netlab.objects.kinds.networking import (
    ENDPOINT_SLICE,
    ENDPOINTS,
    IP_ADDRESS,
    SERVICE,
    SERVICE_CIDR,
)
from netlab.objects.types import (
    Endpoints,
    EndpointSlice,
    IPAddress,
    Service,
    ServiceCIDR,
    ServicePort,
)
from netlab.view.describing import described
from netlab.view.describing.described import Belonging, Description, Lines, Related

SHOWN = 3
"""How many endpoints of a port are named before the others are only counted."""


def service(obj: Service, related: Related) -> Lines:
    """A Service: its addresses, its ports with their endpoints, its policies."""
    yield from described.head(obj)
    yield f"Selector:\t{described.selector(obj)}"
    yield from _addresses(obj)
    for port in meta.spec(obj).get("ports") or []:
        yield from _port(port, related.objects)
    yield from _policies(obj)
    yield from described.events(related)
    yield from _why_it_fails(related.causes)


def _why_it_fails(causes: Sequence[str]) -> Lines:
    """What kubectl does not say, below all that it does; without a tab, so that it moves nothing.

    A Service that works has no such lines.
    """
    if causes:
        yield "Why it fails:"
        yield from (f"  {cause}" for cause in causes)


def _addresses(obj: Service) -> Lines:
    spec = meta.spec(obj)
    yield f"Type:\t{spec.get('type', 'ClusterIP')}"
    if spec.get("ipFamilyPolicy"):
        yield f"IP Family Policy:\t{spec['ipFamilyPolicy']}"
    yield f"IP Families:\t{','.join(spec.get('ipFamilies') or []) or '<none>'}"
    yield f"IP:\t{spec.get('clusterIP', '')}"
    yield f"IPs:\t{','.join(spec.get('clusterIPs') or []) or '<none>'}"
    if spec.get("externalIPs"):
        yield f"External IPs:\t{','.join(spec['externalIPs'])}"
    if spec.get("loadBalancerIP"):
        yield f"Desired LoadBalancer IP:\t{spec['loadBalancerIP']}"
    if spec.get("externalName"):
        yield f"External Name:\t{spec['externalName']}"
    ingress = (meta.status(obj).get("loadBalancer") or {}).get("ingress") or []
    if ingress:
        yield f"LoadBalancer Ingress:\t{', '.join(map(_ingress, ingress))}"


def _ingress(entry: Mapping[str, Any]) -> str:
    text = str(entry.get("ip") or entry.get("hostname"))
    return f"{text} ({entry['ipMode']})" if entry.get("ipMode") else text


def _port(port: ServicePort, slices: Sequence[EndpointSlice]) -> Lines:
    name, protocol = port.get("name") or "<unset>", port.get("protocol", "TCP")
    yield f"Port:\t{name}\t{port['port']}/{protocol}"
    yield f"TargetPort:\t{port.get('targetPort', port['port'])}/{protocol}"
    if port.get("nodePort"):
        yield f"NodePort:\t{name}\t{port['nodePort']}/{protocol}"
    yield f"Endpoints:\t{endpoints(slices, port.get('name') or '')}"


def endpoints(slices: Sequence[EndpointSlice], port_name: str) -> str:
    """The ready endpoints of that port; beyond the first few only their number."""
    found = [
        join_host_port(endpoint["addresses"][0], port["port"])
        for one in slices
        for port in one.get("ports") or []
        if (port.get("name") or "") == port_name
        for endpoint in one.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready", True)
    ]
    text = ",".join(found[:SHOWN])
    return f"{text} + {len(found) - SHOWN} more..." if len(found) > SHOWN else text


def _policies(obj: Service) -> Lines:
    spec = meta.spec(obj)
    yield f"Session Affinity:\t{spec.get('sessionAffinity', 'None')}"
    for title, said in (
        ("External Traffic Policy", spec.get("externalTrafficPolicy")),
        ("Internal Traffic Policy", spec.get("internalTrafficPolicy")),
        ("Traffic Distribution", spec.get("trafficDistribution")),
        ("HealthCheck NodePort", spec.get("healthCheckNodePort")),
    ):
        if said:
            yield f"{title}:\t{said}"
    if spec.get("loadBalancerSourceRanges"):
        yield f"LoadBalancer Source Ranges:\t{','.join(spec['loadBalancerSourceRanges'])}"


# -- what stands behind a Service ----------------------------------------------------------


def endpoint_slice(obj: EndpointSlice, related: Related) -> Lines:
    """An EndpointSlice: its ports, its endpoints and where each of them is."""
    yield from described.head(obj)
    yield f"AddressType:\t{obj.get('addressType', '')}"
    yield from _slice_ports(obj.get("ports") or [])
    found = obj.get("endpoints") or []
    yield "Endpoints:" if found else "Endpoints: <none>"
    for endpoint in found:
        yield from _endpoint(endpoint)
    yield from described.events(related)


def _slice_ports(ports: Sequence[Mapping[str, Any]]) -> Lines:
    if not ports:
        yield "Ports: <unset>"
        return
    yield "Ports:"
    yield "  Name\tPort\tProtocol"
    yield "  ----\t----\t--------"
    for port in ports:
        number = port.get("port", "<unset>")
        yield f"  {port.get('name') or '<unset>'}\t{number}\t{port.get('protocol', 'TCP')}"


def _endpoint(endpoint: Mapping[str, Any]) -> Lines:
    yield f"  - Addresses:\t{', '.join(endpoint.get('addresses') or [])}"
    yield "    Conditions:"
    ready = (endpoint.get("conditions") or {}).get("ready")
    yield f"      Ready:\t{'<unset>' if ready is None else str(ready).lower()}"
    yield f"    Hostname:\t{endpoint.get('hostname') or '<unset>'}"
    if target := endpoint.get("targetRef"):
        yield f"    TargetRef:\t{target['kind']}/{target['name']}"
    yield f"    NodeName:\t{endpoint.get('nodeName') or '<unset>'}"
    yield f"    Zone:\t{endpoint.get('zone') or '<unset>'}"


def endpoints_object(obj: Endpoints, related: Related) -> Lines:
    """The older Endpoints object."""
    yield from described.head(obj)
    yield "Subsets:"
    for subset in obj.get("subsets") or []:
        yield from _subset(subset)
        yield ""
    yield from described.events(related)


def _subset(subset: Mapping[str, Any]) -> Lines:
    for title, field in (("Addresses", "addresses"), ("NotReadyAddresses", "notReadyAddresses")):
        found = ",".join(entry["ip"] for entry in subset.get(field) or [])
        yield f"  {title}:\t{found or '<none>'}"
    ports = subset.get("ports") or []
    if ports:
        yield "  Ports:"
        yield "    Name\tPort\tProtocol"
        yield "    ----\t----\t--------"
        for port in ports:
            name, protocol = port.get("name") or "<unset>", port.get("protocol", "TCP")
            yield f"    {name}\t{port['port']}\t{protocol}"


def service_cidr(obj: ServiceCIDR, related: Related) -> Lines:
    """A range of ClusterIPs, and whether it is in use."""
    yield from described.head(obj)
    yield f"CIDRs:\t{', '.join(meta.spec(obj).get('cidrs') or [])}"
    conditions = meta.status(obj).get("conditions") or []
    if conditions:
        yield from ("Status:", "Conditions:")
        yield "  Type\tStatus\tLastTransitionTime\tReason\tMessage"
        yield "  ----\t------\t------------------\t------\t-------"
    for entry in conditions:
        changed = described.moment(entry.get("lastTransitionTime"))
        why = f"{entry.get('reason', '')}\t{entry.get('message', '')}"
        yield f"  {entry['type']}\t{entry['status']}\t{changed}\t{why}"
    yield from described.events(related)


def ip_address(obj: IPAddress, related: Related) -> Lines:
    """An address, and what holds it."""
    yield from described.head(obj)
    parent = obj["spec"]["parentRef"]
    yield "Parent Reference:"
    yield f"  Group:\t{parent.get('group', '')}"
    yield f"  Resource:\t{parent['resource']}"
    yield f"  Namespace:\t{parent.get('namespace', '')}"
    yield f"  Name:\t{parent['name']}"
    yield from described.events(related)


def _slices(service: Service) -> tuple[Belonging, ...]:
    query = {"labelSelector": f"{LABEL_SERVICE_NAME}={meta.name(service)}"}
    return (Belonging(ENDPOINT_SLICE, meta.namespace(service), query),)


DESCRIPTIONS = {
    SERVICE: Description(service, _slices),
    ENDPOINTS: Description(endpoints_object),
    ENDPOINT_SLICE: Description(endpoint_slice),
    SERVICE_CIDR: Description(service_cidr),
    IP_ADDRESS: Description(ip_address),
}
