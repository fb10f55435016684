"""What portmap is told of a pod: its addresses, and the ports of its node that lead to it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from netlab.objects import hostports, meta
from netlab.objects.types import Pod
from netlab.proxy import addresses
from netlab.proxy.addresses import Family
from netlab.proxy.config import ModeName

NETWORK = "netlab"
"""The name of the pods' network, as it would stand in CNI's configuration."""


class PortMapping(Struct, frozen=True):
    """A port of the node (of `host_ip` alone, unless that is "") that leads to one of a pod's."""

    protocol: str
    host_port: int
    container_port: int
    host_ip: str = ""

    def concerns(self, family: Family) -> bool:
        """Whether it is one for that family: an address of the other is none of it."""
        return not self.host_ip or addresses.address(self.host_ip, family) is not None

    def destination(self, family: Family) -> str:
        """The address packets must be for; "" for any, which unspecified ones stand for."""
        found = addresses.address(self.host_ip, family)
        return "" if found in (None, "0.0.0.0", "::") else str(found)


class MappedPod(Struct, frozen=True):
    """A pod with host ports. `sandbox` is what container runtimes know it by, 64 hex digits."""

    sandbox: str
    ips: tuple[str, ...]
    mappings: tuple[PortMapping, ...]

    def ip(self, family: Family) -> str:
        """Its address of that family, or ""."""
        return next((ip for ip in self.ips if addresses.family_of(ip) == family), "")


def mapped(pod: Pod, ips: Sequence[str]) -> MappedPod | None:
    """The pod as portmap sees it; None without host ports, or on its node's own network."""
    if meta.spec(pod).get("hostNetwork"):
        return None
    mappings = tuple(
        PortMapping(each.protocol.lower(), each.host_port, each.container_port, each.ip)
        for each in hostports.mappings(pod)
    )
    sandbox = hashlib.sha256(meta.uid(pod).encode()).hexdigest()
    return MappedPod(sandbox, tuple(ips), mappings) if mappings else None


def rules(mode: ModeName, pods: Sequence[MappedPod], family: Family, pod_cidr: str) -> Any:
    """The rules of a node's pods, those that came last first, in the mode's own terms.

    `pod_cidr` is the range of the node's pods; None when there is no pod.
    """
    pods = [pod for pod in pods if pod.ip(family)]
    if not pods:
        return None
    if mode == "nftables":
        from netlab.portmap import nftables

        return nftables.table(pods, family)
    from netlab.portmap import iptables

    return iptables.ruleset(pods, family, pod_cidr)


AFTER_KUBE_PROXY = frozenset({"PREROUTING", "OUTPUT"})
"""The built-in chains where portmap's jumps are appended; elsewhere they are put first."""


def owner(mode: ModeName) -> str:
    """What the rules are known by: the name of their table, or what their chains' names begin
    with."""
    return "cni_hostport" if mode == "nftables" else "CNI-"
