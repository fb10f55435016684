"""Services of type LoadBalancer: whose they are, what addresses they have, which node answers.

As MetalLB does it in layer 2 mode: of the nodes that may, the one answers that comes first in the
order of a hash over node and address. So every node's part is about the same, and when a node goes
no address moves but those that it had.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from netlab.objects import meta
from netlab.objects.ranges import split
from netlab.objects.types import EndpointConditions, EndpointSlice, Node, Service

EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
"""A node with this label, whatever its value, answers for no load balancer."""

SHARING_ANNOTATIONS = ("metallb.io/allow-shared-ip", "metallb.universe.tf/allow-shared-ip")
REQUEST_ANNOTATIONS = ("metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs")


def is_balanced(service: Service) -> bool:
    """A Service of type LoadBalancer that is not left to somebody else by its class."""
    spec = meta.spec(service)
    return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")


def ingress_ips(service: Service) -> tuple[str, ...]:
    """The addresses that its status says it has."""
    entries = (meta.status(service).get("loadBalancer") or {}).get("ingress") or ()
    return tuple(str(entry["ip"]) for entry in entries if entry.get("ip"))


def requested_ips(service: Service) -> tuple[str, ...]:
    """The addresses it asks for: MetalLB's annotation, or `spec.loadBalancerIP`."""
    annotations = meta.annotations(service)
    written = next((annotations[name] for name in REQUEST_ANNOTATIONS if name in annotations), None)
    return split(written or meta.spec(service).get("loadBalancerIP") or None)


def is_local(service: Service) -> bool:
    """True when only nodes with an endpoint of their own may answer for it."""
    return meta.spec(service).get("externalTrafficPolicy") == "Local"


class Sharing(NamedTuple):
    """Under what conditions a Service shares an address: with those of its `key`, if that is not
    "", whose `backends` are the same, and that have none of its `ports` (`TCP/80`)."""

    key: str
    backends: str
    ports: frozenset[str]

    def may_join(self, other: Sharing) -> bool:
        """Whether the two may have one address, but for their ports."""
        return bool(self.key) and (self.key, self.backends) == (other.key, other.backends)


def sharing(service: Service) -> Sharing:
    """What a Service says of sharing its address. Where only nodes with an endpoint answer, the
    endpoints must be the same: one node answers for all."""
    annotations, spec = meta.annotations(service), meta.spec(service)
    key = next((annotations[name] for name in SHARING_ANNOTATIONS if name in annotations), "")
    selector = (spec.get("selector") or {}) if is_local(service) else None
    backends = "cluster" if selector is None else ",".join(sorted(map("=".join, selector.items())))
    ports = {f"{one.get('protocol') or 'TCP'}/{one['port']}" for one in spec.get("ports") or ()}
    return Sharing(key, backends, frozenset(ports))


def announcing_node(
    service: Service, nodes: Iterable[Node], slices: Iterable[EndpointSlice]
) -> str | None:
    """The name of the node that answers for the addresses of a Service; None when none may.

    `nodes` are all there are, `slices` the Service's own. For a Service without an endpoint that
    serves, nobody does.
    """
    addresses, serving = ingress_ips(service), serving_nodes(service, slices)
    if not is_balanced(service) or not addresses or not serving:
        return None
    names = {meta.name(node) for node in nodes if may_announce(node)}
    if is_local(service):
        names &= serving
    return min(names, key=lambda node: _rank(node, addresses[0]), default=None)


def _rank(node: str, address: str) -> bytes:
    return hashlib.sha256(f"{node}#{address}".encode()).digest()


def may_announce(node: Node) -> bool:
    """Whether a node may answer for load balancers at all."""
    return meta.is_ready(node) and EXCLUDED not in meta.labels(node)


def serving_nodes(service: Service, slices: Iterable[EndpointSlice]) -> set[str]:
    """Where endpoints serve, be it while they terminate: "" for one that is on no node."""
    regardless = bool(meta.spec(service).get("publishNotReadyAddresses"))
    return {
        str(endpoint.get("nodeName") or "")
        for slice_ in slices
        for endpoint in slice_.get("endpoints") or ()
        if _serves(endpoint.get("conditions") or {}, regardless)
    }


def _serves(conditions: EndpointConditions, regardless: bool) -> bool:
    serving = None if regardless else conditions.get("serving")
    return conditions.get("ready") is not False if serving is None else serving
