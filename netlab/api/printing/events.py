"""How Events print."""

from __future__ import annotations

from typing import Any

from netlab.api.printing.cells import Cell, Column, Printer, since, wide
from netlab.objects.kinds.events import EVENT
from netlab.objects.meta import Object, name


def event_cells(event: Object) -> list[Cell]:
    """LAST SEEN TYPE REASON OBJECT MESSAGE, and SUBOBJECT SOURCE FIRST SEEN COUNT NAME."""
    series: dict[str, Any] = event.get("series") or {}
    first = since(event.get("firstTimestamp") or event.get("eventTime"))
    last = since(event["lastTimestamp"]) if event.get("lastTimestamp") else first
    about: dict[str, Any] = event.get("involvedObject") or {}
    return [
        since(series["lastObservedTime"]) if series.get("lastObservedTime") else last,
        event.get("type") or "",
        event.get("reason") or "",
        _about(about),
        about.get("fieldPath") or "",
        _source(event),
        str(event.get("message") or "").strip(),
        first,
        int(series.get("count") or event.get("count") or 1),
        name(event),
    ]


def _about(reference: dict[str, Any]) -> str:
    kind = str(reference.get("kind") or "").lower()
    return f"{kind}/{reference['name']}" if reference.get("name") else kind


def _source(event: Object) -> str:
    source: dict[str, Any] = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return ", ".join(part for part in (component, host) if part)


PRINTERS = {
    EVENT: Printer(
        (
            Column("Last Seen"), Column("Type"), Column("Reason"), Column("Object"),
            wide("Subobject"), wide("Source"), Column("Message"), wide("First Seen"),
            Column("Count", "integer", 1), wide("Name"),
        ),
        event_cells,
    ),
}  # fmt: skip
