"""IPAddresses and ServiceCIDRs: the addresses that Services hold, and their ranges. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from netlab.objects import meta
from netlab.objects.meta import AnyObject, Object
from netlab.objects.ranges import Family, Network, family
from netlab.objects.types import IPAddress, ServiceCIDR

DEFAULT_RANGE = "kubernetes"
"""The ServiceCIDR that every cluster has, with the ranges that its API server was started with."""

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
MANAGED_LABEL = "ipaddress.kubernetes.io/managed-by"
MANAGER = "ipallocator.k8s.io"


_LABELS: Mapping[str, dict[str, str]] = {
    each: {FAMILY_LABEL: each, MANAGED_LABEL: MANAGER} for each in ("IPv4", "IPv6")
}
"""The same of all: nobody changes what is stored."""


def held(address: str, service: AnyObject) -> IPAddress:
    """The IPAddress that says that a Service holds this address."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {
            "name": address,
            "labels": _LABELS[family(address)],
        },
        "spec": {
            "parentRef": {
                "resource": "services",
                "namespace": meta.namespace(service),
                "name": meta.name(service),
            }
        },
    }


def is_managed(address: AnyObject) -> bool:
    """Whether the API server made it, for a Service."""
    return meta.labels(address).get(MANAGED_LABEL) == MANAGER


def has_labels(address: AnyObject) -> bool:
    """Whether it is labelled as those are that the API server makes."""
    of_family = meta.labels(address).get(FAMILY_LABEL) == family(meta.name(address))
    return of_family and is_managed(address)


def is_of(address: AnyObject, service: AnyObject) -> bool:
    """Whether it says that this Service holds it."""
    return holder(address) == meta.key(service)


def holder(address: AnyObject) -> str:
    """`namespace/name` of the Service that holds it; "" if something else does."""
    parent = address["spec"]["parentRef"]
    if parent.get("group") or parent["resource"] != "services":
        return ""
    return f"{parent.get('namespace', '')}/{parent['name']}"


def in_use(ranges: Iterable[Object], of: Family) -> Iterator[str]:
    """The ranges of one family from which Services get addresses, the cluster's first ones before
    others. None is given from a ServiceCIDR that is going."""
    for one in sorted(ranges, key=lambda one: (meta.name(one) != DEFAULT_RANGE, meta.name(one))):
        if not meta.is_terminating(one):
            yield from (cidr for cidr in one["spec"]["cidrs"] if family(cidr) == of)


def contains(cidr: str, address: str) -> bool:
    """Whether an address is one of the range that a Service may have: neither the network's own
    nor, in IPv4, the one for all of it."""
    network, one = _network(cidr), ipaddress.ip_address(address)
    edges = (network[0], network[-1]) if network.version == 4 else (network[0],)
    return one in network and one not in edges


def is_needed(going: ServiceCIDR, others: Iterable[ServiceCIDR], held: Iterable[IPAddress]) -> bool:
    """Whether Services hold addresses that would be of no range any more without this one."""
    rest = [cidr for one in others if meta.name(one) != meta.name(going) for cidr in _cidrs(one)]
    mine = _cidrs(going)
    if all(any(_covers(other, cidr) for other in rest) for cidr in mine):
        return False
    return any(
        _within(meta.name(address), mine) and not _within(meta.name(address), rest)
        for address in held
        if is_managed(address)
    )


def _cidrs(one: ServiceCIDR) -> list[str]:
    return meta.spec(one).get("cidrs") or []


def _within(address: str, cidrs: Iterable[str]) -> bool:
    return any(contains(cidr, address) for cidr in cidrs)


def _covers(outer: str, inner: str) -> bool:
    wide, narrow = _network(outer), _network(inner)
    return (
        wide.version == narrow.version
        and wide.prefixlen <= narrow.prefixlen
        and narrow.network_address in wide
    )


@lru_cache(maxsize=256)
def _network(cidr: str) -> Network:
    return ipaddress.ip_network(cidr)
