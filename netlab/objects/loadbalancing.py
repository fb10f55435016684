"""Services of type LoadBalancer: whose they are, what addresses they have, which node answers.

As MetalLB does it in layer 2 mode: of the nodes that may, the one answers that comes first in the
order of a hash over node and address. So every node's part is about the same, and when a node goes
no address moves but those that it had.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from netlab.objects import meta
from netlab.objects.ranges import split
from netlab.objects.types import EndpointSlice, Node, Service

EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
"""A node with this label, whatever its value, answers for no load balancer."""

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


def announcing_node(
    service: Service, nodes: Iterable[Node], slices: Iterable[EndpointSlice]
) -> str | None:
    """The name of the node that answers for the addresses of a Service; None when none may.

    `nodes` are all there are, `slices` the Service's own: until the first of them is written, be it
    empty, nobody knows whether it has endpoints, and whoever came would be refused.
    """
    addresses, known = ingress_ips(service), list(slices)
    if not is_balanced(service) or not addresses:
        return None
    if meta.spec(service).get("selector") and not known:
        return None
    names = {meta.name(node) for node in nodes if may_announce(node)}
    if is_local(service):
        names &= _nodes_serving(known)
    return min(names, key=lambda node: _rank(node, addresses[0]), default=None)


def _rank(node: str, address: str) -> bytes:
    return hashlib.sha256(f"{node}#{address}".encode()).digest()


def may_announce(node: Node) -> bool:
    """Whether a node may answer for load balancers at all."""
    return meta.is_ready(node) and EXCLUDED not in meta.labels(node)


def _nodes_serving(slices: Sequence[EndpointSlice]) -> set[str]:
    """The nodes with a ready endpoint; with none, those where one serves while it terminates.

    kube-proxy sends packets to the same ones.
    """
    return _nodes_where("ready", slices) or _nodes_where("serving", slices)


def _nodes_where(condition: str, slices: Iterable[EndpointSlice]) -> set[str]:
    return {
        str(endpoint.get("nodeName"))
        for slice_ in slices
        for endpoint in slice_.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get(condition) is not False
    }
