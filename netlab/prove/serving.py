"""What Services are about: the packets to their addresses and nodePorts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from netlab.objects import meta
from netlab.objects.types import Node, Service
from netlab.prove.ground import service_doors
from netlab.prove.space import DADDR, DPORT, PROTO, PROTOCOLS, Box, Space, union
from netlab.proxy.addresses import Family
from netlab.proxy.config import ProxyConfig


def boxes(services: Iterable[Service], family: Family, own: Sequence[str]) -> list[Box]:
    """All packets to any of them, those of one protocol and port together."""
    space = Space(family, (), [one for one in own if (":" in one) == (family == "ipv6")])
    known = list(services)
    addresses: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for door in service_doors(known, family):
        addresses[door.protocol, door.port] += space.network(door.address)
    for protocol, port in _node_ports(known):
        addresses[protocol, port] += space.known_local or ((space.own, space.own),)
    return [
        (
            (DADDR, union(found)),
            (DPORT, ((port, port),)),
            (PROTO, ((PROTOCOLS[protocol],) * 2,)),
        )
        for (protocol, port), found in addresses.items()
    ]


def _node_ports(services: Iterable[Service]) -> Iterable[tuple[str, int]]:
    for service in services:
        for port in meta.spec(service).get("ports") or ():
            if number := port.get("nodePort"):
                yield (port.get("protocol") or "TCP").lower(), number


def node_addresses(node: Node | None, config: ProxyConfig) -> list[str]:
    """A node's own, as its object or kube-proxy's settings have them."""
    entries = meta.status(node).get("addresses") or () if node is not None else ()
    kinds = ("InternalIP", "ExternalIP")
    found = [one.get("address") or "" for one in entries if one.get("type") in kinds]
    return list(dict.fromkeys([*config.node_ips, *filter(None, found)]))
