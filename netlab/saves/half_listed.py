"""Rules of which nft told half: of iptables' own matches and targets its JSON has the names alone.

    "xt": {"type": "match", "name": "conntrack"}      of which connections, is not said

What a name settles is known (`comment`, `MASQUERADE`, see `simulation.nft_rule`); of the rest it is
said once, which rules those are, and which program tells all of them. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from netlab.proxy.nftables.model import NftTable
from netlab.saves.save import Remark, SavedRules, Written
from netlab.saves.understood import of_nftables

_NAMED = 6
"""So many of them are named; `netlab rules --from-save` has all."""


class _Half(NamedTuple):
    """A rule, and whose save would tell it."""

    written: Written
    table: str
    number: int
    program: str


def remarks(families: Iterable[SavedRules]) -> Iterator[Remark]:
    """One for each file that has such rules."""
    found: dict[str, list[_Half]] = {}
    rules: dict[str, int] = {}
    for saved in families:
        for table in saved.tables:
            halves = list(_halves(saved, table))
            if halves:
                file = halves[0].written.file
                found.setdefault(file, []).extend(halves)
                rules[file] = rules.get(file, 0) + _size(table)
    for file, halves in found.items():
        yield Remark(file, 0, _words(halves, rules[file]))


def _size(table: NftTable) -> int:
    return sum(len(chain.rules) for chain in table.chains.values())


def _halves(saved: SavedRules, table: NftTable) -> Iterator[_Half]:
    program = "ip6tables-save" if saved.family == "ipv6" else "iptables-save"
    for name, chain in table.chains.items():
        for number, text in enumerate(chain.rules, 1):
            if "xt " in text and any(words.startswith("xt ") for words, _ in of_nftables(text)):
                written = saved.written[table.name, name]
                yield _Half(written, table.name, written.numbers[number], program)


def _words(halves: list[_Half], rules: int) -> str:
    places = ", ".join(dict.fromkeys(_place(one) for one in halves[:_NAMED]))
    more = f" and {len(halves) - _NAMED} more" if len(halves) > _NAMED else ""
    programs = " and ".join(dict.fromkeys(one.program for one in halves))
    return (
        f"of {len(halves)} of its {rules} rules of iptables nft does not tell all they ask and do"
        f" ({places}{more}): give what {programs} prints as well"
    )


def _place(half: _Half) -> str:
    of = "line" if half.written.word == ":" else f"{half.table}{half.written.word.rstrip()}"
    return f"{of} {half.number}"
