"""What must be known of UDP service ports, to forget conntrack entries that lead elsewhere."""

from __future__ import annotations

from msgspec import Struct

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
