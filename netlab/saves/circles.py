"""Chains that jump to each other in a circle, which no kernel loads: where a hook leads into one,
the text is no save of a node's rules, or a damaged one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from netlab.errors import InputError, Problem
from netlab.proxy.iptables.model import HOOKS
from netlab.saves.save import SavedRules

_JUMP = re.compile(r" -[jg] (\S+)")
_GOES = re.compile(r"\b(?:jump|goto) ([^\s,}]+)")
_LOOKED_UP = re.compile(r"vmap @(\S+)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_HINT = "no kernel loads such rules: save them again, unchanged"

_Leads = Mapping[str, Sequence[str]]
"""Each chain of a table with those that its rules lead to."""


def refuse(rules: SavedRules) -> None:
    """`InputError` with the rule that closes a circle to which a hook leads."""
    for name, table in rules.ruleset.tables.items():
        chains = {chain.name: chain.rules for chain in table.chains.values()}
        _refuse(rules, name, chains, HOOKS[name], _of_iptables)
    for listed in rules.tables:
        chains = {name: chain.rules for name, chain in listed.chains.items()}
        bases = [name for name, chain in listed.chains.items() if chain.header.startswith("type ")]
        values: dict[str, list[str]] = {}
        for (name, _), value in listed.elements.items():
            values.setdefault(name, []).append(value.rpartition(" ")[2])
        _refuse(rules, listed.name, chains, bases, partial(_of_nft, values))


def _of_iptables(text: str) -> list[str]:
    """The chains and targets that a text leads to."""
    if " -g " in text:
        return _JUMP.findall(text)
    return [part.partition(" ")[0] for part in text.split(" -j ")[1:]]


def _of_nft(values: Mapping[str, Sequence[str]], text: str) -> list[str]:
    """The chains that a text leads to."""
    looked_up = (values.get(name, ()) for name in _LOOKED_UP.findall(text))
    return [*_GOES.findall(text), *(one for each in looked_up for one in each)]


def _refuse(
    rules: SavedRules,
    table: str,
    chains: Mapping[str, Sequence[str]],
    bases: Iterable[str],
    targets: Callable[[str], list[str]],
) -> None:
    # At first whole chains, with what is quoted in them: that is quick, and leads only further.
    if not _circle({name: targets(" " + " ".join(texts)) for name, texts in chains.items()}, bases):
        return
    exactly = {
        name: [targets(" " + _QUOTED.sub('""', text)) for text in texts]
        for name, texts in chains.items()
    }
    leads = {name: [one for row in rows for one in row] for name, rows in exactly.items()}
    circle = _circle(leads, bases)
    if circle:
        last, first = circle[-2:]
        number = next(at for at, row in enumerate(exactly[last], 1) if first in row)
        written = rules.written[table, last]
        shown = circle if len(circle) <= _FEW else [*circle[: _FEW - 2], "…", *circle[-2:]]
        said = f"table {table}: jumps lead in a circle: {' → '.join(shown)}"
        raise InputError([Problem(written.file, written.line(number), "", said, _HINT)])


_FEW = 6


def _circle(leads: _Leads, begin: Iterable[str]) -> list[str]:
    """A way along jumps that ends where it was before, from there on; nothing if there is none."""
    done: set[str] = set()
    for base in begin:
        way, ahead = [base], [iter(leads.get(base, ()))]
        on_way = {base}
        while ahead:
            following = next(ahead[-1], None)
            if following is None:
                ahead.pop()
                on_way.discard(way[-1])
                done.add(way.pop())
            elif following in on_way:
                return [*way[way.index(following) :], following]
            elif following not in done and following in leads:
                way.append(following)
                on_way.add(following)
                ahead.append(iter(leads[following]))
    return []
