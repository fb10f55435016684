"""`nft list ruleset` → tables of both families, with each rule's line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from netlab.proxy.addresses import Family
from netlab.proxy.iptables.model import HOOKS
from netlab.proxy.nftables.model import NftTable
from netlab.proxy.nftables.parse import parse_tables_with_lines
from netlab.saves.save import Written

_REMARKS = re.compile(r"(?: # (?:handle \d+|progname [^#\n]*))+$", re.MULTILINE)
"""A rule's or a table's number, and the program that owns a table."""

_FAMILIES: tuple[Family, ...] = ("ipv4", "ipv6")


class Listed(Struct, frozen=True):
    """A table, and where its chains' rules stand."""

    table: NftTable
    written: Mapping[str, Written]


def tables(text: str, file: str) -> Iterator[Listed]:
    """All tables that packets meet, those of inet once for each family. Raises `InputError`."""
    text = _REMARKS.sub("", text)
    for family in _FAMILIES:
        found = parse_tables_with_lines(text, family, file=file)
        yield from distinct(
            (kind, Listed(table, {name: Written(file, at) for name, at in lines.items()}))
            for kind, table, lines in found
        )


def distinct(found: Iterable[tuple[str, Listed]]) -> Iterator[Listed]:
    """Of one family's tables: those of inet with that word where another one has their name."""
    known = list(found)
    names = {one.table.name for kind, one in known if kind != "inet"}
    for kind, one in known:
        if kind == "inet" and one.table.name in names:
            yield replace(one, table=replace(one.table, name=f"inet {one.table.name}"))
        else:
            yield one


def is_of_iptables(table: NftTable) -> bool:
    """Whether iptables' own program keeps that table: its name and its hooked chains' are such."""
    hooks = HOOKS.get(table.name, ())
    hooked = [name for name, chain in table.chains.items() if chain.header.startswith("type ")]
    return bool(hooks) and all(name in hooks for name in hooked)
