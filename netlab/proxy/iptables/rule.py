"""The parts of one rule: its conditions, its target. For whoever thinks about rules, not for
those who only move them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')

# Spellings that iptables accepts besides its own.
_SPELLINGS = {
    "--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d", "--protocol": "-p",
    "--jump": "-j", "--goto": "-g", "--match": "-m", "--in-interface": "-i",
    "--out-interface": "-o", "--destination-port": "--dport", "--source-port": "--sport",
}  # fmt: skip


# What iptables itself knows, without a match.
_BASIC = frozenset({"-s", "-d", "-i", "-o", "-p"})


class Condition(Struct, frozen=True):
    """One thing a rule asks: `module` is "" for what iptables itself knows (-s, -d, -i, -o, -p)."""

    module: str
    option: str
    values: tuple[str, ...] = ()
    negated: bool = False

    def __str__(self) -> str:
        words = ["!"] if self.negated else []
        return " ".join([*words, self.option, *self.values])


class Rule(Struct, frozen=True):
    """A rule taken apart. `modules` are its `-m`, also those that ask nothing; `target` is ""
    for a rule that only counts; `goto` when the target chain does not return here."""

    conditions: tuple[Condition, ...]
    modules: tuple[str, ...]
    target: str
    options: tuple[Condition, ...] = ()
    goto: bool = False

    def option(self, name: str) -> str:
        """The first value of a target's option, or ""."""
        for option in self.options:
            if option.option == name:
                return option.values[0] if option.values else ""
        return ""

    @property
    def comment(self) -> str:
        """The text of its comment match, or ""."""
        for condition in self.conditions:
            if condition.option == "--comment":
                return condition.values[0]
        return ""


def tokens(text: str) -> list[str]:
    """The words of a rule; quoted ones without their quotes."""
    return [
        re.sub(r"\\(.)", r"\1", found[1]) if found[2] is None else found[2]
        for found in _TOKEN.finditer(text)
    ]


@lru_cache(maxsize=200_000)
def parse_rule(text: str) -> Rule:
    """Take apart the text of a rule (without `-A CHAIN`)."""
    conditions: list[Condition] = []
    options: list[Condition] = []
    modules: list[str] = []
    target, goto = "", False
    for condition in _groups(tokens(text)):
        option = _SPELLINGS.get(condition.option, condition.option)
        first, *_ = (*condition.values, "")
        if option == "-m":
            modules.append(first)
        elif option in ("-j", "-g"):
            target, goto = first, option == "-g"
        else:
            into = options if target else conditions
            of = "" if option in _BASIC or not modules else modules[-1]
            into.append(Condition(of, option, condition.values, condition.negated))
    return Rule(tuple(conditions), tuple(modules), target, tuple(options), goto)


def _groups(words: list[str]) -> Iterator[Condition]:
    """Options with the words that follow them, and the `!` that may precede."""
    option, negated, next_negated = "", False, False
    values: list[str] = []
    for word in words:
        if word == "!":
            next_negated = True
        elif re.match(r"--?[a-zA-Z]", word) and not _is_comment(option, values):
            if option:
                yield Condition("", option, tuple(values), negated)
            option, values, negated, next_negated = word, [], next_negated, False
        else:
            values.append(word)
    if option:
        yield Condition("", option, tuple(values), negated)


def _is_comment(option: str, values: list[str]) -> bool:
    """A comment may begin with a dash: what follows --comment is its text, whatever it is."""
    return option == "--comment" and not values
