"""`meta.k8s.io/v1` Tables: the answer to `kubectl get`, printed by the server.

Pure. A row is prepared once per version of its object (`RowTemplate`); only the cells that age
are filled in for each answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from msgspec import Struct

from netlab.api.negotiation import META
from netlab.api.printing import PRINTERS
from netlab.api.printing.cells import Cell, Column, Printer, Since
from netlab.later import Later
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import Object

_SCALE = Later[Printer]("netlab.api.printing.workloads", "SCALE")


def printer(kind: str) -> Printer:
    """How objects of a kind print."""
    return _SCALE.get() if kind == "Scale" else PRINTERS[BY_KIND[kind]]


def columns(kind: str) -> tuple[Column, ...]:
    """The columns of a kind, in the order of its cells."""
    return printer(kind).columns


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
    api_version: str = META,
) -> bytes:
    """A whole Table as JSON: `metadata` is the list's, `rows` are rendered rows."""
    definitions = [column.definition() for column in columns(kind)] if headers else []
    head = {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": metadata,
        "columnDefinitions": definitions,
    }
    return json.dumps(head, separators=(",", ":")).encode()[:-1] + (
        b',"rows":[' + b",".join(rows) + b"]}"
    )
