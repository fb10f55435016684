"""A node's rules in force, of either mode of kube-proxy: what is asked of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from netlab.pathcheck.decode import split
from netlab.proxy.iptables import owners as iptables_owners
from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.iptables.rule import parse_rule
from netlab.proxy.nftables import owners as nftables_owners
from netlab.proxy.nftables.model import NftTable
from netlab.simulation import iptables, nft_rule, nftables
from netlab.simulation.hooks import EntryHook, Route
from netlab.simulation.nft_match import Sets
from netlab.simulation.packet import Outcome, Packet
from netlab.trace import draws, misses, nft_misses
from netlab.trace.draws import Draw
from netlab.trace.misses import Miss
from netlab.trace.passages import MetRule


class NodeRules(Protocol):
    """The rules that packets of one family meet on a node."""

    def simulate(self, packet: Packet, *, entry: EntryHook, route: Route) -> list[Outcome]:
        """What they do with a packet, as the simulators say."""

    def texts(self, table: str, chain: str) -> Sequence[str]:
        """A chain's rules, in their order; none of a chain that is not there."""

    def misses(self, table: str, chain: str, packet: Packet) -> Iterator[Miss]:
        """Those of a chain's rules that this packet does not match, and why."""

    def acts(self, text: str) -> bool:
        """Whether that rule does something to a packet, beside sending it on to a chain."""

    def owner(self, met: MetRule, came: str) -> str | None:
        """The `namespace/name[:port]` of the Service that a rule is for; None for none. `came` is
        the packet's `address:port` as it came there."""

    def draw(self, met: MetRule, destination: str) -> Draw | None:
        """If chance chose that rule, or in it: among how many. `destination` is the packet's
        `address:port` behind it."""


Rules = Callable[[str], NodeRules]
"""A node's rules, by its name."""


class IptablesRules:
    """Those of iptables mode, and the lists of `-m recent` that know an address, by the address."""

    def __init__(self, ruleset: Ruleset, recent: Mapping[str, frozenset[str]]) -> None:
        self._ruleset = ruleset
        self._recent = recent

    def simulate(self, packet: Packet, *, entry: EntryHook, route: Route) -> list[Outcome]:
        """See `NodeRules`."""
        return iptables.simulate(self._ruleset, self._known(packet), entry=entry, route=route)

    def texts(self, table: str, chain: str) -> Sequence[str]:
        """See `NodeRules`."""
        found = self._ruleset.chain(table, chain)
        return found.rules if found is not None else ()

    def misses(self, table: str, chain: str, packet: Packet) -> Iterator[Miss]:
        """See `NodeRules`."""
        return misses.misses(self.texts(table, chain), self._known(packet))

    def acts(self, text: str) -> bool:
        """See `NodeRules`."""
        return parse_rule(text).target not in ("", "RETURN")

    def owner(self, met: MetRule, came: str) -> str | None:
        """See `NodeRules`."""
        del came
        return iptables_owners.owner(self._ruleset.tables.get(met.table), met.chain, met.text)

    def draw(self, met: MetRule, destination: str) -> Draw | None:
        """See `NodeRules`."""
        del destination
        return draws.in_iptables(self.texts(met.table, met.chain), met.number)

    def _known(self, packet: Packet) -> Packet:
        return replace(packet, recent=self._recent.get(packet.source, frozenset()))


class NftRules:
    """Those of nftables mode: all tables, whosever they are."""

    def __init__(self, tables: Sequence[NftTable]) -> None:
        self._tables = tables

    def simulate(self, packet: Packet, *, entry: EntryHook, route: Route) -> list[Outcome]:
        """See `NodeRules`."""
        return nftables.simulate(self._tables, packet, entry=entry, route=route)

    def texts(self, table: str, chain: str) -> Sequence[str]:
        """See `NodeRules`."""
        found = self._with(table, chain)
        return found.chains[chain].rules if found is not None else ()

    def misses(self, table: str, chain: str, packet: Packet) -> Iterator[Miss]:
        """See `NodeRules`."""
        found = self._with(table, chain)
        if found is not None:
            yield from nft_misses.misses(found.chains[chain].rules, packet, Sets(found))

    def acts(self, text: str) -> bool:
        """See `NodeRules`."""
        return any(
            isinstance(each, nft_rule.SetMark | nft_rule.Nat | nft_rule.NoTrack)
            or (isinstance(each, nft_rule.Verdict) and each.verdict not in _IDLE and not each.to)
            for each in nft_rule.parse_rule(text)
        )

    def owner(self, met: MetRule, came: str) -> str | None:
        """See `NodeRules`."""
        named = nftables_owners.service_port(met.chain) or nftables_owners.service_port(met.to)
        return named or self._looked_up(met, came)

    def _looked_up(self, met: MetRule, came: str) -> str | None:
        """As the element of a rule's map says that is for that destination."""
        found, table = _MAP.search(met.text), self._with(met.table, met.chain)
        if found is None or table is None:
            return None
        address, port = split(came)
        for (name, key), value in table.elements.items():
            parts = key.split(" . ")
            if name == found[1] and parts[-1] == str(port) and parts[0] in (address, *_PROTOCOLS):
                return nftables_owners.service_port(value)
        return None

    def draw(self, met: MetRule, destination: str) -> Draw | None:
        """See `NodeRules`."""
        return draws.in_nftables(met, destination)

    def _with(self, table: str, chain: str) -> NftTable | None:
        alike = (each for each in self._tables if each.name == table and chain in each.chains)
        return next(alike, None)


_MAP = re.compile(r"vmap @(\S+)")
_PROTOCOLS = ("tcp", "udp", "sctp")
_IDLE = ("return", "continue")
