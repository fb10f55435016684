"""Markdown as plain text of a certain width: what `netlab help TOPIC` prints. Pure.

As much of it as our own pages need: headings, paragraphs, lists, tables, code that is indented by
four, links and pictures, `code`, **bold** and *italic*.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, groupby, zip_longest

Refer = Callable[[str, str], str]
"""`refer(text, target)`: what stands for a link."""

GAP = "   "
_CODE = "    "
_RULES = {1: "=", 2: "-"}
_NARROW = 18
"""Columns of text below which a cell is hard to read."""

_ITEM = re.compile(r"( *)(-|\d+\.) +")
_LINK = re.compile(r"!?\[([^\]]*)\]\(([^)]*)\)")
_SPAN = re.compile(r"`([^`]*)`")
_HELD = "\0"
"""Stands for code while other marks are looked for."""
_EMPHASIS = re.compile(r"(\*\*?)(\S(?:.*?\S)?)\1")
_CELLS = re.compile(r"(?<!\\)\|")

Row = Sequence[str]


def render(text: str, width: int, refer: Refer) -> str:
    """The page in lines of at most `width` columns, unless a single word is longer."""
    page = _Page(width, refer)
    blocks = ("\n".join(page.block(lines)) for lines in _blocks(text))
    return "\n\n".join(blocks) + "\n"


def title(text: str) -> str:
    """The first heading of a page."""
    return next((line[2:].strip() for line in text.splitlines() if line.startswith("# ")), "")


def _blocks(text: str) -> Iterator[list[str]]:
    """What blank lines part; of code its blank lines are part."""
    pending: list[str] = []
    for blank, lines in groupby(text.splitlines(), key=lambda line: not line.strip()):
        found = list(lines)
        if pending and not blank and _is_code(pending) and _is_code(found):
            pending += ["", *found]
        elif not blank:
            if pending:
                yield pending
            pending = found
    if pending:
        yield pending


def _is_code(lines: list[str]) -> bool:
    return lines[0].startswith(_CODE)


class _Page:
    def __init__(self, width: int, refer: Refer) -> None:
        self._width = width
        self._refer = refer

    def block(self, lines: list[str]) -> Iterator[str]:
        first = lines[0]
        if _is_code(lines):
            yield from (part for line in lines for part in self._code(line))
        elif first.startswith("#"):
            yield from self._heading(first)
        elif first.startswith("|"):
            yield from self._table(lines)
        else:
            for item in _items(lines):
                yield from self._item(item)

    def _plain(self, text: str) -> str:
        """Without marks; code of several words is quoted, so that one sees where it ends."""
        codes = [_quoted(code) for code in _SPAN.findall(text)]
        text = _SPAN.sub(_HELD, text)
        text = _LINK.sub(lambda link: self._refer(link[1], link[2]), text)
        text = _EMPHASIS.sub(r"\2", text)
        return "".join(chain(*zip_longest(text.split(_HELD), codes, fillvalue="")))

    def _wrapped(self, text: str, first: str = "", rest: str = "") -> list[str]:
        return _wrapped(self._plain(text), self._width, first, rest)

    def _heading(self, line: str) -> Iterator[str]:
        marks, _, text = line.partition(" ")
        lines = self._wrapped(text)
        yield from lines
        if rule := _RULES.get(len(marks)):
            yield rule * max(map(len, lines))

    def _code(self, line: str) -> list[str]:
        """As it is; what is too wide goes on in the next line, further in."""
        if len(line) <= self._width:
            return [line]
        own = " " * min(len(line) - len(line.lstrip()), self._width // 3)
        return _wrapped(line.strip(), self._width, own, own + _CODE)

    def _item(self, text: str) -> list[str]:
        found = _ITEM.match(text)
        if found is None:
            own = " " * (len(text) - len(text.lstrip()))  # of an item's second paragraph
            return self._wrapped(text.strip(), own, own)
        return self._wrapped(text[found.end() :], found[0], " " * found.end())

    def _table(self, lines: list[str]) -> Iterator[str]:
        header, _, *rows = ([self._plain(cell) for cell in _cells(line)] for line in lines)
        widths = _widths([header, *rows], self._width)
        if widths is None:
            for row in rows:
                yield from self._stacked(header, row)
            return
        yield from _row(header, widths)
        yield GAP.join("-" * width for width in widths)
        for row in rows:
            yield from _row(row, widths)

    def _stacked(self, header: Row, row: Row) -> Iterator[str]:
        """A row below its first cell, where there is no room beside it."""
        yield from _wrapped(row[0], self._width, "", "  ")
        for name, cell in zip(header[1:], row[1:], strict=True):
            label = f"{name}: " if name and len(row) > 2 else ""
            if cell:
                yield from _wrapped(label + cell, self._width, _CODE, _CODE)


def _items(lines: list[str]) -> Iterator[str]:
    """A paragraph, or each item of a list, in one line."""
    item = ""
    for line in lines:
        if item and _ITEM.match(line):
            yield item
            item = line
        else:
            item = f"{item} {line.strip()}" if item else line
    yield item


def _quoted(code: str) -> str:
    return f"'{code}'" if " " in code else code


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\\|", "|") for cell in _CELLS.split(inner)]


def _widths(rows: Sequence[Row], room: int) -> list[int] | None:
    """How wide the columns are: the widest give way. None if they would become too narrow."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    least = [_least(column) for column in columns]
    room -= len(GAP) * (len(widths) - 1)
    while sum(widths) > room:
        wide = [at for at, width in enumerate(widths) if width > least[at]]
        if not wide:
            return None
        widths[max(wide, key=lambda at: widths[at])] -= 1
    return widths


def _least(column: Sequence[str]) -> int:
    words = (len(word) for cell in column for word in cell.split())
    return max(min(_NARROW, max(map(len, column))), *words, 0)


def _row(row: Row, widths: Sequence[int]) -> Iterator[str]:
    cells = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    for parts in zip_longest(*cells, fillvalue=""):
        yield GAP.join(part.ljust(w) for part, w in zip(parts, widths, strict=True)).rstrip()


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
