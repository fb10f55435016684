"""The sysctls of each kind of namespace, and what they are for.

A new namespace takes some of its values over from the machine's own (net.ipv4.conf, say, from
/etc/sysctl.d); what matters here is therefore always written, even where it is the default.
"""

from __future__ import annotations

from netlab.network.model import Sysctl


def _all(name: str, value: str) -> tuple[Sysctl, ...]:
    """For the links there are, and for those to come."""
    return tuple(Sysctl(f"net.ipv4.conf.{part}.{name}", value) for part in ("all", "default"))


_END_SYSTEM = (
    Sysctl("net.ipv4.ip_forward", "0"),
    # Asymmetric paths are what a lab is for; a filter here would hide what a capture should see.
    *_all("rp_filter", "0"),
)

# As container runtimes have it: who has no privileges may listen on port 80, or 53, all the same.
_ANY_PORT = Sysctl("net.ipv4.ip_unprivileged_port_start", "0")

# The switches: frames pass, nothing is routed, and no rule sees them.
FABRIC = (
    Sysctl("net.ipv4.ip_forward", "0"),
    Sysctl("net.bridge.bridge-nf-call-iptables", "0", required=False),
    Sysctl("net.bridge.bridge-nf-call-ip6tables", "0", required=False),
    Sysctl("net.bridge.bridge-nf-call-arptables", "0", required=False),
)

CLIENT = _END_SYSTEM

INTERNET = (*_END_SYSTEM, _ANY_PORT)

POD = (
    *_END_SYSTEM,
    # And may ping. (Under a user namespace the kernel accepts only groups that exist there.)
    Sysctl("net.ipv4.ping_group_range", "0 2147483647", enforced=False),
    _ANY_PORT,
)

# Whoever asks where nobody listens is told so each time, however often he asks.
REFUSING_ALL = (
    Sysctl("net.ipv4.icmp_ratelimit", "0", required=False),
    # Until 6.11 the whole machine has one bound.
    Sysctl("net.ipv4.icmp_msgs_per_sec", "100000", required=False),
    Sysctl("net.ipv4.icmp_msgs_burst", "10000", required=False),
)
REFUSING_ALL_V6 = (Sysctl("net.ipv6.icmp.ratelimit", "0", required=False),)

NODE = (
    Sysctl("net.ipv4.ip_forward", "1"),
    # A reply may come in by another link than the one the route back uses: NodePorts.
    *_all("rp_filter", "0"),
    # nodePorts on 127.0.0.1: let such packets be routed once their destination was rewritten.
    *_all("route_localnet", "1"),
    # Answer ARP only for addresses of the link that was asked on, and ask with an address of the
    # link asked by: else a client could find the internal address of a node on its own wire.
    *_all("arp_ignore", "1"),
    *_all("arp_announce", "2"),
    # A pod reaching its neighbour through a Service leaves by the bridge it came from; telling
    # it of a shorter way would take it past the rules.
    *_all("send_redirects", "0"),
    # Frames between two pods of one bridge pass the rules too: the neighbour's reply must meet
    # the conntrack entry that turns its address back into the Service's.
    Sysctl("net.bridge.bridge-nf-call-iptables", "1"),
    Sysctl("net.bridge.bridge-nf-call-ip6tables", "1"),
    # Every refusal is heard. By default a host is sent six ICMP errors, then one a second, and the
    # seventh Service without endpoints that a pod tries looks like a black hole.
    Sysctl("net.ipv4.icmp_ratelimit", "0"),
    # What runs on a node without rights, as its DNS cache, listens where it is to.
    _ANY_PORT,
    # kube-proxy's own values: a day for established connections, an hour in CLOSE_WAIT.
    Sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", "86400", required=False),
    Sysctl("net.netfilter.nf_conntrack_tcp_timeout_close_wait", "3600", required=False),
)


def is_told(name: str) -> bool:
    """Whether the kernel tells who listens that a sysctl was set: by netconf, or by the addresses
    that come and go with it."""
    return name.rpartition(".")[2] in ("ip_forward", "forwarding", "rp_filter", "disable_ipv6")


def families(*, v6: bool, forwarding: bool = False) -> tuple[Sysctl, ...]:
    """IPv6 off (its multicast chatter dominates on big bridges), or on and quiet."""
    if not v6:
        # Writing `all` sets `default` as well. Not there when the kernel was booted without IPv6.
        return (Sysctl("net.ipv6.conf.all.disable_ipv6", "1", required=False),)
    return (
        Sysctl("net.ipv6.conf.all.disable_ipv6", "0"),
        Sysctl("net.ipv6.conf.default.disable_ipv6", "0"),
        Sysctl("net.ipv6.conf.all.forwarding", "1" if forwarding else "0"),
        # Addresses are planned, hence unique: no detection, no solicitation, no autoconfiguration.
        Sysctl("net.ipv6.conf.all.accept_dad", "0"),
        Sysctl("net.ipv6.conf.default.accept_dad", "0"),
        Sysctl("net.ipv6.conf.default.accept_ra", "0"),
        Sysctl("net.ipv6.conf.default.router_solicitations", "0"),
        *((Sysctl("net.ipv6.icmp.ratelimit", "0"),) if forwarding else ()),
    )
