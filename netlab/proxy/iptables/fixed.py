"""The rules that are there whatever the Services are: the jumps and the common chains."""

from __future__ import annotations

from netlab.proxy import addresses
from netlab.proxy.iptables import chains
from netlab.proxy.iptables.chains import FILTER, MANGLE, NAT, Place
from netlab.proxy.iptables.model import HOOKS
from netlab.proxy.node_view import NodeView

# Only the first packet of a connection can be refused; the rest has a conntrack entry already.
_NEW = "-m conntrack --ctstate NEW "


def _jump(comment: str, chain: str, match: str = "") -> str:
    return f'{match}-m comment --comment "{comment}" -j {chain}'


_FIREWALL = f"-j {chains.FIREWALL}"
_LB_FIREWALL = _jump("kubernetes load balancer firewall", chains.PROXY_FIREWALL, _NEW)
_HEALTH = _jump("kubernetes health check service ports", chains.NODEPORTS)
_EXTERNAL = _jump("kubernetes externally-visible service portals", chains.EXTERNAL_SERVICES, _NEW)
_FORWARD = _jump("kubernetes forwarding rules", chains.FORWARD)
_PORTALS = "kubernetes service portals"

JUMPS: dict[Place, tuple[str, ...]] = {
    (FILTER, "INPUT"): (_FIREWALL, _LB_FIREWALL, _HEALTH, _EXTERNAL),
    (FILTER, "FORWARD"): (
        _LB_FIREWALL,
        _FORWARD,
        _jump(_PORTALS, chains.SERVICES, _NEW),
        _EXTERNAL,
    ),
    (FILTER, "OUTPUT"): (
        _FIREWALL,
        _LB_FIREWALL,
        _jump(_PORTALS, chains.SERVICES, _NEW),
    ),
    (NAT, "PREROUTING"): (_jump(_PORTALS, chains.SERVICES),),
    (NAT, "OUTPUT"): (_jump(_PORTALS, chains.SERVICES),),
    (NAT, "POSTROUTING"): (_jump("kubernetes postrouting rules", chains.POSTROUTING),),
}
"""The rules in built-in chains, in order; what else stands there is somebody else's."""

TABLES = (MANGLE, FILTER, NAT)


def builtin_chains() -> list[Place]:
    """Every built-in chain of the tables kube-proxy uses."""
    return [(table, hook) for table in TABLES for hook in HOOKS[table]]


def fixed_rules(node: NodeView) -> dict[Place, tuple[str, ...]]:
    """The common chains and their rules. Of the shared chains (`chains.SHARED`) only the tail
    is given: the rules that must come after those of all Services."""
    rules: dict[Place, tuple[str, ...]] = {
        (table, name): () for table, names in chains.FIXED.items() for name in names
    }
    rules[NAT, chains.MARK_MASQ] = (f"-j MARK --set-xmark {node.mark}",)
    rules[NAT, chains.POSTROUTING] = _postrouting(node)
    rules[FILTER, chains.FIREWALL] = _firewall(node)
    rules[FILTER, chains.FORWARD] = _forward(node)
    rules[NAT, chains.SERVICES] = _node_ports(node)
    return rules


def _postrouting(node: NodeView) -> tuple[str, ...]:
    mark = node.mark.partition("/")[0]
    return (
        f"-m mark ! --mark {node.mark} -j RETURN",
        # Clear the mark, or a packet that comes through the stack again (a tunnel, a second
        # bridge) would be masqueraded once more.
        f"-j MARK --set-xmark {mark}/0x0",
        # Random ports, as two connections may otherwise race for the same one and one be lost.
        '-m comment --comment "kubernetes service traffic requiring SNAT" '
        "-j MASQUERADE --random-fully",
    )


def _firewall(node: NodeView) -> tuple[str, ...]:
    if not node.localhost_node_ports:
        return ()
    # route_localnet, which nodePorts on 127.0.0.1 need, would let neighbours on the link reach
    # whatever listens on the node's loopback.
    loopback = addresses.LOOPBACK["ipv4"]
    return (
        f'! -s {loopback} -d {loopback} -m comment --comment "block incoming localnet connections" '
        "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
    )


def _forward(node: NodeView) -> tuple[str, ...]:
    # A packet conntrack cannot place is not translated back: it would reach the client with the
    # pod's address, be answered by RST, and end a living connection.
    invalid = ("-m conntrack --ctstate INVALID -j DROP",) if node.drop_invalid else ()
    return (
        *invalid,
        f'-m comment --comment "kubernetes forwarding rules" -m mark --mark {node.mark} -j ACCEPT',
        '-m comment --comment "kubernetes forwarding conntrack rule" '
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    )


def _node_ports(node: NodeView) -> tuple[str, ...]:
    """Last, since an address of the node may also be a Service's external IP."""
    comment = (
        '-m comment --comment "kubernetes service nodeports; '
        'NOTE: this must be the last rule in this chain" '
    )
    jump = f"-j {chains.NODEPORTS}"
    if node.node_port_ips is None:
        local = f"-m addrtype --dst-type LOCAL {jump}"
        if node.localhost_node_ports:
            return (comment + local,)
        # Packets to loopback cannot leave it again (IPv6 never, IPv4 without route_localnet).
        return (f"! -d {addresses.LOOPBACK[node.family]} {comment}{local}",)
    return tuple(
        f"-d {ip}/{node.host_bits} {comment}{jump}"
        for ip in node.node_port_ips
        if node.localhost_node_ports or not addresses.contains(addresses.LOOPBACK[node.family], ip)
    )
