"""What the rules need to know of the node they are for: its addresses, its zone, its own pods."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from netlab.objects import meta
from netlab.objects.types import Node
from netlab.proxy import addresses
from netlab.proxy.addresses import Family
from netlab.proxy.config import ProxyConfig

ZONE_LABEL = "topology.kubernetes.io/zone"


class NodeView(Struct, frozen=True):
    """The node and the settings, boiled down to what differs in the rules of one family.

    `pods_source` (`-s 10.244.0.0/16`) or `pods_device` (`-i cni0`) matches traffic of this
    cluster's pods; both are "" when there is no way to tell. `node_port_ips` are the addresses
    nodePorts answer on, None for all of them.
    """

    family: Family
    name: str
    zone: str
    ip: str
    pods_source: str
    pods_device: str
    masquerade_all: bool
    mark: str
    localhost_node_ports: bool
    node_port_ips: tuple[str, ...] | None
    drop_invalid: bool
    service_cidrs: tuple[str, ...] = ()

    @property
    def common(self) -> NodeView:
        """What it has in common with other nodes of its cluster, as far as Services' rules go."""
        return replace(self, name="", zone="", ip="", node_port_ips=None)

    @property
    def host_bits(self) -> int:
        """32 or 128: the prefix length of a single address."""
        return addresses.HOST_BITS[self.family]

    @property
    def pods_in(self) -> str:
        """The match for traffic of this cluster's pods, or ""."""
        return self.pods_source or self.pods_device


def node_view(node: Node | None, config: ProxyConfig, family: Family) -> NodeView:
    """The view of `node` (None: nothing is known but the settings) in one address family."""
    ips = config.node_ips or _internal_ips(node)
    wanted = config.node_port_addresses
    if config.mode == "nftables" and not wanted:
        wanted = ("primary",)  # there the default is the node's addresses, not all local ones
    selected = _selected_prefixes(wanted, ips, family)
    serves_localhost = family == "ipv4" and (
        selected is None or any(addresses.overlaps_loopback(one) for one in selected)
    )
    mark = f"{config.masquerade_mark:#x}"
    return NodeView(
        family=family,
        name=config.node_name or (meta.name(node) if node else ""),
        zone=meta.labels(node).get(ZONE_LABEL, "") if node else "",
        ip=next((ip for ip in ips if addresses.family_of(ip) == family), ""),
        pods_source=_pods_source(node, config, family),
        pods_device=_pods_device(config),
        masquerade_all=config.masquerade_all,
        mark=f"{mark}/{mark}",
        localhost_node_ports=serves_localhost and config.localhost_node_ports,
        node_port_ips=_matching(selected, _local_ips(config, ips, family)),
        drop_invalid=not config.conntrack_tcp_be_liberal,
        service_cidrs=_prefixes(config.service_cidrs, family) if config.mode == "nftables" else (),
    )


def _internal_ips(node: Node | None) -> tuple[str, ...]:
    entries = meta.status(node).get("addresses") or () if node else ()
    return tuple(entry["address"] for entry in entries if entry.get("type") == "InternalIP")


def _pods_source(node: Node | None, config: ProxyConfig, family: Family) -> str:
    """`-s PREFIX` in the modes that know pods by their addresses."""
    cidrs: Sequence[str] = ()
    if config.detect_local_mode == "ClusterCIDR":
        cidrs = config.cluster_cidr
    elif config.detect_local_mode == "NodeCIDR" and node:
        cidrs = meta.spec(node).get("podCIDRs") or [meta.spec(node).get("podCIDR") or ""]
    prefix = addresses.first_prefix(cidrs, family)
    return f"-s {prefix}" if prefix else ""


def _pods_device(config: ProxyConfig) -> str:
    """`-i DEVICE` in the modes that know pods by the device their packets come in by."""
    if config.detect_local_mode == "BridgeInterface" and config.bridge_interface:
        return f"-i {config.bridge_interface}"
    if config.detect_local_mode == "InterfaceNamePrefix" and config.interface_name_prefix:
        return f"-i {config.interface_name_prefix}+"
    return ""


def _selected_prefixes(
    wanted: tuple[str, ...], ips: tuple[str, ...], family: Family
) -> tuple[str, ...] | None:
    """nodePortAddresses of that family as prefixes; None when they leave every address in."""
    if "primary" in wanted:
        wanted = tuple(f"{ip}/{addresses.HOST_BITS[addresses.family_of(ip)]}" for ip in ips)
    prefixes = _prefixes(wanted, family)
    if not prefixes or any(one.endswith("/0") for one in prefixes):
        return None
    return prefixes


def _prefixes(texts: tuple[str, ...], family: Family) -> tuple[str, ...]:
    return tuple(found for one in texts if (found := addresses.prefix(one, family)))


def _local_ips(config: ProxyConfig, ips: tuple[str, ...], family: Family) -> tuple[str, ...]:
    if config.interface_addresses is None:
        own = [*ips, "127.0.0.1", "::1"]
    else:
        own = [one.partition("/")[0] for of in config.interface_addresses.values() for one in of]
    return tuple(found for one in own if (found := addresses.address(one, family)))


def _matching(
    prefixes: tuple[str, ...] | None, local_ips: tuple[str, ...]
) -> tuple[str, ...] | None:
    if prefixes is None:
        return None
    found = {ip for ip in local_ips if any(addresses.contains(one, ip) for one in prefixes)}
    return tuple(sorted(found))
