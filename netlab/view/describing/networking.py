"""Services and what belongs to them as `kubectl describe` shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netlab.objects import meta
from netlab.objects.kinds.networking import (
    ENDPOINT_SLICE,
    ENDPOINTS,
    INGRESS,
    INGRESS_CLASS,
    SERVICE,
    SERVICE_CIDR,
)
from netlab.objects.types import (
    Endpoints,
    EndpointSlice,
    Ingress,
    IngressBackend,
    IngressClass,
    Service,
    ServiceBackendPort,
    ServiceCIDR,
    ServicePort,
)
from netlab.view.describing import described
from netlab.view.describing.described import Belonging, Description, Lines, Related

LABEL_SERVICE_NAME = "kubernetes.io/service-name"
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
        _at(endpoint["addresses"][0], port["port"])
        for one in slices
        for port in one.get("ports") or []
        if (port.get("name") or "") == port_name
        for endpoint in one.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready", True)
    ]
    text = ",".join(found[:SHOWN])
    return f"{text} + {len(found) - SHOWN} more..." if len(found) > SHOWN else text


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


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


# -- what leads to one ---------------------------------------------------------------------


def ingress(obj: Ingress, related: Related) -> Lines:
    """An Ingress: its rules, and the endpoints that each leads to."""
    spec = meta.spec(obj)
    default = spec.get("defaultBackend")
    otherwise = _backend(default, related) if default else "<default>"
    yield f"Name:\t{meta.name(obj)}"
    yield from described.label_lines(obj)
    yield f"Namespace:\t{meta.namespace(obj)}"
    yield f"Address:\t{_load_balancers(obj)}"
    yield f"Ingress Class:\t{spec.get('ingressClassName') or '<none>'}"
    yield f"Default backend:\t{otherwise}"
    yield from _tls(spec.get("tls") or [])
    yield from ("Rules:", "  Host\tPath\tBackends", "  ----\t----\t--------")
    yield from _rules(spec.get("rules") or [], otherwise, related)
    yield from described.annotation_lines(obj)
    yield from described.events(related)


def _load_balancers(obj: Ingress) -> str:
    entries = (meta.status(obj).get("loadBalancer") or {}).get("ingress") or []
    return ",".join(sorted({str(one.get("ip") or one.get("hostname")) for one in entries}))


def _tls(entries: Sequence[Mapping[str, Any]]) -> Lines:
    if entries:
        yield "TLS:"
    for entry in entries:
        hosts, secret = ",".join(entry.get("hosts") or []), entry.get("secretName")
        yield f"  {secret} terminates {hosts}" if secret else f"  SNI routes {hosts}"


def _rules(rules: Sequence[Mapping[str, Any]], otherwise: str, related: Related) -> Lines:
    ruling = [rule for rule in rules if rule.get("http")]
    for rule in ruling:
        yield f"  {rule.get('host') or '*'}\t"
        for path in rule["http"].get("paths") or []:
            yield f"    \t{path.get('path') or ''} \t{_backend(path['backend'], related)}"
    if not ruling:
        yield f"  *\t*\t{otherwise}"


def _backend(backend: IngressBackend, related: Related) -> str:
    """`web:80 (10.244.1.2:8080)`, or the object that is no Service."""
    if other := backend.get("resource"):
        group = other.get("apiGroup") or "<nil>"
        return f"APIGroup: {group}, Kind: {other.get('kind')}, Name: {other.get('name')}"
    wanted = backend.get("service", {})
    name, port = wanted.get("name", ""), wanted.get("port", {})
    return f"{name}:{port.get('name') or port.get('number', 0)} ({_behind(name, port, related)})"


def _behind(name: str, port: ServiceBackendPort, related: Related) -> str:
    found = [one for one in described.of_kind(SERVICE, related) if meta.name(one) == name]
    if not found:
        return f'<error: services "{name}" not found>'
    slices = described.of_kind(ENDPOINT_SLICE, related)
    own = [one for one in slices if meta.labels(one).get(LABEL_SERVICE_NAME) == name]
    return endpoints(own, _port_name(found[0], port))


def _port_name(service: Service, port: ServiceBackendPort) -> str:
    """The name of the Service's port that a backend means by name or number."""
    for one in meta.spec(service).get("ports") or []:
        if port.get("number") == one["port"] or port.get("name", "") == one.get("name"):
            return one.get("name") or ""
    return ""


def ingress_class(obj: IngressClass, related: Related) -> Lines:
    """An IngressClass."""
    spec = meta.spec(obj)
    yield from described.head(obj)
    yield f"Controller:\t{spec.get('controller', '')}"
    if parameters := spec.get("parameters"):
        yield "Parameters:"
        if group := parameters.get("apiGroup"):
            yield f"  APIGroup:\t{group}"
        yield f"  Kind:\t{parameters['kind']}"
        yield f"  Name:\t{parameters['name']}"
    yield from described.events(related)


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


def _slices(service: Service) -> tuple[Belonging, ...]:
    query = {"labelSelector": f"{LABEL_SERVICE_NAME}={meta.name(service)}"}
    return (Belonging(ENDPOINT_SLICE, meta.namespace(service), query),)


def _services_and_slices(ingress: Ingress) -> tuple[Belonging, ...]:
    return tuple(Belonging(kind, meta.namespace(ingress)) for kind in (SERVICE, ENDPOINT_SLICE))


DESCRIPTIONS = {
    SERVICE: Description(service, _slices),
    ENDPOINTS: Description(endpoints_object),
    ENDPOINT_SLICE: Description(endpoint_slice),
    INGRESS: Description(ingress, _services_and_slices),
    INGRESS_CLASS: Description(ingress_class),
    SERVICE_CIDR: Description(service_cidr),
}
