"""Which UDP conntrack entries lead nowhere after a change. Pure.

UDP has no end of a connection: a client that keeps its port keeps the entry alive, and with it
the translation to an endpoint that is gone. TCP clients notice by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from netlab.conntrack import Flow
from netlab.proxy.categorize import Choice
from netlab.proxy.services import ServicePort


class UdpPort(Struct):
    """Where a UDP service port is reached (address, port; "" for any of the node's) and who
    answers: conntrack entries that lead elsewhere are stale."""

    frontends: tuple[tuple[str, int], ...]
    endpoints: frozenset[tuple[str, int]]


def udp_port(port: ServicePort, choice: Choice) -> UdpPort:
    """What conntrack must know of a UDP service port, to forget the rest."""
    ips = (port.cluster_ip, *port.external_ips, *port.load_balancer_ips)
    nodes = (("", port.node_port),) if port.node_port else ()
    frontends = (*((ip, port.port) for ip in ips), *nodes)
    return UdpPort(frontends, frozenset((ep.ip, ep.port) for ep in choice.reachable))


_NOTHING = UdpPort((), frozenset())

Entry = tuple[str, ...]
"""Arguments of `conntrack -D` that select the entries to forget."""


class WithUdp(Protocol):
    """The rules of a Service, in whichever mode."""

    udp: dict[str, UdpPort]


def stale_entries(old: WithUdp | None, new: WithUdp | None) -> list[Entry]:
    """What to forget when a Service's rules change from `old` to `new`."""
    had: Mapping[str, UdpPort] = old.udp if old else {}
    has: Mapping[str, UdpPort] = new.udp if new else {}
    found: list[Entry] = []
    for port in sorted(had.keys() | has.keys()):
        found += _stale(had.get(port, _NOTHING), has.get(port, _NOTHING))
    return found


def _stale(old: UdpPort, new: UdpPort) -> Iterable[Entry]:
    fronts = sorted({*old.frontends, *new.frontends})
    for front in fronts:
        lost = front in old.frontends and front not in new.frontends
        gone = old.endpoints if lost else old.endpoints - new.endpoints
        for ip, port in sorted(gone):
            yield (*_original(front), "--reply-src", ip, "--reply-port-src", str(port))
        if new.endpoints and not (old.endpoints and front in old.frontends):
            # Packets that came before there was an endpoint were tracked untranslated.
            yield (*_original(front), *_untranslated(front))


def left_over(services: Iterable[WithUdp], found: Iterable[Flow]) -> list[Entry]:
    """What to forget of what was there before anybody looked: flows to Services that others answer
    than their endpoints."""
    answerers: dict[tuple[str, int], frozenset[tuple[str, int]]] = {
        front: port.endpoints
        for service in services
        for port in service.udp.values()
        for front in port.frontends
    }
    stale: dict[Entry, None] = {}
    for flow in found:
        address, port = flow.destination
        right = answerers.get((address, port), answerers.get(("", port)))
        if right is not None and flow.answering not in right:
            ip, number = flow.answering
            who = ("--reply-src", ip, "--reply-port-src", str(number))
            stale[(*_original(flow.destination), *who)] = None
    return list(stale)


def _original(front: tuple[str, int]) -> Entry:
    ip, port = front
    address = ("--orig-dst", ip) if ip else ()
    return (*address, "--orig-port-dst", str(port))


def _untranslated(front: tuple[str, int]) -> Entry:
    ip, port = front
    address = ("--reply-src", ip) if ip else ()
    return (*address, "--reply-port-src", str(port))
