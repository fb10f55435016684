"""Services and EndpointSlices, one Service after another: what the compilers of both modes share.

A Service is compiled alone, so that a change costs what changed.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from msgspec import Struct, field

from netlab.objects import meta
from netlab.objects.endpointslices import service_key
from netlab.objects.types import EndpointSlice, Service
from netlab.proxy.categorize import Choice, categorize
from netlab.proxy.conntrack import UdpPort, udp_port
from netlab.proxy.endpoints import endpoints, ready_here
from netlab.proxy.node_view import NodeView
from netlab.proxy.services import Complaint, ServicePort, service_ports


class ServiceRules(Struct):
    """What one Service adds to a node's rules; its mode adds the rules themselves.

    `key` is `ns/name`; `health` the local endpoints behind its healthCheckNodePort, by that port;
    `udp` what conntrack must know, by the service port's name; `without_local` how many ports
    want an endpoint of the node's by their policy (`internal`, `external`) and have none there.
    """

    key: str
    health: dict[int, int] = field(default_factory=dict)
    udp: dict[str, UdpPort] = field(default_factory=dict)
    without_local: dict[str, int] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)


_Rules = TypeVar("_Rules", bound=ServiceRules)
_T = TypeVar("_T")


def fill(
    out: _Rules,
    service: Service,
    slices: Iterable[EndpointSlice],
    node: NodeView,
    write: Callable[[ServicePort, Choice, NodeView, _Rules], None],
) -> _Rules:
    """Read one Service and have `write` put the rules of each of its ports into `out`, which is
    returned, and which nobody changes then. Depends on nothing else than what it is given."""
    ports = service_ports(service, node.family, out.complaints)
    if ports:
        _fill(out, ports, slices, node, write)
    for part, nothing in _EMPTY.items():  # most have none of these: one empty thing does for all
        if not getattr(out, part):
            setattr(out, part, nothing)
    return out


_EMPTY: dict[str, Any] = {"health": {}, "udp": {}, "without_local": {}, "complaints": []}


def _fill(
    out: _Rules,
    ports: Sequence[ServicePort],
    slices: Iterable[EndpointSlice],
    node: NodeView,
    write: Callable[[ServicePort, Choice, NodeView, _Rules], None],
) -> None:
    by_port = endpoints(slices, node.family, node.name, out.complaints)
    for port in ports:
        found = by_port.get((port.port_name, port.protocol), ())
        choice = categorize(found, port, node.name, node.zone)
        write(port, choice, node, out)
        if choice.anywhere and not choice.local and port.uses_local_endpoints:
            for policy in ("internal",) * port.internal_local + ("external",) * port.external_local:
                out.without_local[policy] = out.without_local.get(policy, 0) + 1
        if port.protocol == "udp":
            out.udp[port.name] = udp_port(port, choice)
    if health := ports[0].health_check_node_port:
        out.health[health] = ready_here(by_port)


def each_service(
    services: Iterable[Service],
    slices: Iterable[EndpointSlice],
    compiled: Callable[[Service, Iterable[EndpointSlice]], _T],
) -> list[_T]:
    """What `compiled` makes of each Service and its EndpointSlices, in the order of their keys."""
    by_service: dict[str, list[EndpointSlice]] = {}
    for endpoint_slice in slices:
        if key := service_key(endpoint_slice):
            by_service.setdefault(key, []).append(endpoint_slice)
    keyed = sorted(((meta.key(service), service) for service in services), key=lambda one: one[0])
    with no_collection():
        return [compiled(service, by_service.get(key, ())) for key, service in keyed]


@contextmanager
def no_collection() -> Iterator[None]:
    """Make many objects without the garbage collector looking through them again and again:
    none of them is garbage, and its looking would take a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
