"""Columns made by tabs, in the way of kubectl's own writer (Go's text/tabwriter).

A column is a block: neighbouring lines that have a tab-terminated cell there share its width,
and a line without one ends the block. That is why a `describe` aligns some labels with each
other and not with those further down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

GAP = 2


def align(lines: Iterable[str]) -> str:
    """The lines with every tab replaced by as many spaces as its column needs."""
    cells = [line.split("\t") for line in lines]
    widths = [[0] * (len(row) - 1) for row in cells]
    _measure(cells, widths, 0, len(cells), 0)
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(row, of, strict=False)) + row[-1]
        for row, of in zip(cells, widths, strict=True)
    )


def _measure(
    cells: Sequence[Sequence[str]], widths: list[list[int]], first: int, last: int, column: int
) -> None:
    """Fill in the widths of `column` and those right of it, for the lines first…last-1."""
    line = first
    while line < last:
        if len(widths[line]) <= column:
            line += 1
            continue
        end = line
        while end < last and len(widths[end]) > column:
            end += 1
        width = max(len(cells[number][column]) for number in range(line, end)) + GAP
        for number in range(line, end):
            widths[number][column] = width
        _measure(cells, widths, line, end, column + 1)
        line = end
