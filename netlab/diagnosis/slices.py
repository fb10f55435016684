"""What a Service's EndpointSlices say, and what is wrong with those that somebody wrote. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from netlab.diagnosis.facts import Cause, Facts, label, listed, protocol_of, within
from netlab.objects import meta
from netlab.objects.endpointslices import LABEL_SERVICE_NAME
from netlab.objects.offers import addresses
from netlab.objects.types import (
    DiscoveryEndpointPort,
    Endpoint,
    EndpointConditions,
    EndpointSlice,
    Service,
    ServicePort,
)


def endpoints(slices: Iterable[EndpointSlice], port: ServicePort, family: str) -> list[Endpoint]:
    """The endpoints that get packets of a port: the ready ones, or with none those that serve
    while they terminate, as kube-proxy chooses."""
    found = [
        endpoint
        for slice_ in slices
        if slice_.get("addressType", "IPv4") == family and _has_port(slice_, port)
        for endpoint in slice_.get("endpoints") or ()
    ]
    ready = [one for one in found if (one.get("conditions") or {}).get("ready") is not False]
    return ready or [one for one in found if _serves_at_its_end(one.get("conditions") or {})]


def _serves_at_its_end(conditions: EndpointConditions) -> bool:
    return bool(conditions.get("serving") and conditions.get("terminating"))


def _has_port(slice_: EndpointSlice, port: ServicePort) -> bool:
    wanted = (port.get("name") or "", protocol_of(port))
    return any(_key(one) == wanted and one.get("port") for one in slice_.get("ports") or ())


def _key(port: ServicePort | DiscoveryEndpointPort) -> tuple[str, str]:
    return port.get("name") or "", protocol_of(port)


def written(service: Service, port: ServicePort, family: str, facts: Facts) -> Cause:
    """Why a Service without a selector has no endpoint: its slices are somebody's own."""
    slices = facts.slices_of(service)
    if not slices:
        return Cause("NoEndpointSlice", f"no selector, and {_unlabelled(service, facts)}")
    of_family = [one for one in slices if one.get("addressType", "IPv4") == family]
    if not of_family:
        others = listed(sorted({str(one.get("addressType", "IPv4")) for one in slices}))
        return Cause(
            "NoAddressOfFamily",
            f"the Service wants {family}, and its EndpointSlices have addressType {others}",
        )
    with_port = [one for one in of_family if _has_port(one, port)]
    if not with_port:
        return Cause("NoPortOfName", _other_ports(port, of_family), label(service, port))
    names = listed([meta.name(one) for one in with_port])
    if not any(one.get("endpoints") for one in with_port):
        return Cause("NoEndpoints", f"EndpointSlice {names} has no endpoints")
    return Cause("EndpointsNotReady", f"EndpointSlice {names}: no endpoint is ready")


def _unlabelled(service: Service, facts: Facts) -> str:
    wanted = f"{LABEL_SERVICE_NAME}={meta.name(service)}"
    lost = [
        meta.name(one)
        for one in facts.slices
        if meta.namespace(one) == meta.namespace(service)
        and meta.name(one).startswith(meta.name(service))
        and LABEL_SERVICE_NAME not in meta.labels(one)
    ]
    if lost:
        return f"EndpointSlice {lost[0]} lacks the label {wanted}"
    return f"no EndpointSlice is labelled {wanted}"


def _other_ports(port: ServicePort, slices: Iterable[EndpointSlice]) -> str:
    """A slice's port is the Service's by name and protocol, whatever the numbers."""
    found = sorted({_key(one) for slice_ in slices for one in slice_.get("ports") or ()})
    have = listed([f"{name or 'unnamed'}/{protocol}" for name, protocol in found])
    wanted = f"{port.get('name') or 'unnamed'}/{protocol_of(port)}"
    return f"no EndpointSlice has a port {wanted} (there are: {have or 'none'})"


def strangers(slices: Sequence[EndpointSlice], facts: Facts) -> Iterator[Cause]:
    """Addresses that somebody wrote, which are in the pods' range but no pod's."""
    ranges = [cidr for node in facts.nodes for cidr in meta.spec(node).get("podCIDRs") or ()]
    taken = {ip for pod in facts.pods for ip in addresses(pod)}
    for slice_ in slices:
        for endpoint in slice_.get("endpoints") or ():
            for ip in endpoint.get("addresses") or ():
                if ip not in taken and any(within(ip, cidr) for cidr in ranges):
                    text = f"{ip} (EndpointSlice {meta.name(slice_)}) is the address of no pod"
                    yield Cause("NoSuchAddress", text)
