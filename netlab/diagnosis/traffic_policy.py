"""Ways in that a Service with endpoints still does not have: traffic policies, nodePorts, load
balancers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from netlab.diagnosis.facts import Cause, Facts, Way, label, listed, ports, within
from netlab.diagnosis.remedies import patch
from netlab.objects import meta
from netlab.objects.loadbalancing import (
    EXCLUDED,
    announcing_node,
    ingress_ips,
    is_balanced,
    is_local,
    serving_nodes,
)
from netlab.objects.types import Endpoint, Service, ServicePort

_OUTSIDE = ("nodePort", "loadBalancer", "externalIP")


def local(
    service: Service, port: ServicePort, endpoints: Sequence[Endpoint], facts: Facts, way: Way
) -> Iterator[Cause]:
    """Nodes that drop a port's packets because its policy is Local and they have no endpoint."""
    here = {str(one.get("nodeName") or "") for one in endpoints}
    nodes = [way.node] if way.node else [meta.name(node) for node in facts.nodes]
    without = sorted(name for name in nodes if name not in here)
    if not without or not endpoints:
        return
    has = f"endpoints are on {listed(sorted(here - {''})) or 'no node'}"
    for field in _policies(service, way):
        text = f"{field}: Local, and no endpoint on {listed(without)} ({has})"
        yield Cause(
            "NoLocalEndpoint",
            text,
            label(service, port),
            tuple(without),
            remedy=patch(service, {"spec": {field: "Cluster"}}) + "    # or a pod on each node",
        )


def _policies(service: Service, way: Way) -> Iterator[str]:
    """The policies that are Local and concern this way."""
    spec = meta.spec(service)
    if spec.get("internalTrafficPolicy") == "Local" and way.entrance in ("", "clusterIP"):
        yield "internalTrafficPolicy"
    # A load balancer asks no node that has no endpoint, so that nobody misses one there.
    asked = way.entrance in _OUTSIDE or (
        not way.entrance and (bool(way.node) or spec.get("type") == "NodePort")
    )
    if is_local(service) and asked and spec.get("type") != "ClusterIP":
        yield "externalTrafficPolicy"


def load_balancer(service: Service, facts: Facts, way: Way) -> Iterator[Cause]:
    """A load balancer that has no address, that no node answers for, or that lets nobody in."""
    if meta.spec(service).get("type") != "LoadBalancer" or way.entrance not in ("", "loadBalancer"):
        return
    ips, owner = ingress_ips(service), meta.spec(service).get("loadBalancerClass")
    if owner and not ips:
        text = f"no load balancer's address: loadBalancerClass {owner} is left to somebody else"
        yield Cause("NoLoadBalancer", text)
    elif not ips:
        yield Cause("NoLoadBalancer", f"no load balancer's address: {_unallocated(service, facts)}")
    elif is_balanced(service):
        slices = facts.slices_of(service)
        if announcing_node(service, facts.nodes, slices) is None:
            served = bool(serving_nodes(service, slices))
            yield Cause("NobodyAnnounces", _unannounced(ips[0], facts, served=served))
        yield from _firewall(service, way)


def _unallocated(service: Service, facts: Facts) -> str:
    if not facts.has_pool:
        return "the Lab's loadBalancer.pool is none"
    failures = facts.events_of(service, "AllocationFailed")
    message = str(failures[-1].get("message")) if failures else "none was given yet"
    return message.removeprefix(f'Failed to allocate IP for "{meta.key(service)}": ')


def _unannounced(ip: str, facts: Facts, *, served: bool) -> str:
    if not served:
        return f"no node answers for {ip}: no endpoint serves"
    able = [node for node in facts.nodes if meta.is_ready(node)]
    if not able:
        return f"no node answers for {ip}: none is ready"
    if all(EXCLUDED in meta.labels(node) for node in able):
        return f"no node answers for {ip}: all are labelled {EXCLUDED}"
    return f"no node answers for {ip}: externalTrafficPolicy is Local, and no node has an endpoint"


def _firewall(service: Service, way: Way) -> Iterator[Cause]:
    allowed = meta.spec(service).get("loadBalancerSourceRanges") or []
    if allowed and way.source and not any(within(way.source, cidr) for cidr in allowed):
        text = f"loadBalancerSourceRanges {listed(allowed)} leave {way.source} out"
        wider = [*allowed, f"{way.source}/{128 if ':' in way.source else 32}"]
        mended = patch(service, {"spec": {"loadBalancerSourceRanges": wider}})
        yield Cause("SourceRefused", text, remedy=mended)


def node_port(facts: Facts, way: Way) -> Iterator[Cause]:
    """An address that the node does not answer nodePorts at."""
    answering = facts.node_port_addresses.get(way.node)
    if way.entrance != "nodePort" or answering is None or way.destination in answering:
        return
    text = (
        f"nodePortAddresses leave {way.destination} out (nodePorts answer at {listed(answering)})"
    )
    yield Cause("NoNodePortThere", text, nodes=(way.node,))


def nearest_node_port(number: int, protocol: str, services: Iterable[Service]) -> Cause:
    """For a nodePort that no Service has."""
    taken = {
        port["nodePort"]: meta.key(service)
        for service in services
        for port in ports(service)
        if port.get("nodePort") and (port.get("protocol") or "TCP") == protocol
    }
    hint = "no Service has any"
    if taken:
        near = min(taken, key=lambda other: (abs(other - number), other))
        hint = f"nearest: {near} of {taken[near]}"
    return Cause("NoSuchNodePort", f"no Service has the nodePort {number}/{protocol} ({hint})")
