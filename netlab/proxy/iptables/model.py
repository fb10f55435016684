"""A ruleset as iptables-save shows it: tables, chains, rules in canonical spelling.

A rule is the text after `-A CHAIN `, spelt as the kernel's own read-back spells it
(`-d 10.96.0.1/32 -p tcp -m comment --comment "…" -m tcp --dport 443 -j KUBE-SVC-…`), so that
what was compiled and what was read compare with `==`. Plain strings in tuples: 10,000 Services
are 110,000 rules, and they have to fit in memory and be compared in a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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


class ChainEdit(Struct):
    """What of a long chain changes: the rules that it has no more, each with its number in the
    chain of before (from 1), and those that it gets, with theirs in the one of after; in order.

    `before` and `after` are how many rules there are. No rule that goes stands there once more.
    `whole` are all rules of after, for who writes no less; of use until the next change.
    """

    gone: Sequence[tuple[int, str]]
    new: Sequence[tuple[int, str]]
    before: int
    after: int
    whole: Callable[[], tuple[str, ...]]

    def undone(self) -> ChainEdit:
        """The way back."""
        return ChainEdit(self.new, self.gone, self.after, self.before, self._whole_before)

    def _whole_before(self) -> tuple[str, ...]:
        rules = list(self.whole())
        for number, _ in reversed(self.new):
            del rules[number - 1]
        for number, rule in self.gone:
            rules.insert(number - 1, rule)
        return tuple(rules)


class RulesetChange(Struct):
    """Chains to replace, by (table, chain): their rules before and after, None for no chain; and
    others that are `edited`.

    Only chains that are not built in; `before` undoes what `after` does.
    """

    before: dict[tuple[str, str], tuple[str, ...] | None] = field(default_factory=dict)
    after: dict[tuple[str, str], tuple[str, ...] | None] = field(default_factory=dict)
    edited: dict[tuple[str, str], ChainEdit] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.after or self.edited)

    def tables(self) -> list[str]:
        """The tables of which something changes, each once."""
        return list(dict.fromkeys(table for table, _ in (*self.after, *self.edited)))

    def whole(self) -> dict[tuple[str, str], tuple[str, ...] | None]:
        """All chains of which something changes, with all their rules."""
        return {**self.after, **{place: edit.whole() for place, edit in self.edited.items()}}

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
        for place, edit in self.edited.items():
            if place[0] in tables:
                back.edited[place] = edit.undone()
        return back
