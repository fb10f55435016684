"""The rules that a save of a node has, as traces ask them: iptables' and nftables' own. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from msgspec.structs import replace

from netlab.saves.save import SavedRules
from netlab.simulation import both
from netlab.simulation.hooks import EntryHook, Route
from netlab.simulation.knowledge import Known
from netlab.simulation.packet import Outcome, Packet
from netlab.trace.draws import Draw
from netlab.trace.iptables_rules import IptablesRules
from netlab.trace.misses import Miss
from netlab.trace.nftables_rules import NftRules
from netlab.trace.node_rules import NodeRules, RuleAt
from netlab.trace.passages import MetRule

_EVERYBODY = ("0.0.0.0/0", "::/0")
"""Whose addresses are none of the node's, but for those that a packet says are."""


class RulesOfSave:
    """See `NodeRules`: a table's rules are asked in the language that it is in."""

    def __init__(self, rules: SavedRules) -> None:
        self._rules = rules
        self._sets = rules.known_sets()
        self._iptables = IptablesRules(rules.ruleset, {})
        self._nftables = NftRules(rules.tables)

    def _of(self, table: str) -> NodeRules:
        return self._iptables if table in self._rules.ruleset.tables else self._nftables

    def _in(self, text: str) -> NodeRules:
        """By the language of a text: iptables' begin with an option."""
        return self._iptables if text.startswith(("-", "!")) else self._nftables

    def simulate(
        self, packet: Packet, *, entry: EntryHook, route: Route | None = None
    ) -> list[Outcome]:
        """See `NodeRules`."""
        return both.simulate(
            self._rules.ruleset, self._rules.tables, packet, entry=entry, route=route
        )

    def texts(self, table: str, chain: str) -> Sequence[str]:
        """See `NodeRules`."""
        return self._of(table).texts(table, chain)

    def misses(self, table: str, chain: str, packet: Packet) -> Iterator[Miss]:
        """See `NodeRules`."""
        if self._sets:
            known = Known(networks=_EVERYBODY, ipsets=self._sets)
            packet = replace(packet, known=known)
        return self._of(table).misses(table, chain, packet)

    def acts(self, text: str) -> bool:
        """See `NodeRules`."""
        return self._in(text).acts(text)

    def owner(self, met: MetRule, came: str) -> str | None:
        """See `NodeRules`."""
        return self._of(met.table).owner(met, came)

    def knows(self, table: str) -> bool:
        """See `NodeRules`."""
        return self._of(table).knows(table)

    def all(self) -> Sequence[RuleAt]:
        """See `NodeRules`."""
        of_iptables = self._iptables.all() if self._has_iptables() else ()
        return (*of_iptables, *self._nftables.all())

    def _has_iptables(self) -> bool:
        return bool(self._rules.ruleset.tables)

    def leads(self, rule: RuleAt) -> Mapping[str, str]:
        """See `NodeRules`."""
        return self._of(rule.table).leads(rule)

    def sends_to(self, rule: RuleAt) -> Set[str]:
        """See `NodeRules`."""
        return self._of(rule.table).sends_to(rule)

    def entrances(self) -> Iterator[tuple[RuleAt, str, str]]:
        """See `NodeRules`."""
        yield from self._iptables.entrances()
        yield from self._nftables.entrances()

    def key_of(self, rule: RuleAt, came: str) -> str:
        """See `NodeRules`."""
        return self._of(rule.table).key_of(rule, came)

    def fields(self, text: str) -> Set[str]:
        """See `NodeRules`."""
        return self._in(text).fields(text)

    def written(self, table: str, chain: str, number: int) -> str:
        """See `NodeRules`."""
        return self._rules.where(table, chain, number)

    def draw(self, met: MetRule, destination: str) -> Draw | None:
        """See `NodeRules`."""
        return self._of(met.table).draw(met, destination)
