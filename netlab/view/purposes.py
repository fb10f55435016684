"""What tables, hooks and chains are for, in a sentence each. Pure."""

from __future__ import annotations

_HOOKS = {
    "PREROUTING": "what comes in, before its route is chosen",
    "INPUT": "what is for the node itself",
    "FORWARD": "what passes through the node",
    "OUTPUT": "what the node itself sends",
    "POSTROUTING": "what leaves, after its route is chosen",
}
_TABLES = {
    "raw": "before connection tracking: what is not to be tracked",
    "mangle": "changes of headers and marks",
    "nat": "new addresses, for the first packet of a connection alone",
    "filter": "what may pass",
    "security": "labels of security modules",
}
_CHAINS = {
    "KUBE-SERVICES": "every Service's addresses: which Service is meant",
    "KUBE-NODEPORTS": "every Service's nodePorts",
    "KUBE-EXTERNAL-SERVICES": "addresses from outside that have no endpoint",
    "KUBE-PROXY-FIREWALL": "load balancers' addresses whose sources were not let through",
    "KUBE-FORWARD": "what was marked for masquerade, and what is under way, may pass",
    "KUBE-FIREWALL": "nobody from outside reaches 127.0.0.0/8",
    "KUBE-MARK-MASQ": "marks what is to leave with the node's address as its source",
    "KUBE-POSTROUTING": "gives what was marked the node's address as its source",
    "CNI-HOSTPORT-DNAT": "every pod's hostPorts",
    "CNI-HOSTPORT-SETMARK": "marks hostPorts' packets that are to be masqueraded",
    "CNI-HOSTPORT-MASQ": "gives what was marked the node's address as its source",
    "services": "every Service's addresses and nodePorts: which Service is meant",
    "masquerading": "gives what was marked the node's address as its source",
    "firewall-check": "load balancers' addresses: who may use them",
    "nodeport-endpoints-check": "nodePorts that have no endpoint",
    "service-endpoints-check": "addresses of Services that have no endpoint",
    "cluster-ips-check": "ClusterIPs and ports that no Service has",
    "reject-chain": "turns away, and says so",
}
_BEGINNINGS = {
    "KUBE-SVC-": "one Service port: which endpoint",
    "KUBE-SVL-": "one Service port: which endpoint of this node",
    "KUBE-EXT-": "one Service port, asked from outside",
    "KUBE-FW-": "one load balancer's address: which sources may use it",
    "KUBE-SEP-": "one endpoint: gives its address as the destination",
    "CNI-DN-": "one pod's hostPorts: gives its address as the destination",
    "service-": "one Service port: which endpoint",
    "local-": "one Service port: which endpoint of this node",
    "external-": "one Service port, asked from outside",
    "firewall-": "one load balancer's address: which sources may use it",
    "endpoint-": "one endpoint: gives its address as the destination",
}
_BASE = {
    "nat-prerouting": ("nat", "PREROUTING"), "nat-output": ("nat", "OUTPUT"),
    "nat-postrouting": ("nat", "POSTROUTING"), "filter-input": ("filter", "INPUT"),
    "filter-forward": ("filter", "FORWARD"), "filter-output": ("filter", "OUTPUT"),
    "filter-prerouting-pre-dnat": ("filter", "PREROUTING"),
    "filter-output-pre-dnat": ("filter", "OUTPUT"),
}  # fmt: skip
"""kube-proxy's chains of nftables, by what would be theirs in iptables."""


def purpose(table: str, chain: str) -> str:
    """Of a chain, or of the hook that it stands at; "" for somebody's that nobody here knows."""
    table, chain = _BASE.get(chain, (table, chain))
    if chain in _HOOKS:
        of_table = _TABLES.get(table, "")
        return f"{_HOOKS[chain]}" + (f"; {table}: {of_table}" if of_table else "")
    found = (said for begin, said in _BEGINNINGS.items() if chain.startswith(begin))
    return _CHAINS.get(chain) or next(found, "")
