"""A node's rules of iptables mode, as traces ask them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import cache, cached_property

from msgspec.structs import replace

from netlab.pathcheck.decode import split
from netlab.proxy.iptables import owners
from netlab.proxy.iptables.chains import is_of_service
from netlab.proxy.iptables.model import Chains
from netlab.proxy.iptables.rule import parse_rule
from netlab.proxy.nftables.model import NftTable
from netlab.simulation import iptables
from netlab.simulation.hooks import EntryHook, Route
from netlab.simulation.packet import Outcome, Packet
from netlab.trace import draws, misses
from netlab.trace.draws import Draw
from netlab.trace.misses import Miss
from netlab.trace.node_rules import FIELDS, RuleAt
from netlab.trace.passages import MetRule


class IptablesRules:
    """Those of iptables mode, and the lists of `-m recent` that know an address, by the address;
    `others` reads tables that are nftables' own, whose rules are told and not foreseen."""

    def __init__(
        self,
        ruleset: Chains,
        recent: Mapping[str, frozenset[str]],
        others: Callable[[], Sequence[NftTable]] = tuple,
    ) -> None:
        self._ruleset = ruleset
        self._recent = recent
        self._others = cache(others)

    def simulate(self, packet: Packet, *, entry: EntryHook, route: Route) -> list[Outcome]:
        """See `NodeRules`."""
        return iptables.simulate(self._ruleset, self._known(packet), entry=entry, route=route)

    def texts(self, table: str, chain: str) -> Sequence[str]:
        """See `NodeRules`."""
        if not self.knows(table):
            alike = (one.chains[chain] for one in self._others() if one.name == table)
            return next((one.rules for one in alike), ())
        found = self._ruleset.chain(table, chain)
        return found.rules if found is not None else ()

    def misses(self, table: str, chain: str, packet: Packet) -> Iterator[Miss]:
        """See `NodeRules`."""
        texts = self.texts(table, chain) if self.knows(table) else ()
        return misses.misses(texts, self._known(packet))

    def knows(self, table: str) -> bool:
        """See `NodeRules`."""
        return table in _TABLES

    def acts(self, text: str) -> bool:
        """See `NodeRules`."""
        return parse_rule(text).target not in ("", "RETURN")

    def owner(self, met: MetRule, came: str) -> str | None:
        """See `NodeRules`."""
        del came
        return owners.in_chain(self._ruleset.chain(met.table, met.chain), met.text)

    @cached_property
    def _all(self) -> tuple[RuleAt, ...]:
        return tuple(
            RuleAt(table.name, chain.name, number, text)
            for table in self._ruleset.tables.values()
            for chain in table.chains.values()
            for number, text in enumerate(chain.rules, 1)
        )

    def all(self) -> Sequence[RuleAt]:
        """See `NodeRules`."""
        return self._all

    def leads(self, rule: RuleAt) -> Mapping[str, str]:
        """See `NodeRules`."""
        target = parse_rule(rule.text).target
        return {target: ""} if self._ruleset.chain(rule.table, target) is not None else {}

    def sends_to(self, rule: RuleAt) -> Set[str]:
        """See `NodeRules`."""
        to = parse_rule(rule.text).option("--to-destination")
        return {split(to)[0]} if to else frozenset()

    def entrances(self) -> Iterator[tuple[RuleAt, str, str]]:
        """See `NodeRules`."""
        for rule in self._all:
            owner = owners.service_port(rule.text)
            if owner is not None and not is_of_service(rule.chain):
                yield rule, owner, ""

    def key_of(self, rule: RuleAt, came: str) -> str:
        """See `NodeRules`."""
        del rule, came  # there are no maps
        return ""

    def fields(self, text: str) -> Set[str]:
        """See `NodeRules`."""
        asked = (FIELDS.get(one.option) for one in parse_rule(text).conditions)
        return frozenset(filter(None, asked))

    def written(self, table: str, chain: str, number: int) -> str:
        """See `NodeRules`."""
        del table, chain, number
        return ""

    def draw(self, met: MetRule, destination: str) -> Draw | None:
        """See `NodeRules`."""
        del destination
        return draws.in_iptables(self.texts(met.table, met.chain), met.number)

    def _known(self, packet: Packet) -> Packet:
        return replace(packet, recent=self._recent.get(packet.source, frozenset()))


_TABLES = ("raw", "mangle", "nat", "filter", "security")
