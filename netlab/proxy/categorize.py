"""Which endpoints a service port uses on this node: the rules of readiness, policy and topology."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from netlab.proxy.endpoints import EndpointInfo
from netlab.proxy.services import ServicePort


class Choice(NamedTuple):
    """The endpoints in use. `reachable` are those that need a KUBE-SEP chain on this node;
    `anywhere` says whether any node of the cluster has a usable one: without, it is refused."""

    cluster: Sequence[EndpointInfo]
    local: Sequence[EndpointInfo]
    reachable: Sequence[EndpointInfo]
    anywhere: bool


NOTHING = Choice((), (), (), False)


def categorize(
    endpoints: Sequence[EndpointInfo], port: ServicePort, node_name: str, zone: str
) -> Choice:
    """Choose: ready ones near enough, else those still serving while they terminate."""
    if not endpoints:
        return NOTHING
    anywhere = any(ep.ready or _draining(ep) for ep in endpoints)
    cluster: Sequence[EndpointInfo] = ()
    if port.uses_cluster_endpoints:
        near = _topology(endpoints, node_name, zone)
        cluster = [ep for ep in endpoints if ep.ready and near(ep)] or _all_draining(endpoints)
    if not port.uses_local_endpoints:
        return Choice(cluster, (), cluster, anywhere)
    own = [ep for ep in endpoints if ep.local]
    local = [ep for ep in own if ep.ready] or _all_draining(own)
    if not port.uses_cluster_endpoints:
        return Choice((), local, local, anywhere)
    return Choice(cluster, local, sorted({*cluster, *local}), anywhere)


def _draining(ep: EndpointInfo) -> bool:
    return ep.serving and ep.terminating


def _all_draining(endpoints: Sequence[EndpointInfo]) -> list[EndpointInfo]:
    return [ep for ep in endpoints if _draining(ep)]


def _everywhere(_: EndpointInfo) -> bool:
    return True


def _topology(
    endpoints: Sequence[EndpointInfo], node_name: str, zone: str
) -> Callable[[EndpointInfo], bool]:
    """Hints are followed only when every ready endpoint has them and one of them means here:
    anything less, and some endpoint would get no traffic from anybody, or this node none at all.
    """
    ready = [ep for ep in endpoints if ep.ready]
    if not any(ep.zones or ep.nodes for ep in ready):
        return _everywhere
    if all(ep.nodes for ep in ready) and any(node_name in ep.nodes for ep in ready):
        return lambda ep: node_name in ep.nodes
    if all(ep.zones for ep in ready) and any(zone in ep.zones for ep in ready):
        return lambda ep: zone in ep.zones
    return _everywhere
