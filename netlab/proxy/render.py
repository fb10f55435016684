"""Ruleset → the text of iptables-save, which is also what iptables-restore takes."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from netlab.proxy.model import Chain, Change, Ruleset, Table


def render(ruleset: Ruleset) -> str:
    """Every table, its chains in name order; `[packets:bytes]` before rules that have counters."""
    return _text(ruleset, attrgetter("name"))


def render_restore(ruleset: Ruleset) -> str:
    """The same for iptables-restore: chains are declared in the order of their names read
    backwards, that is, in none.

    The kernel lists chains as they were declared, and iptables-nft sorts what it reads by a
    quicksort that takes the square of their number when they are sorted already: with 40,000
    chains, iptables-nft-save takes 10 s after a restore in name order, 1 s after this one.
    """
    return _text(ruleset, lambda chain: chain.name[::-1])


def _text(ruleset: Ruleset, declared_by: Callable[[Chain], str]) -> str:
    lines: list[str] = []
    for table in ruleset.tables.values():
        lines += _table_lines(table, declared_by)
    return "\n".join(lines) + "\n"


def _table_lines(table: Table, declared_by: Callable[[Chain], str]) -> list[str]:
    lines = [f"*{table.name}"]
    builtin, own = table.builtin(), table.own()
    for chain in [*builtin, *sorted(own, key=declared_by)]:
        packets, size = chain.policy_counters
        lines.append(f":{chain.name} {chain.policy} [{packets}:{size}]")
    for chain in [*builtin, *sorted(own, key=attrgetter("name"))]:
        lines += rule_lines(chain)
    lines.append("COMMIT")
    return lines


def rule_lines(chain: Chain) -> list[str]:
    """`-A CHAIN …` for each rule."""
    prefix = f"-A {chain.name} "
    plain = [prefix + rule if rule else prefix.rstrip() for rule in chain.rules]
    if not chain.counters:
        return plain
    counted = zip(chain.counters, plain, strict=True)
    return [f"[{packets}:{size}] {line}" for (packets, size), line in counted]


def render_change(change: Change) -> str:
    """What `iptables-restore --noflush` needs: touched chains emptied and filled, stale ones
    deleted. The tables stand in the order the change names them.

    Chains are declared in name order: iptables-nft-restore looks for the place of each new one
    in a sorted list, and takes several times as long for thousands that come unsorted.
    """
    lines: list[str] = []
    for table in dict.fromkeys(table for table, _ in change.after):
        touched = {name: rules for (of, name), rules in change.after.items() if of == table}
        names = sorted(touched)
        lines.append(f"*{table}")
        lines += [f":{name} - [0:0]" for name in names]
        for name in names:
            lines += rule_lines(Chain(name, touched[name] or ()))
        lines += [f"-X {name}" for name in names if touched[name] is None]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n" if lines else ""
