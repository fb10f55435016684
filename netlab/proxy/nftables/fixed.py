"""The part of kube-proxy's nftables table that is there whatever the Services are.

filter prerouting, output (before dnat)   -> firewall-check: source ranges of load balancers
nat prerouting, output   -> services: service-ips, then service-nodeports, both verdict maps
filter input, forward, output   -> service-endpoints-check, nodeport-endpoints-check: what has
                                   no endpoint; cluster-ips-check: ports that no Service has
nat postrouting          -> masquerading: what is marked, and pods that reach themselves
"""

from __future__ import annotations

from netlab.proxy import addresses
from netlab.proxy.nftables.model import NFT_FAMILY, NftChain, NftSet, NftTable
from netlab.proxy.node_view import NodeView

HAIRPIN = "hairpin-connections"
REJECT_CHAIN = "reject-chain"
REJECT_COMMENT = 'comment "helper for @no-endpoint-services / @no-endpoint-nodeports"'
CLUSTER_IPS = "cluster-ips"
NODE_PORT_IPS = "nodeport-ips"
NO_ENDPOINT_SERVICES = "no-endpoint-services"
NO_ENDPOINT_NODE_PORTS = "no-endpoint-nodeports"
FIREWALL_IPS = "firewall-ips"
SERVICE_IPS = "service-ips"
SERVICE_NODE_PORTS = "service-nodeports"

_PORT = "meta l4proto . th dport"
_NEW = "ct state new jump"

_HOOKS = {
    # Before dnat, since after it nobody knows the load balancer's address any more.
    "filter-prerouting-pre-dnat": (
        "type filter hook prerouting priority dstnat - 10; policy accept;",
        ("firewall-check",),
    ),
    "filter-output-pre-dnat": (
        "type filter hook output priority -110; policy accept;",
        ("firewall-check",),
    ),
    "filter-input": (
        "type filter hook input priority filter; policy accept;",
        ("nodeport-endpoints-check", "service-endpoints-check"),
    ),
    "filter-forward": (
        "type filter hook forward priority filter; policy accept;",
        ("service-endpoints-check", "cluster-ips-check"),
    ),
    "filter-output": (
        "type filter hook output priority filter; policy accept;",
        ("service-endpoints-check", "cluster-ips-check"),
    ),
}

_NAT_HOOKS = {
    "nat-prerouting": ("type nat hook prerouting priority dstnat; policy accept;", "services"),
    "nat-output": ("type nat hook output priority -100; policy accept;", "services"),
    "nat-postrouting": (
        "type nat hook postrouting priority srcnat; policy accept;",
        "masquerading",
    ),
}


def fixed_table(node: NodeView) -> NftTable:
    """The table as it is without any Service."""
    table = NftTable(node.family)
    table.sets = _sets(node)
    for ip in node_port_ips(node):
        table.elements[NODE_PORT_IPS, ip] = ""
    for name, (header, jumps) in _HOOKS.items():
        table.chains[name] = NftChain(tuple(f"{_NEW} {jump}" for jump in jumps), header)
    for name, (header, jump) in _NAT_HOOKS.items():
        table.chains[name] = NftChain((f"jump {jump}",), header)
    table.chains |= _checks(node)
    return table


def node_port_ips(node: NodeView) -> tuple[str, ...]:
    """The addresses nodePorts answer on; loopback never does in nftables mode."""
    loopback = addresses.LOOPBACK[node.family]
    return tuple(ip for ip in node.node_port_ips or () if not addresses.contains(loopback, ip))


def mark(node: NodeView) -> str:
    """The masquerade mark as nft writes it: `0x00004000`."""
    return f"0x{int(node.mark.partition('/')[0], 0):08x}"


def masquerade(node: NodeView) -> str:
    """The statement that marks a packet for masquerading."""
    return f"meta mark set meta mark | {mark(node)}"


def pods(node: NodeView, operator: str = "") -> str:
    """The match for this cluster's pods, `ip saddr 10.244.0.0/16`; "" when there is none."""
    if node.pods_source:
        prefix = node.pods_source.removeprefix("-s ")
        return f"{NFT_FAMILY[node.family]} saddr {operator}{prefix}"
    if node.pods_device:
        device = node.pods_device.removeprefix("-i ").replace("+", "*")
        return f'iifname {operator}"{device}"'
    return ""


def _sets(node: NodeView) -> dict[str, NftSet]:
    ip = "ipv4_addr" if node.family == "ipv4" else "ipv6_addr"
    service, port = f"{ip} . inet_proto . inet_service", "inet_proto . inet_service"
    some = {NODE_PORT_IPS: _set("set", ip, "IPs that accept NodePort traffic")}
    return {
        HAIRPIN: _set("set", f"{ip} . {service}", "service hairpin connections"),
        CLUSTER_IPS: _set("set", ip, "Active ClusterIPs"),
        **(some if node.node_port_ips is not None else {}),
        NO_ENDPOINT_SERVICES: _set(
            "map", service, "vmap to drop or reject packets to services with no endpoints"
        ),
        NO_ENDPOINT_NODE_PORTS: _set(
            "map", port, "vmap to drop or reject packets to service nodeports with no endpoints"
        ),
        FIREWALL_IPS: _set(
            "map", service, "destinations that are subject to LoadBalancerSourceRanges"
        ),
        SERVICE_IPS: _set("map", service, "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
        SERVICE_NODE_PORTS: _set("map", port, "NodePort traffic"),
    }


def _set(kind: str, key: str, comment: str) -> NftSet:
    verdict = " : verdict" if kind == "map" else ""
    return NftSet(kind, (f"type {key}{verdict}", f'comment "{comment}"'))


def _checks(node: NodeView) -> dict[str, NftChain]:
    ip = NFT_FAMILY[node.family]
    to_node = _to_node(node)
    daddr = f"{ip} daddr . {_PORT} vmap"
    # What comes in is the node's own already; only before that it has to be asked.
    local = "fib daddr type local " if node.node_port_ips is None else ""
    return {
        "nodeport-endpoints-check": NftChain(
            (f"{to_node} {_PORT} vmap @{NO_ENDPOINT_NODE_PORTS}",)
        ),
        "service-endpoints-check": NftChain((f"{daddr} @{NO_ENDPOINT_SERVICES}",)),
        "firewall-check": NftChain((f"{daddr} @{FIREWALL_IPS}",)),
        "services": NftChain(
            (
                *_masquerade_strangers(node),
                f"{daddr} @{SERVICE_IPS}",
                f"{local}{to_node} {_PORT} vmap @{SERVICE_NODE_PORTS}",
            )
        ),
        "masquerading": NftChain(
            (
                # The mark is taken off, or a packet that comes through the stack once more
                # would be masqueraded again.
                f"meta mark & {mark(node)} != 0x00000000 meta mark set meta mark ^ {mark(node)} "
                "masquerade fully-random",
                # A pod that reached itself must not see its own address as the client's.
                f"ct status dnat {ip} saddr . {ip} daddr . {_PORT} @{HAIRPIN} "
                "masquerade fully-random",
            )
        ),
        "cluster-ips-check": NftChain(tuple(_unserved(node))),
        REJECT_CHAIN: NftChain(("reject",), REJECT_COMMENT),
    }


def _to_node(node: NodeView) -> str:
    ip = NFT_FAMILY[node.family]
    if node.node_port_ips is not None:
        return f"{ip} daddr @{NODE_PORT_IPS}"
    loopback = addresses.LOOPBACK[node.family].removesuffix("/128")
    return f"{ip} daddr != {loopback}"


def _masquerade_strangers(node: NodeView) -> tuple[str, ...]:
    """A route for the Service network may lead anybody's traffic through this node."""
    to = f"{NFT_FAMILY[node.family]} daddr @{CLUSTER_IPS}"
    if node.masquerade_all:
        return (f'{to} {masquerade(node)} comment "masquerade all clusterIP traffic"',)
    if not node.pods_in:
        return ()
    comment = 'comment "masquerade clusterIP traffic from outside cluster"'
    return (f"{to} {pods(node, '!= ')} {masquerade(node)} {comment}",)


def _unserved(node: NodeView) -> list[str]:
    ip = NFT_FAMILY[node.family]
    rules = [
        f'{ip} daddr @{CLUSTER_IPS} reject comment "Reject traffic to invalid ports of ClusterIPs"'
    ]
    if node.service_cidrs:
        prefixes = one_or_set(node.service_cidrs)
        comment = 'comment "Drop traffic to unallocated ClusterIPs"'
        rules.append(f"{ip} daddr {prefixes} drop {comment}")
    return rules


def one_or_set(texts: tuple[str, ...]) -> str:
    """`a`, or `{ a, b }` for several."""
    return texts[0] if len(texts) == 1 else "{ " + ", ".join(texts) + " }"
