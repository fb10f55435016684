"""`nft list table` text of kube-proxy's table → NftTable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from netlab.errors import InputError, Problem
from netlab.proxy.addresses import Family
from netlab.proxy.nftables.model import NFT_FAMILY, TABLE, NftChain, NftSet, NftTable

_ANY_TABLE = re.compile(r"table (ip6?|inet) (\S+) \{$")
_BLOCK = re.compile(r"(chain|set|map) (\S+) \{$")
_FLEETING = re.compile(r"(?: (?:timeout|expires) \w+| counter packets \d+ bytes \d+)+$")
_QUOTED = re.compile(r'"[^"]*"')
_HEADER = ("type ", "comment ", "size ", "flags ", "timeout ", "policy ")

# nft 1.0.9 has a name for -100 in the output hook as well, where 1.0.6 prints the number.
_OUTPUT_PRIORITY = re.compile(r"(?<=hook output priority )dstnat(?: - ([0-9]+))?")


def _as_number(name: re.Match[str]) -> str:
    return str(-100 - int(name[1] or 0))


def parse(text: str, family: Family, *, file: str = "-") -> NftTable:
    """kube-proxy's table in the text of `nft list ruleset`; an empty one when it has none.

    Raises InputError for text that lists no tables.
    """
    if not re.search(r"^table \w+ \S+ \{", text, re.MULTILINE):
        message, hint = "lists no nftables table", "expected the output of nft list ruleset"
        raise InputError([Problem(file, 1, "", message, hint)])
    return parse_table(text, family, file=file) or NftTable(family)


def parse_table(
    text: str, family: Family, *, file: str = "-", name: str = TABLE
) -> NftTable | None:
    """The table of that name and family in the text of `nft list ruleset` or `list table`.

    None when it has none. Elements of sets that packets fill are left out.
    """
    lines = list(enumerate((line.strip() for line in text.splitlines()), 1))
    table = NftTable(family, name=name)
    start = f"table {table.address} {{"
    found = next((at for at, (_, line) in enumerate(lines) if line == start), None)
    if found is None:
        return None
    return _TableParser(table, file).table(islice(lines, found + 1, None))


def parse_tables(text: str, family: Family, *, file: str = "-") -> list[NftTable]:
    """All tables that packets of that family meet, by the text of `nft list ruleset`, in its order;
    with the elements that packets added to sets. What of others' tables is neither chain, set nor
    map is left out."""
    return [table for _, table, _ in parse_tables_with_lines(text, family, file=file)]


Lines = dict[str, tuple[int, ...]]
"""On which line each chain has its hook and policy, 0 if it has none, and after that on which each
of its rules begins, by chain."""


def parse_tables_with_lines(
    text: str, family: Family, *, file: str = "-"
) -> Iterator[tuple[str, NftTable, Lines]]:
    """The same, each with the word for its family (`ip`, `inet`), and where its rules are."""
    lines = list(enumerate((line.strip() for line in text.splitlines()), 1))
    for at, (_, line) in enumerate(lines):
        match = _ANY_TABLE.match(line)
        if match and match[1] in (NFT_FAMILY[family], "inet"):
            parser = _TableParser(NftTable(family, name=match[2]), file, with_dynamic=True)
            table = parser.table(islice(lines, at + 1, None))
            if not parser.dormant:
                yield match[1], table, parser.lines


class _Counted:
    """Lines, of which it knows the last that was taken."""

    def __init__(self, lines: Iterable[tuple[int, str]]) -> None:
        self._lines = iter(lines)
        self.last = 0

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self

    def __next__(self) -> tuple[int, str]:
        self.last, line = next(self._lines)
        return self.last, line


class _TableParser:
    def __init__(self, table: NftTable, file: str, *, with_dynamic: bool = False) -> None:
        self.into = table
        self.file = file
        self.with_dynamic = with_dynamic
        self.dormant = False
        self.lines: Lines = {}

    def table(self, lines: Iterable[tuple[int, str]]) -> NftTable:
        rest = _Counted(lines)
        for number, line in rest:
            if line == "}":
                return self.into
            match = _BLOCK.match(line)
            if match:
                body = list(self.body(number, rest))
                kind, name = match.groups()
                if kind == "chain":
                    self.chain(name, body)
                else:
                    self.set(kind, name, [line for _, line in body])
            elif self.with_dynamic and line.endswith("{"):  # a counter's, a flowtable's, …
                list(self.body(number, rest))
            elif self.with_dynamic and line.startswith("flags "):
                self.dormant = "dormant" in line
            elif line and not line.startswith("comment "):
                raise self.problem(number, f"{line[:60]!r} is no chain, set or map")
        raise self.problem(rest.last, "the table does not end")

    def problem(self, number: int, message: str) -> InputError:
        hint = "expected the output of nft list ruleset"
        return InputError([Problem(self.file, number, "", message, hint)])

    def body(self, start: int, rest: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """The lines of the block begun at `start`, with their numbers; lines that nft broke are
        joined."""
        parts: list[str] = []
        depth = begin = 0
        for number, line in rest:
            if line == "}" and not parts:
                return
            begin = begin if parts else number
            parts.append(line)
            bare = _QUOTED.sub("", line) if '"' in line else line
            depth += bare.count("{") - bare.count("}")
            if depth == 0:
                yield begin, " ".join(parts)
                parts = []
        raise self.problem(start, "a block does not end")

    def chain(self, name: str, body: list[tuple[int, str]]) -> None:
        headed = bool(body) and body[0][1].startswith(("type ", "comment "))
        header, rules = body[0][1] if headed else "", body[1:] if headed else body
        texts = tuple(line for _, line in rules)
        self.into.chains[name] = NftChain(texts, _OUTPUT_PRIORITY.sub(_as_number, header))
        head = body[0][0] if header.startswith("type ") else 0
        self.lines[name] = (head, *(number for number, _ in rules))

    def set(self, kind: str, name: str, body: list[str]) -> None:
        header = tuple(line for line in body if line.startswith(_HEADER))
        self.into.sets[name] = NftSet(kind, header)
        listed = next((line for line in body if line.startswith("elements = ")), "")
        if listed and (self.with_dynamic or not self.into.sets[name].dynamic):
            for element in _split(listed[len("elements = {") : -1]):
                key, _, value = element.partition(" : ")
                key, comment, text = key.partition(" comment ")
                key = _FLEETING.sub("", key)
                value = f": {value}" if value else ""
                full = f"comment {text} {value}" if comment else value
                self.into.elements[name, key.strip()] = full.strip()


def _split(text: str) -> list[str]:
    """Elements at the commas outside of quotes."""
    return [part.strip() for part in re.findall(r'(?:[^,"]|"[^"]*")+', text) if part.strip()]
