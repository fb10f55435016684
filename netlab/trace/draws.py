"""Where chance chose, in words: how many it could choose from, and which it was. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from netlab.proxy.iptables.rule import parse_rule
from netlab.simulation.nft_phrases import Elements, Nat, Phrase, VerdictMap
from netlab.simulation.nft_rule import parse_rule as parse_nft
from netlab.trace.passages import MetRule

_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip


class Draw(Struct, frozen=True):
    """A draw among so many, which fell on that one, from 1; `odds` of its rule, "" if all at once
    are drawn from."""

    among: int
    fell_on: int
    odds: str = ""

    def __str__(self) -> str:
        which = _ORDINALS[self.fell_on - 1] if self.fell_on <= len(_ORDINALS) else self._number()
        odds = f" ({self.odds})" if self.odds else ""
        return f"{self.among} endpoints, the draw fell on the {which}{odds}"

    def _number(self) -> str:
        endings = {1: "st", 2: "nd", 3: "rd"}
        teens = self.fell_on % 100 in (11, 12, 13)
        return f"{self.fell_on}{'th' if teens else endings.get(self.fell_on % 10, 'th')}"


def in_iptables(texts: Sequence[str], number: int) -> Draw | None:
    """Of a chain's rules, when that number was taken: those that draw, and the one behind them."""
    drawing = [at for at, text in enumerate(texts, 1) if _probability(text)]
    if not drawing:
        return None
    among = [*drawing, drawing[-1] + 1]
    if number not in among or among[-1] > len(texts):
        return None
    fell_on = among.index(number) + 1
    rest = len(among) - fell_on + 1
    odds = f"1/{rest}" if fell_on == 1 else f"1/{rest} of the rest" if rest > 1 else "the rest"
    return Draw(len(among), fell_on, odds)


def _probability(text: str) -> str:
    if "--probability" not in text:  # nearly all, where there are many
        return ""
    asked = parse_rule(text).conditions
    return next((one.values[0] for one in asked if one.option == "--probability"), "")


def in_nftables(met: MetRule, destination: str) -> Draw | None:
    """Of a rule that draws from a map, when it led to that chain or to that `address:port`."""
    for phrase in parse_nft(met.text):
        drawn = _drawn(phrase)
        if drawn is None:
            continue
        among, elements = drawn
        for key, value in elements.own.items():
            if key.isdigit() and _leads(value, met.to, destination):
                return Draw(among, int(key) + 1)
    return None


def _drawn(phrase: Phrase) -> tuple[int, Elements] | None:
    if isinstance(phrase, VerdictMap | Nat) and phrase.selector and phrase.selector.draw:
        return phrase.selector.draw, phrase.elements
    return None


def _leads(value: str, chain: str, destination: str) -> bool:
    if chain:
        return value.partition(" ")[2] == chain
    address, _, port = value.partition(" . ")
    return destination in (value, f"{address}:{port}", f"[{address}]:{port}")
