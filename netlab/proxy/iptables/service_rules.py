"""One Service and its EndpointSlices → its own chains, and its share of the common ones.

What a packet to a Service meets (`web` on nodePort 30080 and load balancer 203.0.113.10):

  nat PREROUTING, OUTPUT
    -j KUBE-SERVICES
         -d 10.96.0.5/32 -p tcp --dport 80                     -j KUBE-SVC-x   (cluster IP)
         -d 203.0.113.10/32 -p tcp --dport 80                  -j KUBE-EXT-x   (or KUBE-FW-x)
         -m addrtype --dst-type LOCAL                          -j KUBE-NODEPORTS
    KUBE-NODEPORTS
         -p tcp --dport 30080                                  -j KUBE-EXT-x
    KUBE-FW-x   sources that may use the load balancer
         -s 198.51.100.0/24                                    -j KUBE-EXT-x
         (whoever falls through keeps the load balancer's address; KUBE-PROXY-FIREWALL drops it)
    KUBE-EXT-x  traffic from outside; externalTrafficPolicy Cluster:
         -j KUBE-MARK-MASQ      the reply must come back through this node
         -j KUBE-SVC-x
      externalTrafficPolicy Local:
         -s 10.244.0.0/16                                      -j KUBE-SVC-x   (pods: any endpoint)
         -m addrtype --src-type LOCAL                          -j KUBE-MARK-MASQ, KUBE-SVC-x
         -j KUBE-SVL-x          the others: this node's endpoints only, their source kept
    KUBE-SVC-x  all endpoints (KUBE-SVL-x: this node's)
         ! -s 10.244.0.0/16 -d 10.96.0.5/32 -p tcp --dport 80  -j KUBE-MARK-MASQ
         -m statistic --mode random --probability 1/n          -j KUBE-SEP-a
         -m statistic --mode random --probability 1/(n-1)      -j KUBE-SEP-b
         -j KUBE-SEP-z
    KUBE-SEP-a
         -s 10.244.1.7/32       -j KUBE-MARK-MASQ   a pod reaching itself would reply to itself
         -p tcp                 -j DNAT --to-destination 10.244.1.7:8080
  nat POSTROUTING
    -j KUBE-POSTROUTING
         -m mark ! --mark 0x4000/0x4000 -j RETURN
         -j MASQUERADE
  filter INPUT, FORWARD, OUTPUT (new connections)
    -j KUBE-PROXY-FIREWALL, KUBE-SERVICES, KUBE-EXTERNAL-SERVICES: what has no endpoint is
       rejected, what has none on this node though its policy wants one is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from msgspec import field

from netlab.objects import meta
from netlab.objects.types import EndpointSlice, Service
from netlab.proxy import addresses
from netlab.proxy.categorize import Choice
from netlab.proxy.compile import ServiceRules, fill
from netlab.proxy.endpoints import EndpointInfo
from netlab.proxy.iptables import chains
from netlab.proxy.iptables.chains import FILTER, NAT, Place
from netlab.proxy.names import hashed
from netlab.proxy.node_view import NodeView
from netlab.proxy.services import ServicePort

NAT_SERVICES = (NAT, chains.SERVICES)
NAT_NODEPORTS = (NAT, chains.NODEPORTS)
FILTER_SERVICES = (FILTER, chains.SERVICES)
FILTER_EXTERNAL = (FILTER, chains.EXTERNAL_SERVICES)
FILTER_NODEPORTS = (FILTER, chains.NODEPORTS)
FILTER_FIREWALL = (FILTER, chains.PROXY_FIREWALL)


class IptablesServiceRules(ServiceRules):
    """`chains` are the Service's own chains in the nat table; `shared` its rules in the shared
    chains."""

    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    shared: dict[Place, list[str]] = field(default_factory=dict)

    def share(self, place: Place, rule: str) -> None:
        """Add a rule to a shared chain."""
        self.shared.setdefault(place, []).append(rule)


def compile_service(
    service: Service, slices: Iterable[EndpointSlice], node: NodeView
) -> IptablesServiceRules:
    """The rules of one Service."""
    return fill(IptablesServiceRules(meta.key(service)), service, slices, node, _write)


def _write(port: ServicePort, choice: Choice, node: NodeView, out: IptablesServiceRules) -> None:
    _PortRules(port, choice, node, out).write()


@cache
def probability(n: int) -> str:
    """1/n as the kernel keeps it: rounded to 10 digits by kube-proxy, then to 31 bits."""
    return f"{round(float(f'{1 / n:.10f}') * 0x80000000) / 0x80000000:.11f}"


def _comment(text: str) -> str:
    return f'-m comment --comment "{text}"'


class _PortRules:
    """Writes the rules of one service port into what its Service adds."""

    __slots__ = ("choice", "ext", "hash", "node", "out", "port", "svc", "svl", "text")

    def __init__(
        self, port: ServicePort, choice: Choice, node: NodeView, out: IptablesServiceRules
    ) -> None:
        self.port, self.choice, self.node, self.out = port, choice, node, out
        self.text = port.name + port.protocol
        self.hash = hashed(self.text)
        self.svc, self.svl = f"KUBE-SVC-{self.hash}", f"KUBE-SVL-{self.hash}"
        self.ext = f"KUBE-EXT-{self.hash}"

    def write(self) -> None:
        self._cluster_ip()
        if self.port.externally_accessible:
            self._external_ips()
            self._load_balancer()
            self._node_port()
        self._health_check()
        if self.choice.anywhere:
            self._own_chains()

    # What matches

    def _to(self, ip: str, comment: str, source: str = "", device: str = "") -> str:
        """The match for packets to this port at `ip`, in the order the kernel shows it."""
        protocol = self.port.protocol
        return (
            f"{source}-d {ip}/{self.node.host_bits} {device}-p {protocol} "
            f'-m comment --comment "{comment}" -m {protocol} --dport {self.port.port}'
        )

    def _cluster_match(self, source: str = "", device: str = "") -> str:
        return self._to(self.port.cluster_ip, f"{self.port.name} cluster IP", source, device)

    def _refusal(self, *, local: bool) -> tuple[str, str]:
        """Comment and verdict for traffic that has nowhere to go.

        With endpoints elsewhere it is dropped: another node may answer, and an ICMP error
        would tell the client's load balancer that the Service is gone.
        """
        if local and self.choice.anywhere:
            return f"{self.port.name} has no local endpoints", "DROP"
        kind = "icmp-port-unreachable" if self.node.family == "ipv4" else "icmp6-port-unreachable"
        return f"{self.port.name} has no endpoints", f"REJECT --reject-with {kind}"

    @property
    def _served_inside(self) -> bool:
        return bool(self.choice.local) if self.port.internal_local else self.choice.anywhere

    @property
    def _served_outside(self) -> bool:
        return bool(self.choice.local) if self.port.external_local else self.choice.anywhere

    @property
    def _firewalled(self) -> bool:
        return bool(self.port.load_balancer_ips and self.port.source_ranges)

    # The shared chains

    def _cluster_ip(self) -> None:
        if self._served_inside:
            chain = self.svl if self.port.internal_local else self.svc
            self.out.share(NAT_SERVICES, f"{self._cluster_match()} -j {chain}")
        else:
            comment, verdict = self._refusal(local=self.port.internal_local)
            match = self._to(self.port.cluster_ip, comment)
            self.out.share(FILTER_SERVICES, f"{match} -j {verdict}")

    def _external_ips(self) -> None:
        for ip in self.port.external_ips:
            if self.choice.anywhere:
                match = self._to(ip, f"{self.port.name} external IP")
                self.out.share(NAT_SERVICES, f"{match} -j {self.ext}")
            self._refuse_outside(ip)

    def _load_balancer(self) -> None:
        chain = f"KUBE-FW-{self.hash}" if self._firewalled else self.ext
        for ip in self.port.load_balancer_ips:
            if self.choice.anywhere:
                match = self._to(ip, f"{self.port.name} loadbalancer IP")
                self.out.share(NAT_SERVICES, f"{match} -j {chain}")
                self._drop_unaccepted(ip)
            self._refuse_outside(ip)

    def _drop_unaccepted(self, ip: str) -> None:
        """Who was not accepted kept the load balancer's address as destination: dropped by it."""
        if self._firewalled:
            comment = f"{self.port.name} traffic not accepted by KUBE-FW-{self.hash}"
            self.out.share(FILTER_FIREWALL, f"{self._to(ip, comment)} -j DROP")

    def _refuse_outside(self, ip: str) -> None:
        if not self._served_outside:
            comment, verdict = self._refusal(local=self.port.external_local)
            self.out.share(FILTER_EXTERNAL, f"{self._to(ip, comment)} -j {verdict}")

    def _node_port(self) -> None:
        if not self.port.node_port:
            return
        protocol, number = self.port.protocol, self.port.node_port
        dport = f"-m {protocol} --dport {number}"
        if self.choice.anywhere:
            match = f"-p {protocol} {_comment(self.port.name)} {dport}"
            self.out.share(NAT_NODEPORTS, f"{match} -j {self.ext}")
        if not self._served_outside:
            comment, verdict = self._refusal(local=self.port.external_local)
            match = f"-p {protocol} {_comment(comment)} -m addrtype --dst-type LOCAL {dport}"
            self.out.share(FILTER_EXTERNAL, f"{match} -j {verdict}")

    def _health_check(self) -> None:
        """Accepted with or without local endpoints: the answer itself says which."""
        number = self.port.health_check_node_port
        if not number:
            return
        comment = _comment(f"{self.port.name} health check node port")
        self.out.share(FILTER_NODEPORTS, f"-p tcp {comment} -m tcp --dport {number} -j ACCEPT")

    # The Service's own chains

    def _own_chains(self) -> None:
        names = {ep.text: hashed(self.text + ep.text) for ep in self.choice.reachable}
        if self.choice.cluster and self.port.uses_cluster_endpoints:
            self._policy_chain(self.svc, self.choice.cluster, names, not self.port.internal_local)
        if self.choice.local and self.port.uses_local_endpoints:
            self._policy_chain(self.svl, self.choice.local, names, self.port.internal_local)
        if self.port.externally_accessible:
            self.out.chains[self.ext] = tuple(self._external_chain())
            if self._firewalled:
                self.out.chains[f"KUBE-FW-{self.hash}"] = tuple(self._firewall_chain())
        for ep in self.choice.reachable:
            self._endpoint_chain(f"KUBE-SEP-{names[ep.text]}", ep)

    def _policy_chain(
        self, chain: str, chosen: Iterable[EndpointInfo], names: Mapping[str, str], internal: bool
    ) -> None:
        """KUBE-SVC or KUBE-SVL: masquerade who is not a pod, then one endpoint at random."""
        eps = [(ep.text, f"KUBE-SEP-{names[ep.text]}") for ep in chosen]
        rules = self._masquerade_strangers() if internal else []
        if self.port.affinity_seconds:
            rules += [self._remembered(text, sep) for text, sep in eps]
        name, left = self.port.name, len(eps)
        for text, sep in eps[:-1]:
            rules.append(
                f'-m comment --comment "{name} -> {text}" -m statistic --mode random '
                f"--probability {probability(left)} -j {sep}"
            )
            left -= 1
        text, sep = eps[-1]
        rules.append(f'-m comment --comment "{name} -> {text}" -j {sep}')
        self.out.chains[chain] = tuple(rules)

    def _masquerade_strangers(self) -> list[str]:
        """A route for the Service network may lead anybody's traffic to this node; it may leave
        for another, and the reply must come back here."""
        if self.node.masquerade_all:
            return [f"{self._cluster_match()} -j {chains.MARK_MASQ}"]
        if not self.node.pods_in:
            return []
        source = f"! {self.node.pods_source} " if self.node.pods_source else ""
        device = f"! {self.node.pods_device} " if self.node.pods_device else ""
        return [f"{self._cluster_match(source, device)} -j {chains.MARK_MASQ}"]

    def _recent(self, sep: str, action: str) -> str:
        mask = "255.255.255.255" if self.node.family == "ipv4" else ":".join(["ffff"] * 8)
        return f"-m recent {action} --name {sep} --mask {mask} --rsource"

    def _remembered(self, text: str, sep: str) -> str:
        """ClientIP affinity: whoever was sent to this endpoint lately goes there again."""
        recent = self._recent(sep, f"--rcheck --seconds {self.port.affinity_seconds} --reap")
        return f"{_comment(f'{self.port.name} -> {text}')} {recent} -j {sep}"

    def _external_chain(self) -> Iterable[str]:
        name = self.port.name
        if not self.port.external_local:
            # The endpoint may be on another node, and must not answer the client directly.
            comment = _comment(f"masquerade traffic for {name} external destinations")
            yield f"{comment} -j {chains.MARK_MASQ}"
        else:
            yield from self._short_circuit()
        if self._served_outside:
            yield f"-j {self.svl if self.port.external_local else self.svc}"

    def _short_circuit(self) -> Iterable[str]:
        """Pods and the node itself use an external address as if they went out and came back
        through the load balancer: any endpoint will do, policy Local or not."""
        name = self.port.name
        if self.node.pods_in:
            comment = _comment(f"pod traffic for {name} external destinations")
            yield f"{self.node.pods_in} {comment} -j {self.svc}"
        local = "-m addrtype --src-type LOCAL"
        # The source may be the load balancer's own address, which no reply would come back to.
        comment = _comment(f"masquerade LOCAL traffic for {name} external destinations")
        yield f"{comment} {local} -j {chains.MARK_MASQ}"
        comment = _comment(f"route LOCAL traffic for {name} external destinations")
        yield f"{comment} {local} -j {self.svc}"

    def _firewall_chain(self) -> Iterable[str]:
        sources = list(self.port.source_ranges)
        if self.node.ip and any(addresses.contains(network, self.node.ip) for network in sources):
            # A node that may use the load balancer has its address as source when the load
            # balancer's address is routed to the node itself.
            sources += [f"{ip}/{self.node.host_bits}" for ip in self.port.load_balancer_ips]
        comment = _comment(f"{self.port.name} loadbalancer IP")
        for network in sources:
            yield f"-s {network} {comment} -j {self.ext}"
        # No verdict: it only tells readers of iptables-save what becomes of the rest.
        yield _comment(f"other traffic to {self.port.name} will be dropped by KUBE-PROXY-FIREWALL")

    def _endpoint_chain(self, chain: str, ep: EndpointInfo) -> None:
        name, protocol = self.port.name, self.port.protocol
        match = f'-p {protocol} -m comment --comment "{name}"'
        if self.port.affinity_seconds:
            match += f" {self._recent(chain, '--set')}"
        self.out.chains[chain] = (
            f'-s {ep.ip}/{self.node.host_bits} -m comment --comment "{name}" -j {chains.MARK_MASQ}',
            f"{match} -m {protocol} -j DNAT --to-destination {ep.text}",
        )
