"""A `meta.k8s.io/v1` Table as text, in kubectl's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from netlab.view.escape import escape_line, first_line

GAP = "   "


class Style(Struct, frozen=True):
    """Which columns to show besides the usual ones; `prefix` is put before names."""

    wide: bool = False
    headers: bool = True
    namespace: bool = False
    labels: bool = False
    prefix: str = ""


def render(table: Mapping[str, Any], style: Style) -> str:
    """The table's rows as aligned text, without a line end."""
    columns = table["columnDefinitions"]
    shown = [
        index for index, column in enumerate(columns) if style.wide or not column.get("priority")
    ]
    headers = [str(columns[index]["name"]).upper() for index in shown]
    rows = [_cells(row, shown, style) for row in table["rows"]]
    if style.namespace:
        headers = ["NAMESPACE", *headers]
    if style.labels:
        headers = [*headers, "LABELS"]
    return align(([headers] if style.headers else []) + rows)


def align(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the last one is not padded."""
    if not rows:
        return ""
    rows = [[escape_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join(
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _cells(row: Mapping[str, Any], shown: Sequence[int], style: Style) -> list[str]:
    cells = [_text(row["cells"][index]) for index in shown]
    cells[0] = style.prefix + cells[0]
    metadata = (row.get("object") or {}).get("metadata") or {}
    if style.namespace:
        cells = [str(metadata.get("namespace", "")), *cells]
    if style.labels:
        labels = metadata.get("labels") or {}
        cells.append(",".join(f"{k}={v}" for k, v in sorted(labels.items())) or "<none>")
    return cells


def _text(value: Any) -> str:
    if value is None:
        return "<none>"
    if isinstance(value, bool):
        return str(value).lower()
    return first_line(str(value))
