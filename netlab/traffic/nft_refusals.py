"""How many packets a node's rules have refused in nftables mode, by Service.

kube-proxy rejects by verdict maps there, which count nothing. So what is in these is put into sets
of a table of our own, which counts the packets that come by just before and goes with us:

    map no-endpoint-services { 10.96.0.9 . tcp . 80 comment "shop/web:http" : goto reject-chain }
    set services { counter; 10.96.0.9 . tcp . 80 counter packets 5 bytes 300 }
"""

from __future__ import annotations

import re
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from netlab.errors import NetlabError
from netlab.kernel.owned_tables import OwnedTables
from netlab.kernel.run import run
from netlab.proxy.addresses import Family
from netlab.proxy.nftables.fixed import (
    NO_ENDPOINT_NODE_PORTS,
    NO_ENDPOINT_SERVICES,
    NODE_PORT_IPS,
)
from netlab.proxy.nftables.model import NFT_FAMILY, TABLE, NftTable
from netlab.proxy.nftables.owners import service_port
from netlab.proxy.nftables.parse import parse_table

_CHECK = "nodeport-endpoints-check"
_SETS = {"services": NO_ENDPOINT_SERVICES, "nodeports": NO_ENDPOINT_NODE_PORTS}
_REFUSES = ": goto reject-chain"
_LONGEST, _STEP = 2.0, 0.005


class Refused(Struct, frozen=True):
    """What kube-proxy's table refuses in one family: by set and key, of which Service's port. `to`
    is what a packet to a nodePort has to be for, `node_ips` the set that this may name."""

    names: Mapping[tuple[str, str], str]
    to: str
    node_ips: tuple[str, ...]


def refused(table: NftTable) -> Refused:
    """By those parts of kube-proxy's table that say so. Pure."""
    names = {
        (counting, key): service_port(value) or ""
        for counting, of in _SETS.items()
        for (name, key), value in table.elements.items()
        if name == of and value.endswith(_REFUSES)
    }
    chain = table.chains.get(_CHECK)
    to = chain.rules[0].partition(" meta l4proto")[0] if chain and chain.rules else ""
    ips = tuple(key for name, key in table.elements if name == NODE_PORT_IPS)
    return Refused(names, to.replace(f"@{NODE_PORT_IPS}", "@node-ips"), ips)


def table_of(family: Family, name: str, to: str) -> str:
    """The command that makes the table, without elements. Pure."""
    ip = NFT_FAMILY[family]
    kind = "ipv4_addr" if ip == "ip" else "ipv6_addr"
    port = "meta l4proto . th dport"
    services = f"ct state new {ip} daddr . {port} @services"
    node_ports = f"ct state new {to} {port} @nodeports; " if to else ""
    chains = (
        f"chain {hook} {{ type filter hook {hook} priority filter - 1; "
        f"{node_ports if hook == 'input' else ''}{services}; }};"
        for hook in ("input", "forward", "output")
    )
    sets = (
        f"set services {{ type {kind} . inet_proto . inet_service; counter; }};",
        "set nodeports { type inet_proto . inet_service; counter; };",
        f"set node-ips {{ type {kind}; }};",
    )
    return f"add table {ip} {name} {{ flags owner; {' '.join((*sets, *chains))} }}"


def changes(address: str, before: Refused | None, now: Refused) -> Iterator[str]:
    """The commands after which the sets of a table have what is refused now. Pure."""
    olds = _elements(before) if before is not None else set()
    news = _elements(now)
    for word, these in (("delete", olds - news), ("add", news - olds)):
        for name in sorted({each for each, _ in these}):
            keys = ", ".join(sorted(key for each, key in these if each == name))
            yield f"{word} element {address} {name} {{ {keys} }}"


def _elements(one: Refused) -> set[tuple[str, str]]:
    return {*one.names, *(("node-ips", ip) for ip in one.node_ips)}


_COUNTED = re.compile(r"((?:[0-9a-f.:]+ \. )?\w+ \. \d+) counter packets (\d+) bytes ")


def counts(listed: str) -> dict[tuple[str, str], int]:
    """Of what `nft list table` prints of it, the packets of each element, by set and key. Pure."""
    return {
        ("services" if key.count(" . ") == 2 else "nodeports", key): int(packets)
        for key, packets in _COUNTED.findall(listed)
    }


class NftRefusals:
    """Counts on one node; a context manager. Its methods raise `NetlabError`, `OSError` when the
    node has gone."""

    def __init__(self, netns: Path, families: Sequence[Family]) -> None:
        self._netns = netns
        self._families = families
        self._name = f"netlab-top-{secrets.token_hex(6)}"
        self._tables = OwnedTables(netns)
        self._known: dict[Family, Refused] = {}

    def __enter__(self) -> NftRefusals:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the tables."""
        self._tables.close()

    def refusals(self) -> Counter[str]:
        """By `namespace/name:port`, since it is known that the port has no endpoints."""
        found = Counter[str]()
        for family in self._families:
            found += self._counted(family)
            self._follow(family)
        return found

    def _counted(self, family: Family) -> Counter[str]:
        found = Counter[str]()
        known = self._known.get(family)
        if known is not None:
            for element, packets in self._there(family).items():
                found[known.names[element]] += packets
        return found

    def _there(self, family: Family) -> dict[tuple[str, str], int]:
        return counts(self._listed(f"list table {NFT_FAMILY[family]} {self._name}"))

    def _follow(self, family: Family) -> None:
        now, address = self._refused(family), f"{NFT_FAMILY[family]} {self._name}"
        before = self._known.get(family)
        commands = list(changes(address, before, now))
        if before is None:
            commands.insert(0, table_of(family, self._name, now.to))
        if commands:
            self._tables.say(*commands)
            self._await(family, now)
        self._known[family] = now

    def _await(self, family: Family, wanted: Refused) -> None:
        """nft takes what it is told in its own time."""
        end = time.monotonic() + _LONGEST
        while self._there(family).keys() != wanted.names.keys():
            if time.monotonic() > end:
                raise NetlabError(f"nft did not take the elements of table {self._name}")
            time.sleep(_STEP)

    def _refused(self, family: Family) -> Refused:
        of = f"{NFT_FAMILY[family]} {TABLE}"
        texts = [self._listed(f"list map {of} {name}") for name in _SETS.values()]
        texts.append(self._listed(f"list chain {of} {_CHECK}"))
        if f"@{NODE_PORT_IPS}" in texts[-1]:
            texts.append(self._listed(f"list set {of} {NODE_PORT_IPS}"))
        whole = NftTable(family)
        for part in (parse_table(text, family) for text in texts):
            if part is not None:
                whole.chains |= part.chains
                whole.elements |= part.elements
        return refused(whole)

    def _listed(self, command: str) -> str:
        """Nothing while it is not there."""
        return run(["nft", *command.split()], netns=self._netns, check=False).stdout
