"""What a question stands on: a node's rules, its own addresses, and who is who in the cluster."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from msgspec import Struct

from netlab.objects import meta
from netlab.objects.types import Service
from netlab.prove.diagram import Diagram, Diagrams, Place
from netlab.prove.hooks import Entry, HandsOn, Hooks
from netlab.prove.intake import Save, space_of
from netlab.prove.space import DADDR, Region, Values, longest_first, union
from netlab.prove.steps import Rules
from netlab.proxy.addresses import Family
from netlab.proxy.iptables import owners as iptables_owners
from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.nftables import owners as nft_owners
from netlab.proxy.nftables.model import NftTable


class Door(Struct, frozen=True):
    """One way to a Service: `owner` is `namespace/name[:port]`, `address` "" for a nodePort."""

    owner: str
    address: str
    protocol: str
    port: int


class Leg(Struct, frozen=True):
    """A part of a node's routes: packets to a network leave by `link`, and come in to the node
    `next` by its link `arrives`, masqueraded ones as `source`. Or they `end`, delivered at the
    place `next`, lost, or rejected, and `why`. Of two networks the smaller one holds, or the first
    of equal ones."""

    to: str
    link: str = ""
    next: str = ""
    arrives: str = ""
    source: str = ""
    end: str = ""
    why: str = ""


class Node(Struct, frozen=True):
    """A node's rules, and the addresses that are known to be its own."""

    name: str
    saves: tuple[Save, ...]
    local: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] | None = None
    """Networks, each with the link that leads there; None if any link may be the one."""

    legs: tuple[Leg, ...] | None = None
    """Where packets go from it; None if that is not known."""

    still: tuple[str, ...] = ()
    """Links of which it hands nothing on that comes in by them, but for a bridge of its `bridges`
    from port to port."""

    bridges: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    """The networks that its own pods are in."""

    def families(self) -> list[Family]:
        """Those it has rules of."""
        return list(dict.fromkeys(family for save in self.saves for family in save.families))


class Grounds:
    """A node's rules in one family, ready to be asked; `others` are rules to be compared with."""

    def __init__(self, node: Node, family: Family, others: Sequence[Node] = ()) -> None:
        self.node = node
        saves = [save for one in (node, *others) for save in one.saves]
        local: Iterable[str] = {*node.local, *(ip for one in others for ip in one.local)}
        local = local or dict.fromkeys(_node_port_addresses(saves, family))
        links = [link for _, link in node.routes or ()]
        links += [*node.still, *node.bridges]
        self.space = space_of(saves, family, local, links)
        self.diagrams = Diagrams(self.space.tops)
        self.rules = self._rules(node)
        self.hooks = self.of(node)

    def _rules(self, node: Node) -> list[Rules]:
        return [rules for save in node.saves for rules in save.rules(self.space)]

    def of(self, other: Node) -> Hooks:
        """A node's rules over this space."""
        rules = self.rules if other is self.node else self._rules(other)
        links = self.space.links
        still = tuple(links.index(one) for one in other.still)
        bridges = tuple(links.index(one) for one in other.bridges)
        hands_on = HandsOn(still, bridges)
        return Hooks(rules, self.space, self.diagrams, self._routes(other), hands_on)

    def ends(self, entry: Entry, region: Region) -> Diagram:
        """What becomes of all packets of a region that come to the node, or that it sends."""
        return self.hooks.ends(entry, region)

    def unknown(self) -> set[Place]:
        """The rules met so far that nobody understands."""
        return self.hooks.unknown()

    def _routes(self, node: Node) -> list[tuple[Values, int]] | None:
        if node.routes is None:
            return None
        known = [(self.space.network(to), self.space.links.index(link)) for to, link in node.routes]
        return longest_first([one for one in known if one[0]], self.space.all[DADDR])

    @cached_property
    def doors(self) -> list[Door]:
        """Every way to a Service that the rules themselves name."""
        return list(doors_of(self.node.saves, self.space.family))

    @cached_property
    def virtual(self) -> Values:
        """The addresses of Services."""
        found = {door.address for door in self.doors if door.address}
        return union(each for one in found for each in self.space.network(one))

    def taken_for_granted(self) -> list[str]:
        """What an answer does not ask."""
        found = ["taken for granted: first packets of connections"]
        if not self.space.known:
            found.append("taken for granted: no rule names an address of the node (--local IP)")
        return found

    def told(self, place: Place) -> str:
        """Where a rule stands: `node.save:88: filter FORWARD`."""
        return told(self.node, place, self.space.family)


def told(node: Node, place: Place, family: Family) -> str:
    """Where a rule of a node's stands."""
    for save in node.saves:
        if where := save.where(place, family):
            return where
    number = f" rule {place.number}" if place.number else "'s policy"
    return f"{place.table} {place.chain}{number}"


_COMMON = ("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS")


def doors_of(saves: Iterable[Save], family: Family) -> Iterator[Door]:
    """The ways to Services that rules name."""
    for save in saves:
        if family in save.iptables:
            yield from _iptables_doors(save.iptables[family])
        for table in save.nftables.get(family, ()):
            yield from _nft_doors(table)


_MATCH = re.compile(r"-p (tcp|udp|sctp) .*--dport (\d+)\b")
_TO = re.compile(r"^-d ([0-9a-f.:]+)/(?:32|128) ")


def _iptables_doors(ruleset: Ruleset) -> Iterator[Door]:
    for table in ("nat", "filter"):
        for name in _COMMON:
            chain = ruleset.chain(table, name)
            for text in chain.rules if chain is not None else ():
                owner, match = iptables_owners.service_port(text), _MATCH.search(text)
                if owner is None or match is None or "health check" in text:
                    continue
                to = _TO.match(text)
                yield Door(owner, to[1] if to else "", match[1], int(match[2]))


_MAPS = (
    "service-ips", "no-endpoint-services", "service-nodeports", "no-endpoint-nodeports",
)  # fmt: skip


def _nft_doors(table: NftTable) -> Iterator[Door]:
    for (name, key), value in table.elements.items():
        owner = nft_owners.service_port(value) if name in _MAPS else None
        if owner is not None:
            *address, protocol, port = key.split(" . ")
            yield Door(owner, address[0] if address else "", protocol, int(port))


def service_doors(services: Iterable[Service], family: Family) -> Iterator[Door]:
    """The ways to Services as their objects say."""
    for service in services:
        spec, status = meta.spec(service), meta.status(service)
        entries = (status.get("loadBalancer") or {}).get("ingress") or ()
        addresses = (
            *(spec.get("clusterIPs") or [spec.get("clusterIP") or ""]),
            *(spec.get("externalIPs") or ()),
            *(entry.get("ip") or "" for entry in entries),
        )
        for port in spec.get("ports") or ():
            name = port.get("name") or ""
            owner = f"{meta.key(service)}:{name}" if name else meta.key(service)
            protocol = (port.get("protocol") or "TCP").lower()
            for address in dict.fromkeys(addresses):
                if _is_of(address, family):
                    yield Door(owner, address, protocol, port["port"])


def _is_of(text: str, family: Family) -> bool:
    try:
        return ipaddress.ip_address(text).version == (4 if family == "ipv4" else 6)
    except ValueError:
        return False


def _node_port_addresses(saves: Iterable[Save], family: Family) -> list[str]:
    """The node's addresses that kube-proxy's rules give away: those that nodePorts answer on."""
    found: dict[str, None] = {}
    for save in saves:
        for table in save.nftables.get(family, ()):
            found |= {key: None for name, key in table.elements if name == "nodeport-ips"}
        chain = (
            save.iptables[family].chain("nat", "KUBE-SERVICES") if family in save.iptables else None
        )
        for text in chain.rules[-8:] if chain is not None else ():
            if text.endswith("-j KUBE-NODEPORTS") and (to := _TO.match(text)):
                found[to[1]] = None
    return list(found)


_PODS = re.compile(r"! -s (\S+) -d \S+ .*-j KUBE-MARK-MASQ$")
_NFT_PODS = re.compile(r"ip6? daddr @cluster-ips ip6? saddr != (\S+) ")


def pod_networks(saves: Iterable[Save], family: Family) -> list[str]:
    """The pods' network, as kube-proxy's rules give it away."""
    for save in saves:
        ruleset = save.iptables.get(family)
        for _, chain, text in ruleset.rules() if ruleset is not None else ():
            if chain.startswith(("KUBE-SVC-", "KUBE-SVL-")) and (match := _PODS.search(text)):
                return [match[1]]
        for table in save.nftables.get(family, ()):
            services = table.chains.get("services")
            for text in services.rules if services is not None else ():
                if match := _NFT_PODS.match(text):
                    return [match[1]]
    return []
