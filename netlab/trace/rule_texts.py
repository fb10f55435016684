"""Which rule it was: from the handle that the kernel tells to the rule's number and text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from netlab.kernel.nftrace import rule_handles
from netlab.trace.passages import FAMILIES, FindRule

Chains = Callable[[str, str], Sequence[str]]
"""The texts of a chain's rules, in their order, by table and chain."""

_NUMBERS = {name: number for number, name in FAMILIES.items()}


def finder(netns: Path | int, chains: Chains) -> FindRule:
    """What finds rules of that namespace: a handle's place in its chain is its text's, too. Of a
    chain's thousands of rules only one sends packets where this one did: it needs no handle."""

    @cache
    def handles(family: str, table: str, chain: str) -> Mapping[int, int]:
        found = rule_handles(netns, _NUMBERS[family], table, chain)
        return {handle: number for number, handle in enumerate(found, 1)}

    def find(family: str, table: str, chain: str, handle: int, to: str) -> tuple[int, str]:
        texts = chains(table, chain)
        number = (to and _only_one_to(to, texts)) or handles(family, table, chain).get(handle, 0)
        return number, texts[number - 1] if 0 < number <= len(texts) else ""

    return find


def _only_one_to(chain: str, texts: Sequence[str]) -> int:
    """The number of the only rule of iptables that leads to a chain; 0 if more do, or none."""
    ends = (f"-j {chain}", f"-g {chain}")
    found = [number for number, text in enumerate(texts, 1) if text.endswith(ends)]
    return found[0] if len(found) == 1 else 0
