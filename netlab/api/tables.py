"""`meta.k8s.io/v1` Tables: the answer to `kubectl get`, printed by the server.

Pure. A row is prepared once per version of its object (`RowTemplate`); only the cells that age
are filled in for each answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from msgspec import Struct

from netlab.api.printing import cluster, networking, pods, workloads
from netlab.api.printing.cells import AGE, NAME, Cell, Column, Printer, Since, age
from netlab.objects.meta import Object, name


def _name_and_age(obj: Object) -> list[Cell]:
    return [name(obj), age(obj)]


_FALLBACK = Printer((NAME, AGE), _name_and_age)

_PRINTERS: dict[str, Printer] = {
    "Pod": pods.POD,
    **workloads.PRINTERS,
    **networking.PRINTERS,
    **cluster.PRINTERS,
}


def printer(kind: str) -> Printer:
    """How objects of a kind print; NAME and AGE for a kind that has no columns of its own."""
    return _PRINTERS.get(kind, _FALLBACK)


def columns(kind: str) -> tuple[Column, ...]:
    """The columns of a kind, in the order of its cells."""
    return printer(kind).columns


def cells(obj: Object, now: float) -> list[str | int]:
    """One object's cells as they read at `now` (epoch seconds)."""
    return [
        cell.text(now) if isinstance(cell, Since) else cell
        for cell in printer(obj["kind"]).cells(obj)
    ]


class RowTemplate(Struct, frozen=True):
    """A Table row as JSON with gaps: `pieces[0] + sinces[0] + pieces[1] + …`."""

    pieces: tuple[bytes, ...]
    sinces: tuple[Since, ...]

    def render(self, now: float) -> bytes:
        """The row's JSON at `now`."""
        if len(self.sinces) == 1:  # nearly every row
            before, after = self.pieces
            return before + self.sinces[0].text(now).encode() + after
        parts = [self.pieces[0]]
        for cell, piece in zip(self.sinces, self.pieces[1:], strict=True):
            parts += [cell.text(now).encode(), piece]
        return b"".join(parts)

    def weight(self) -> int:
        """Bytes it occupies, roughly."""
        return sum(len(piece) for piece in self.pieces) + 200


def row_template(obj: Object, encoded_object: bytes) -> RowTemplate:
    """Print an object once; `encoded_object` is what the row carries as `object` (or b"")."""
    return _template(printer(obj["kind"]).cells(obj), encoded_object)


def _template(row: Sequence[Cell], encoded_object: bytes) -> RowTemplate:
    pieces: list[bytes] = []
    sinces: list[Since] = []
    text = '{"cells":['
    for index, cell in enumerate(row):
        text += "," if index else ""
        if isinstance(cell, Since):
            pieces.append(f'{text}"'.encode())
            sinces.append(cell)
            text = '"'
        else:
            text += json.dumps(cell)
    tail = b',"object":' + encoded_object + b"}" if encoded_object else b"}"
    pieces.append(f"{text}]".encode() + tail)
    return RowTemplate(tuple(pieces), tuple(sinces))


def table(
    kind: str,
    rows: Iterable[bytes],
    metadata: dict[str, object],
    *,
    headers: bool = True,
) -> bytes:
    """A whole Table as JSON: `metadata` is the list's, `rows` are rendered rows."""
    definitions = [column.definition() for column in columns(kind)] if headers else []
    head = {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
    }
    return json.dumps(head, separators=(",", ":")).encode()[:-1] + (
        b',"rows":[' + b",".join(rows) + b"]}"
    )
