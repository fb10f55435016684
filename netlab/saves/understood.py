"""Rules of which nobody here knows what they ask, or what they do. Pure.

`prove` and `trace` answer around them; this lists them, with their lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from netlab.proxy.iptables.rule import parse_rule
from netlab.saves.save import SavedRules
from netlab.simulation import iptables, match, nft_phrases, nft_rule
from netlab.simulation.ipset import IpSets
from netlab.simulation.match import is_understood


class NotUnderstood(Struct, frozen=True):
    """A rule's place, `where` it stands (`node.save:88`), and the words that nobody knows. `asks`:
    they are a condition, so that the rule may match or not; else what it does is not known."""

    table: str
    chain: str
    number: int
    where: str
    words: str
    asks: bool

    def __str__(self) -> str:
        kind = "asks what is not in a save" if self.asks else "does what nobody here knows"
        return f"{self.where}: {self.table} {self.chain} rule {self.number} {kind}: {self.words}"


def not_understood(rules: SavedRules) -> Iterator[NotUnderstood]:
    """Of all rules, in their order."""
    sets = rules.known_sets()
    for table in rules.ruleset.tables.values():
        for chain in table.chains.values():
            for number, text in enumerate(chain.rules, 1):
                for words, asks in _of_iptables(text):
                    known = asks or rules.ruleset.chain(table.name, _target(text)) is not None
                    if (asks and not _is_saved(words, sets)) or not known:
                        where = rules.where(table.name, chain.name, number)
                        yield NotUnderstood(table.name, chain.name, number, where, words, asks)
    for listed in rules.tables:
        for name, kept in listed.chains.items():
            for number, text in enumerate(kept.rules, 1):
                for words, asks in of_nftables(text):
                    where = rules.where(listed.name, name, number)
                    yield NotUnderstood(listed.name, name, number, where, words, asks)


def _is_saved(words: str, sets: IpSets) -> bool:
    """Whether what is asked is in `ipset save`, which is at hand."""
    asked = words.removeprefix(_ASKS_SET)
    return asked != words and sets.knows(asked.split())


_ASKS_SET = "-m set --match-set "


def _target(text: str) -> str:
    return parse_rule(text).target


@lru_cache(maxsize=100_000)
def _of_iptables(text: str) -> tuple[tuple[str, bool], ...]:
    rule = parse_rule(text)
    if rule.target in iptables.WITHOUT_EFFECT:
        return ()
    odd = [one for one in rule.conditions if not is_understood(one)]
    groups = dict.fromkeys(match.not_understood(one, rule.conditions) for one in odd)
    asked = [(match.said(group), True) for group in groups]
    if not iptables.knows_target(rule.target):
        asked.append((f"-j {rule.target}", False))
    return tuple(asked)


@lru_cache(maxsize=100_000)
def of_nftables(text: str) -> tuple[tuple[str, bool], ...]:
    """The words of one rule that nobody knows, and whether they are a condition."""
    phrases = nft_rule.parse_rule(text)
    found = []
    for at, phrase in enumerate(phrases):
        if isinstance(phrase, nft_phrases.Unknown):
            decides = any(isinstance(each, nft_phrases.EFFECTS) for each in phrases[at + 1 :])
            if decides or not nft_rule.is_idle(phrase.text):
                found.append((phrase.text, decides))
    return tuple(found)
