"""Ruleset → the text of iptables-save, which is also what iptables-restore takes."""

from __future__ import annotations

from netlab.proxy.model import Chain, Change, Ruleset, Table


def render(ruleset: Ruleset) -> str:
    """Every table, its chains in name order; `[packets:bytes]` before rules that have counters.

    Name order is not for looks: iptables-nft-restore sorts new chains into a list, and takes four
    times as long for 5,000 Services when they do not come sorted.
    """
    lines: list[str] = []
    for table in ruleset.tables.values():
        lines += table_lines(table)
    return "\n".join(lines) + "\n"


def table_lines(table: Table) -> list[str]:
    """One table from `*name` to `COMMIT`."""
    chains = list(table.in_order())
    lines = [f"*{table.name}"]
    for chain in chains:
        packets, size = chain.policy_counters
        lines.append(f":{chain.name} {chain.policy} [{packets}:{size}]")
    for chain in chains:
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
    deleted. The tables stand in the order the change names them."""
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
