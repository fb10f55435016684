"""What rules themselves say of addresses: which are a node's own, and which are not. Pure.

kube-proxy's rules name ClusterIPs, which no node has for its own; the pods' networks, so that an
endpoint inside of them is a pod; in nftables mode the addresses that nodePorts are for.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from netlab.proxy.nftables.fixed import CLUSTER_IPS, NODE_PORT_IPS
from netlab.proxy.nftables.model import TABLE, NftTable
from netlab.saves.save import SavedRules

_CLUSTER_IP = re.compile(
    r"-d (\S+)/(?:32|128) .*cluster IP\"|daddr (\S+) .*(?:jump|goto) KUBE-SVC-"
)
_PODS = re.compile(
    r"! -s (\S+) .*-j KUBE-MARK-MASQ$"
    r"|saddr != (\S+) (?:meta mark set|jump|goto|.* jump KUBE-MARK-MASQ)"
)
_TO = re.compile(r"--to-destination (\S+)|dnat(?: ip6?)? to (\S+)$| : (\S+) \. \d+")
_SERVICES = re.compile(r"daddr (\S+/\d+|\{ [^}]+ \}) (?:ct state \S+ )?drop")


class Addresses(Struct, frozen=True):
    """The node's own, those that are not, and networks of none that are."""

    own: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()
    networks: tuple[str, ...] = ()


def addresses(rules: SavedRules) -> Addresses:
    """Of what kube-proxy wrote; nothing where it did not."""
    own: set[str] = set()
    foreign: set[str] = set()
    networks: list[str] = []
    for table in rules.tables:
        if table.name == TABLE:
            own |= _elements(table, NODE_PORT_IPS)
            foreign |= _elements(table, CLUSTER_IPS)
            networks += _service_networks(table)
    texts = list(_texts(rules))
    found = (_CLUSTER_IP.search(text) for text in texts if "KUBE-SV" in text)
    foreign |= {match[1] or match[2] for match in found if match}
    foreign |= set(_pods(texts))
    return Addresses(frozenset(own), frozenset(foreign - own), tuple(networks))


def _elements(table: NftTable, name: str) -> set[str]:
    return {key for of, key in table.elements if of == name and "/" not in key and "-" not in key}


def _service_networks(table: NftTable) -> Iterator[str]:
    """Those whose other addresses are dropped: no Service has them, and no node."""
    chain = table.chains.get("cluster-ips-check")
    for text in chain.rules if chain is not None else ():
        if found := _SERVICES.search(text):
            yield from found[1].strip("{ }").split(", ")


def _texts(rules: SavedRules) -> Iterator[str]:
    """Those of kube-proxy's own chains of Services and endpoints."""
    nat = rules.ruleset.tables.get("nat")
    for chain in nat.chains.values() if nat is not None else ():
        if chain.name.startswith("KUBE-"):
            yield from chain.rules
    for table in rules.tables:
        for name, listed in table.chains.items():
            if table.name == TABLE or (table.name == "nat" and name.startswith("KUBE-")):
                yield from listed.rules


def _pods(texts: list[str]) -> Iterator[str]:
    """The endpoints inside the pods' networks."""
    asking = (text for text in texts if "! -s" in text or "saddr !=" in text)
    found = (match for text in asking if (match := _PODS.search(text)))
    networks = {match[1] or match[2] for match in found}
    inside = [ipaddress.ip_network(one, strict=False) for one in networks if "/" in one]
    for address in dict.fromkeys(_ends(texts)) if inside else ():
        if any(ipaddress.ip_address(address) in network for network in inside):
            yield address


def _ends(texts: Iterable[str]) -> Iterator[str]:
    for text in (one for one in texts if "DNAT" in one or "dnat" in one):
        for found in _TO.finditer(text):
            end = found[1] or found[2] or found[3]
            address = end if found[3] else end.rpartition(":")[0].strip("[]")
            try:
                yield str(ipaddress.ip_address(address))
            except ValueError:  # a map, a port alone
                continue
