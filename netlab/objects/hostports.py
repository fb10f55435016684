"""Ports of their node that pods claim, and whether two claims are of the same port. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from netlab.objects import meta
from netlab.objects.offers import lasting
from netlab.objects.types import Container, ContainerPort, Pod

ANY = "0.0.0.0"
"""The address that stands for all of a node's."""


NO_FREE_PORTS = "node(s) didn't have free ports for the requested pod ports"


class HostPort(NamedTuple):
    """A port of a node, on one of its addresses or on ANY."""

    protocol: str
    port: int
    ip: str = ANY


class Mapping(NamedTuple):
    """A port of a node (of `ip` alone, unless that is "") that leads to a container's."""

    protocol: str
    host_port: int
    container_port: int
    ip: str

    def is_for(self, protocol: str, address: str) -> bool:
        """Whether what is sent so to a node's address goes there."""
        return self.protocol == protocol and self.ip in ("", ANY, "::", address)


def mappings(pod: Pod) -> list[Mapping]:
    """Where each hostPort of a pod leads: those of its `containers`.

    A kubelet tells the runtime of no others, so a sidecar's claims its port and leads nowhere.
    """
    return [_mapping(port) for port in _ports(meta.spec(pod).get("containers") or ())]


def host_ports(pod: Pod) -> list[HostPort]:
    """Every hostPort that the pod's containers, and init containers that go on running, ask for."""
    claims = map(_mapping, _ports(lasting(pod)))
    return [HostPort(each.protocol, each.host_port, each.ip or ANY) for each in claims]


def _ports(containers: Iterable[Container]) -> Iterator[ContainerPort]:
    for container in containers:
        yield from (port for port in container.get("ports") or () if port.get("hostPort"))


def _mapping(port: ContainerPort) -> Mapping:
    protocol, number = port.get("protocol") or "TCP", int(port["hostPort"])
    return Mapping(protocol, number, int(port["containerPort"]), port.get("hostIP") or "")


def clash(wanted: Iterable[HostPort], used: Iterable[HostPort]) -> bool:
    """Whether one of those wanted is taken: on the same address, or where either is on all."""
    taken: dict[tuple[str, int], set[str]] = {}
    for claim in used:
        taken.setdefault((claim.protocol, claim.port), set()).add(claim.ip)
    for claim in wanted:
        ips = taken.get((claim.protocol, claim.port))
        if ips and (claim.ip == ANY or ANY in ips or claim.ip in ips):
            return True
    return False
