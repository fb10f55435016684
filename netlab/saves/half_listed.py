"""Rules of which nft told half: of iptables' own matches and targets its JSON has the names alone.

    "xt": {"type": "match", "name": "conntrack"}      of which connections, is not said

What a name settles is known (`comment`, `MASQUERADE`, see `simulation.nft_rule`); of the rest it is
said once, which matches and targets those are, and which program tells all of them. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from netlab.proxy.addresses import Family
from netlab.proxy.nftables.model import NftTable
from netlab.saves import listing
from netlab.saves.save import Remark, SavedRules
from netlab.saves.understood import of_nftables


class _Half(NamedTuple):
    """A rule: its file, the names that it has, and whose save would tell it."""

    file: str
    words: tuple[str, ...]
    program: str


def remarks(families: Iterable[SavedRules]) -> Iterator[Remark]:
    """One for each file that has such rules."""
    found: dict[str, list[_Half]] = {}
    rules: Counter[str] = Counter()
    for saved in families:
        for table in saved.tables:
            for half in _halves(saved, table):
                found.setdefault(half.file, []).append(half)
            rules.update(_files(saved, table))
    for file, halves in found.items():
        yield Remark(file, 0, _words(halves, rules[file]))


def _files(saved: SavedRules, table: NftTable) -> Iterator[str]:
    """The file of each of iptables' own rules."""
    if listing.is_of_iptables(table):
        for name, chain in table.chains.items():
            yield from (saved.written[table.name, name].file for _ in chain.rules)


def program(family: Family) -> str:
    """Which tells all of a family's rules of iptables."""
    return "ip6tables-save" if family == "ipv6" else "iptables-save"


def is_half(words: str) -> bool:
    """Whether words of a rule are a name of iptables', of which nft tells no more."""
    return words.startswith("xt ")


def _halves(saved: SavedRules, table: NftTable) -> Iterator[_Half]:
    for name, chain in table.chains.items():
        for text in chain.rules:
            odd = tuple(words for words, _ in of_nftables(text)) if "xt " in text else ()
            if named := tuple(dict.fromkeys(filter(is_half, odd))):
                file = saved.written[table.name, name].file
                yield _Half(file, named, program(saved.family))


def _words(halves: list[_Half], rules: int) -> str:
    kinds = Counter(words.removeprefix("xt ") for half in halves for words in half.words)
    named = ", ".join(f"{kind} in {count}" for kind, count in kinds.most_common())
    programs = " and ".join(dict.fromkeys(one.program for one in halves))
    return (
        f"of {len(halves)} of its {rules} rules of iptables nft tells names alone ({named}): what"
        " these ask and do is not known, and an answer for which it matters stays open. Give what"
        f" {programs} prints as well"
    )
