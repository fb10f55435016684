"""The Lab object: what `kind: Lab` asks for, with every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from netlab.objects import fields, times
from netlab.objects.meta import Object
from netlab.objects.pools import NONE, AddressRange, external_ips, load_balancer_pools
from netlab.objects.ranges import (
    FIRST_NODE,
    AddressPool,
    Family,
    addresses,
    client_entries,
    families,
    node_entries,
    node_local_addresses,
    node_pod_cidrs,
    nth_address,
    ranges,
    split,
)
from netlab.objects.types import Taint
from netlab.objects.validate_lab import NAME_FIELDS, lab_problems

__all__ = [
    "API_VERSION",
    "Dns",
    "External",
    "ExternalClient",
    "Lab",
    "Node",
    "NodeLifecycle",
    "Proxy",
    "lab_from_object",
    "lab_problems",
]

API_VERSION = "netlab/v1"
CONTROL_PLANE_TAINT: Taint = {
    "key": "node-role.kubernetes.io/control-plane",
    "effect": "NoSchedule",
}

Role = Literal["control-plane", "worker"]
ProxyMode = Literal["iptables", "nftables"]
IptablesBackend = Literal["auto", "nft", "legacy", "libiptc"]


class Node(Struct, frozen=True):
    """One machine of the lab: a network namespace with a foot on each of two networks.

    Addresses are bare (`10.10.11.10`), `pod_cidrs` are ranges; one of each IP family, in the
    order of the lab's families. `labels` are the user's only. `taints` are Kubernetes' own
    objects (key, value, effect).
    """

    name: str
    role: Role = "worker"
    labels: dict[str, str] = field(default_factory=dict)
    internal_ips: tuple[str, ...] = ()
    external_ips: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = ()
    taints: tuple[Taint, ...] = ()


class ExternalClient(Struct, frozen=True):
    """A machine outside the cluster, on the external network alone."""

    name: str
    ips: tuple[str, ...] = ()


class External(Struct, frozen=True):
    """The network outside: the nodes' external addresses, the clients, the way to the internet.

    `gateway_ips` (the first address of each range) belong to the internet's stand-in. Its DNS
    knows `names` beside those that it always knows, at these addresses or (none) the internet's
    own; for any other it asks `upstream`, as `nameservers` reads them, if there is one.
    """

    cidrs: tuple[str, ...]
    clients: tuple[ExternalClient, ...]
    gateway_ips: tuple[str, ...]
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    upstream: tuple[str, ...] = ()


class Dns(Struct, frozen=True):
    """The cluster's own DNS. Where each node has a cache (NodeLocal DNSCache), `node_local` are its
    addresses, the same on every node, at most one of each IP family."""

    domain: str = "cluster.local"
    node_local: tuple[str, ...] = ()


class Proxy(Struct, frozen=True):
    """kube-proxy's own settings, with its defaults; `node_port_addresses` () means every address.

    An entry is a range, or `primary` for the node's internal address.
    """

    masquerade_all: bool = False
    localhost_node_ports: bool = True
    node_port_addresses: tuple[str, ...] = ()


class NodeLifecycle(Struct, frozen=True):
    """When a node counts as lost, and how long its pods bear that: all in seconds.

    The last two are what pods are given that say nothing of it themselves.
    """

    monitor_grace_period: float = 2.0
    unreachable_toleration: int = 5
    not_ready_toleration: int = 300


class Lab(Struct, frozen=True):
    """A whole lab. Ranges come one per IP family, in the order of `ip_families`.

    `load_balancer_pools` are what Services of type LoadBalancer get their addresses from; ()
    leaves them without.
    """

    name: str
    nodes: tuple[Node, ...]
    pod_cidrs: tuple[str, ...]
    service_cidrs: tuple[str, ...]
    ip_families: tuple[Family, ...]
    proxy_mode: ProxyMode
    iptables: IptablesBackend
    node_network: tuple[str, ...]
    external: External
    dns: Dns
    proxy: Proxy
    load_balancer_pools: tuple[AddressRange, ...]
    node_lifecycle: NodeLifecycle = NodeLifecycle()

    def node(self, name: str) -> Node | None:
        """The node of that name."""
        return next((node for node in self.nodes if node.name == name), None)

    def balances(self, address: str) -> bool:
        """Whether an address is one of those for load balancers."""
        parsed = fields.parse_address(address)
        return parsed is not None and any(parsed in pool for pool in self.load_balancer_pools)

    def to_object(self) -> Object:
        """The `kind: Lab` object with everything spelled out; reads back as an equal Lab."""
        return {
            "apiVersion": API_VERSION,
            "kind": "Lab",
            "metadata": {"name": self.name},
            "spec": {
                "nodes": [node_to_object(node) for node in self.nodes],
                "podCIDR": ",".join(self.pod_cidrs),
                "serviceCIDR": ",".join(self.service_cidrs),
                "ipFamilies": list(self.ip_families),
                "proxyMode": self.proxy_mode,
                "iptables": self.iptables,
                "nodeNetwork": ",".join(self.node_network),
                "external": {
                    "cidr": ",".join(self.external.cidrs),
                    "clients": [
                        {"name": client.name, "ip": ",".join(client.ips)}
                        for client in self.external.clients
                    ],
                    "names": {name: list(ips) for name, ips in self.external.names.items()},
                    "upstream": list(self.external.upstream),
                },
                "loadBalancer": {"pool": ",".join(map(str, self.load_balancer_pools)) or NONE},
                "dns": _dns_to_object(self.dns),
                "nodeLifecycle": {
                    "nodeMonitorGracePeriod": f"{self.node_lifecycle.monitor_grace_period:g}s",
                    "defaultUnreachableTolerationSeconds": (
                        self.node_lifecycle.unreachable_toleration
                    ),
                    "defaultNotReadyTolerationSeconds": self.node_lifecycle.not_ready_toleration,
                },
                "proxy": {
                    "masqueradeAll": self.proxy.masquerade_all,
                    "localhostNodePorts": self.proxy.localhost_node_ports,
                    "nodePortAddresses": list(self.proxy.node_port_addresses),
                },
            },
        }


def _dns_to_object(dns: Dns) -> dict[str, Any]:
    caches = {"address": ",".join(dns.node_local)} if dns.node_local else None
    return {"domain": dns.domain, "nodeLocal": caches}


def node_to_object(node: Node) -> dict[str, Any]:
    """The entry of `spec.nodes` for a node, with everything spelled out."""
    return {
        "name": node.name,
        "role": node.role,
        "labels": dict(node.labels),
        "internalIP": ",".join(node.internal_ips),
        "externalIP": ",".join(node.external_ips),
        "podCIDR": ",".join(node.pod_cidrs),
        "taints": [dict(taint) for taint in node.taints],
    }


def node_from_object(entry: Mapping[str, Any]) -> Node:
    """The node that such an entry tells of."""
    return Node(
        name=entry["name"],
        role=entry["role"],
        labels=dict(entry["labels"]),
        internal_ips=split(entry["internalIP"]),
        external_ips=split(entry["externalIP"]),
        pod_cidrs=split(entry["podCIDR"]),
        taints=tuple(entry["taints"]),
    )


def lab_from_object(obj: Object) -> Lab:
    """The Lab that an object without `lab_problems` describes, every default filled in."""
    spec: Mapping[str, Any] = obj["spec"]
    client_ips, node_ips = external_ips(spec)
    return Lab(
        name=obj["metadata"]["name"],
        nodes=_nodes(spec, node_entries(spec.get("nodes")), node_ips),
        pod_cidrs=ranges(spec, "podCIDR"),
        service_cidrs=ranges(spec, "serviceCIDR"),
        ip_families=families(spec),
        proxy_mode=spec.get("proxyMode") or "iptables",
        iptables=spec.get("iptables") or "auto",
        node_network=ranges(spec, "nodeNetwork"),
        external=_external(spec, client_ips),
        dns=Dns(
            (spec.get("dns") or {}).get("domain") or "cluster.local", node_local_addresses(spec)
        ),
        proxy=_proxy(spec.get("proxy") or {}),
        load_balancer_pools=load_balancer_pools(spec),
        node_lifecycle=_node_lifecycle(spec.get("nodeLifecycle") or {}),
    )


def _nodes(
    spec: Mapping[str, Any], written: list[dict[str, Any]], node_ips: list[tuple[str, ...]]
) -> tuple[Node, ...]:
    internal = [split(entry.get("internalIP")) for entry in written]
    taken = [address for row in internal for address in row]
    pools = [AddressPool(cidr, taken) for cidr in ranges(spec, "nodeNetwork")]
    internal_ips = addresses(internal, pools, FIRST_NODE)
    pod_cidrs = _pod_cidrs(ranges(spec, "podCIDR"), written)
    only_control_planes = all(entry.get("role") == "control-plane" for entry in written)
    return tuple(
        Node(
            name=entry["name"],
            role=entry.get("role") or "worker",
            labels=dict(entry.get("labels") or {}),
            internal_ips=internal_ips[index],
            external_ips=node_ips[index],
            pod_cidrs=pod_cidrs[index],
            taints=_taints(entry, only_control_planes),
        )
        for index, entry in enumerate(written)
    )


def _taints(entry: Mapping[str, Any], only_control_planes: bool) -> tuple[Taint, ...]:
    """A control plane keeps pods away, as kubeadm has it, unless nothing else could run them."""
    if entry.get("taints") is not None:
        return tuple(entry["taints"])
    if entry.get("role") != "control-plane" or only_control_planes:
        return ()
    return (CONTROL_PLANE_TAINT,)


def _pod_cidrs(cidrs: tuple[str, ...], written: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    columns = []
    for cidr in cidrs:
        is_v6 = ":" in cidr
        overrides = [
            next((text for text in split(entry.get("podCIDR")) if (":" in text) == is_v6), None)
            for entry in written
        ]
        columns.append(node_pod_cidrs(cidr, overrides))
    return [tuple(text for text in row if text) for row in zip(*columns, strict=True)]


def _external(spec: Mapping[str, Any], client_ips: list[tuple[str, ...]]) -> External:
    cidrs = ranges(spec, "external.cidr")
    clients = client_entries(spec.get("external") or {})
    return External(
        cidrs=cidrs,
        clients=tuple(
            ExternalClient(client["name"], ips)
            for client, ips in zip(clients, client_ips, strict=True)
        ),
        gateway_ips=tuple(nth_address(cidr, 1) for cidr in cidrs),
        names=_names(spec),
        upstream=split((spec.get("external") or {}).get("upstream")),
    )


def _names(spec: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What the internet's DNS knows; `dns.upstream` is where older files have it."""
    written = [(spec.get(group) or {}).get(field) for group, field in NAME_FIELDS]
    return {
        name.rstrip("."): split(ips) for names in written for name, ips in (names or {}).items()
    }


def _proxy(proxy: Mapping[str, Any]) -> Proxy:
    localhost = proxy.get("localhostNodePorts")
    return Proxy(
        masquerade_all=bool(proxy.get("masqueradeAll")),
        localhost_node_ports=True if localhost is None else localhost,
        node_port_addresses=tuple(proxy.get("nodePortAddresses") or ()),
    )


def _node_lifecycle(written: Mapping[str, Any]) -> NodeLifecycle:
    default = NodeLifecycle()
    grace = times.duration(written.get("nodeMonitorGracePeriod") or "")
    unreachable = written.get("defaultUnreachableTolerationSeconds")
    not_ready = written.get("defaultNotReadyTolerationSeconds")
    return NodeLifecycle(
        default.monitor_grace_period if grace is None else grace,
        default.unreachable_toleration if unreachable is None else unreachable,
        default.not_ready_toleration if not_ready is None else not_ready,
    )
