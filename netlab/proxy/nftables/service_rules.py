"""One Service and its EndpointSlices → its own chains, and its elements in the common maps.

  map service-ips      10.96.0.5 . tcp . 80      : goto service-H-town/web/tcp/http
                       203.0.113.10 . tcp . 80   : goto external-H-town/web/tcp/http
  map service-nodeports          tcp . 30080     : goto external-H-town/web/tcp/http
  chain external-H-…   meta mark set meta mark | 0x00004000       (policy Cluster)
                       goto service-H-…
  chain service-H-…    dnat ip to numgen random mod 3 map { 0 : 10.244.0.7 . 8080, … }
  chain local-H-…      the same with this node's endpoints only

With affinity a chain for each endpoint (`endpoint-H-…__10.244.0.7/8080`), which notes the client
in a set of its own, and is looked up there first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import field

from netlab.objects import meta
from netlab.objects.types import EndpointSlice, Service
from netlab.proxy import addresses
from netlab.proxy.categorize import Choice
from netlab.proxy.compile import ServiceRules, fill
from netlab.proxy.endpoints import EndpointInfo
from netlab.proxy.names import hashed
from netlab.proxy.nftables.fixed import (
    CLUSTER_IPS,
    FIREWALL_IPS,
    HAIRPIN,
    NO_ENDPOINT_NODE_PORTS,
    NO_ENDPOINT_SERVICES,
    SERVICE_IPS,
    SERVICE_NODE_PORTS,
    masquerade,
    one_or_set,
    pods,
)
from netlab.proxy.nftables.model import NFT_FAMILY, Element, NftChain, NftSet
from netlab.proxy.node_view import NodeView
from netlab.proxy.services import ServicePort

_LONGEST = 240


class NftServiceRules(ServiceRules):
    """`chains` and `sets` are the Service's own; `elements` its share of the common maps."""

    chains: dict[str, NftChain] = field(default_factory=dict)
    sets: dict[str, NftSet] = field(default_factory=dict)
    elements: dict[Element, str] = field(default_factory=dict)


def compile_service(
    service: Service, slices: Iterable[EndpointSlice], node: NodeView
) -> NftServiceRules:
    """The part of one Service."""
    return fill(NftServiceRules(meta.key(service)), service, slices, node, _write)


def _write(port: ServicePort, choice: Choice, node: NodeView, out: NftServiceRules) -> None:
    _NftPortRules(port, choice, node, out).write()


def _hashed(name: str) -> str:
    """The name with its hash in front; shortened, it still is one of a kind."""
    named = f"{hashed(name)[:8]}-{name}"
    return named if len(named) <= _LONGEST else named[: _LONGEST - 3] + "..."


def duration(seconds: int) -> str:
    """Seconds as nft lists them: `1m30s`, `3h`."""
    text = ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        text += f"{count}{unit}" if count else ""
    return text


class _NftPortRules:
    """Writes the part of one service port."""

    def __init__(
        self, port: ServicePort, choice: Choice, node: NodeView, out: NftServiceRules
    ) -> None:
        self.port, self.choice, self.node, self.out = port, choice, node, out
        self.ip = NFT_FAMILY[node.family]
        self.plain = f"{out.key}/{port.protocol}/{port.port_name}"
        base = _hashed(self.plain)
        self.service, self.local = f"service-{base}", f"local-{base}"
        self.external, self.firewall = f"external-{base}", f"firewall-{base}"

    def write(self) -> None:
        self._inside()
        self._outside()
        self._firewall()
        if self.choice.anywhere:
            self._own_chains()
        for ep in self.choice.reachable:
            if ep.local:
                key = f"{ep.ip} . {ep.ip} . {self.port.protocol} . {ep.port}"
                self.out.elements[HAIRPIN, key] = ""

    # The maps

    def _map(self, name: str, key: str, value: str) -> None:
        self.out.elements[name, key] = value

    def _key(self, ip: str) -> str:
        return f"{ip} . {self.port.protocol} . {self.port.port}"

    def _refusal(self, *, local: bool) -> str:
        """Dropped when endpoints elsewhere may answer, else rejected."""
        verdict = "drop" if local and self.choice.anywhere else "goto reject-chain"
        return f'comment "{self.port.name}" : {verdict}'

    @property
    def _served_outside(self) -> bool:
        return bool(self.choice.local) if self.port.external_local else self.choice.anywhere

    def _inside(self) -> None:
        internal_local = self.port.internal_local
        served = bool(self.choice.local) if internal_local else self.choice.anywhere
        self._map(CLUSTER_IPS, self.port.cluster_ip, "")
        key = self._key(self.port.cluster_ip)
        if served:
            self._map(SERVICE_IPS, key, f": goto {self.local if internal_local else self.service}")
        else:
            self._map(NO_ENDPOINT_SERVICES, key, self._refusal(local=internal_local))

    def _outside(self) -> None:
        refusal = self._refusal(local=self.port.external_local)
        ways = [
            (SERVICE_IPS, NO_ENDPOINT_SERVICES, self._key(ip))
            for ip in (*self.port.external_ips, *self.port.load_balancer_ips)
        ]
        if self.port.node_port:
            key = f"{self.port.protocol} . {self.port.node_port}"
            ways.append((SERVICE_NODE_PORTS, NO_ENDPOINT_NODE_PORTS, key))
        for served, unserved, key in ways:
            if self.choice.anywhere:
                self._map(served, key, f": goto {self.external}")
            if not self._served_outside:
                self._map(unserved, key, refusal)

    def _firewall(self) -> None:
        if not (self.port.load_balancer_ips and self.port.source_ranges):
            return
        for ip in self.port.load_balancer_ips:
            self._map(FIREWALL_IPS, self._key(ip), f": goto {self.firewall}")
        sources = [_plain(network) for network in self.port.source_ranges]
        own = self.node.ip
        if own and any(addresses.contains(one, own) for one in self.port.source_ranges):
            # The node's own packets to a load balancer's address may have it as their source.
            sources += self.port.load_balancer_ips
        allowed = one_or_set(tuple(sorted(dict.fromkeys(sources))))
        self.out.chains[self.firewall] = NftChain((f"{self.ip} saddr != {allowed} drop",))

    # The Service's own chains

    def _own_chains(self) -> None:
        if self.choice.cluster and self.port.uses_cluster_endpoints:
            self.out.chains[self.service] = self._balanced(self.choice.cluster)
        if self.choice.local and self.port.uses_local_endpoints:
            self.out.chains[self.local] = self._balanced(self.choice.local)
        if self.port.externally_accessible:
            self.out.chains[self.external] = NftChain(tuple(self._external()))
        if self.port.affinity_seconds:
            for ep in self.choice.reachable:
                self._remembering(ep)

    def _balanced(self, eps: Sequence[EndpointInfo]) -> NftChain:
        if self.port.affinity_seconds:
            return NftChain(tuple(self._remembered(eps)))
        ends = ", ".join(f"{i} : {ep.ip} . {ep.port}" for i, ep in enumerate(eps))
        choice = f"numgen random mod {len(eps)} map {{ {ends} }}"
        return NftChain((f"meta l4proto {self.port.protocol} dnat {self.ip} to {choice}",))

    def _endpoint(self, ep: EndpointInfo) -> str:
        return _hashed(f"{self.plain}__{ep.ip.replace(':', '.')}/{ep.port}")

    def _remembered(self, eps: Sequence[EndpointInfo]) -> Iterable[str]:
        names = [self._endpoint(ep) for ep in eps]
        for name in names:
            yield f"{self.ip} saddr @affinity-{name} goto endpoint-{name}"
        ends = ", ".join(f"{i} : goto endpoint-{name}" for i, name in enumerate(names))
        yield f"numgen random mod {len(eps)} vmap {{ {ends} }}"

    def _remembering(self, ep: EndpointInfo) -> None:
        name = self._endpoint(ep)
        kind = "ipv4_addr" if self.node.family == "ipv4" else "ipv6_addr"
        timeout = f"timeout {duration(self.port.affinity_seconds)}"
        self.out.sets[f"affinity-{name}"] = NftSet(
            "set", (f"type {kind}", "size 65535", "flags dynamic,timeout", timeout)
        )
        self.out.chains[f"endpoint-{name}"] = NftChain(
            (
                f"update @affinity-{name} {{ {self.ip} saddr }}",
                f"meta l4proto {self.port.protocol} dnat to {ep.text}",
            )
        )

    def _external(self) -> Iterable[str]:
        mark = masquerade(self.node)
        if not self.port.external_local:
            yield f'{mark} comment "masquerade"'
        else:
            if self.node.pods_in:
                comment = 'comment "short-circuit pod traffic"'
                yield f"{pods(self.node)} goto {self.service} {comment}"
            yield f'fib saddr type local {mark} comment "masquerade local traffic"'
            comment = 'comment "short-circuit local traffic"'
            yield f"fib saddr type local goto {self.service} {comment}"
        if self._served_outside:
            yield f"goto {self.local if self.port.external_local else self.service}"


def _plain(network: str) -> str:
    """nft lists a prefix of full length as an address."""
    return network.removesuffix("/32").removesuffix("/128") if _is_host(network) else network


def _is_host(network: str) -> bool:
    return network.endswith("/128" if ":" in network else "/32")
