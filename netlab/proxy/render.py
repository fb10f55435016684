"""Ruleset → the text of iptables-save, which is also what iptables-restore takes."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.proxy.model import Chain, Ruleset, Table


def render(ruleset: Ruleset, *, counters: bool = False) -> str:
    """Every table, its chains in name order, with `[packets:bytes]` before the rules if asked.

    Name order is not for looks: iptables-nft-restore sorts new chains into a list, and takes four
    times as long for 5,000 Services when they do not come sorted.
    """
    lines: list[str] = []
    for table in ruleset.tables.values():
        lines += table_lines(table, counters=counters)
    return "\n".join(lines) + "\n"


def table_lines(table: Table, *, counters: bool = False) -> Iterator[str]:
    """One table from `*name` to `COMMIT`."""
    chains = list(table.in_order())
    yield f"*{table.name}"
    for chain in chains:
        packets, size = chain.policy_counters
        yield f":{chain.name} {chain.policy} [{packets}:{size}]"
    for chain in chains:
        yield from _counted(chain) if counters else _plain(chain)
    yield "COMMIT"


def _plain(chain: Chain) -> list[str]:
    prefix = f"-A {chain.name} "
    return [prefix + rule if rule else prefix.rstrip() for rule in chain.rules]


def _counted(chain: Chain) -> list[str]:
    counters = chain.counters or ((0, 0),) * len(chain.rules)
    return [
        f"[{packets}:{size}] {line}"
        for (packets, size), line in zip(counters, _plain(chain), strict=True)
    ]
