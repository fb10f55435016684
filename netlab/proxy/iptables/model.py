"""A ruleset as iptables-save shows it: tables, chains, rules in canonical spelling.

A rule is the text after `-A CHAIN `, spelt as the kernel's own read-back spells it
(`-d 10.96.0.1/32 -p tcp -m comment --comment "…" -m tcp --dport 443 -j KUBE-SVC-…`), so that
what was compiled and what was read compare with `==`. Plain strings in tuples: 10,000 Services
are 110,000 rules, and they have to fit in memory and be compared in a moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from msgspec import Struct, field

Counters = tuple[int, int]
"""Packets and bytes."""

HOOKS: dict[str, tuple[str, ...]] = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
"""The built-in chains of each table, in iptables-save's order."""


class Chain(NamedTuple):
    """One chain. `policy` is "-" for a chain that is not built in; `counters` may be empty."""

    name: str
    rules: tuple[str, ...] = ()
    policy: str = "-"
    counters: tuple[Counters, ...] = ()
    policy_counters: Counters = (0, 0)


class Table(Struct):
    """One table: its chains by name."""

    name: str
    chains: dict[str, Chain] = field(default_factory=dict)

    def builtin(self) -> list[Chain]:
        """The built-in chains, as the kernel lists them."""
        return [self.chains[name] for name in HOOKS.get(self.name, ()) if name in self.chains]

    def own(self) -> list[Chain]:
        """The chains that are not built in."""
        hooks = HOOKS.get(self.name, ())
        return [chain for name, chain in self.chains.items() if name not in hooks]

    def in_order(self) -> list[Chain]:
        """Built-in chains as the kernel lists them, then the others by name."""
        return self.builtin() + sorted(self.own(), key=lambda chain: chain.name)


class Ruleset(Struct):
    """All tables of one address family in one network namespace."""

    tables: dict[str, Table] = field(default_factory=dict)

    def chain(self, table: str, chain: str) -> Chain | None:
        """That chain, or None."""
        found = self.tables.get(table)
        return found.chains.get(chain) if found else None

    def rules(self) -> Iterator[tuple[str, str, str]]:
        """Every rule as (table, chain, text)."""
        for table in self.tables.values():
            for chain in table.in_order():
                for rule in chain.rules:
                    yield table.name, chain.name, rule


class Chains(Protocol):
    """A `Ruleset`, or what reads one piece by piece."""

    @property
    def tables(self) -> dict[str, Table]:
        """All tables, by name."""

    def chain(self, table: str, chain: str, /) -> Chain | None:
        """That chain, or None."""


class RulesetChange(Struct):
    """Chains to replace, by (table, chain): their rules before and after, None for no chain.

    Only chains that are not built in; `before` undoes what `after` does.
    """

    before: dict[tuple[str, str], tuple[str, ...] | None] = field(default_factory=dict)
    after: dict[tuple[str, str], tuple[str, ...] | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.after)

    def note(
        self, place: tuple[str, str], old: tuple[str, ...] | None, new: tuple[str, ...] | None
    ) -> None:
        """Record one chain, unless nothing changes."""
        if old != new:
            self.before[place], self.after[place] = old, new

    def undone(self, tables: Iterable[str]) -> RulesetChange:
        """The change back, in those tables only."""
        back = RulesetChange()
        for place, new in self.after.items():
            if place[0] in tables:
                back.note(place, new, self.before[place])
        return back
