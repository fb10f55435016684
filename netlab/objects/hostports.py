"""Ports of their node that pods claim, and whether two claims are of the same port. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from netlab.objects.offers import lasting
from netlab.objects.types import Pod

ANY = "0.0.0.0"
"""The address that stands for all of a node's."""


NO_FREE_PORTS = "node(s) didn't have free ports for the requested pod ports"


class HostPort(NamedTuple):
    """A port of a node, on one of its addresses or on ANY."""

    protocol: str
    port: int
    ip: str = ANY


class Mapping(NamedTuple):
    """A port of a node (of `ip` alone, unless that is ANY) that leads to a container's."""

    protocol: str
    host_port: int
    container_port: int
    ip: str

    def is_for(self, protocol: str, address: str) -> bool:
        """Whether what is sent so to a node's address goes there."""
        return self.protocol == protocol and self.ip in (ANY, "::", address)


def mappings(pod: Pod) -> list[Mapping]:
    """Where each hostPort of a pod leads."""
    ports = (port for container in lasting(pod) for port in container.get("ports") or ())
    return [
        Mapping(port.get("protocol") or "TCP", int(port["hostPort"]), int(port["containerPort"]),
                port.get("hostIP") or ANY)
        for port in ports
        if port.get("hostPort")
    ]  # fmt: skip


def host_ports(pod: Pod) -> list[HostPort]:
    """Every hostPort that the pod's containers, and init containers that go on running, ask for."""
    return [HostPort(each.protocol, each.host_port, each.ip) for each in mappings(pod)]


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
