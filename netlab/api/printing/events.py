"""How Events print."""

from __future__ import annotations

from netlab.api.printing.cells import Cell, Column, Printer, since, wide
from netlab.objects.kinds.events import EVENT
from netlab.objects.meta import name
from netlab.objects.types import Event, ObjectReference


def event_cells(event: Event) -> list[Cell]:
    """LAST SEEN TYPE REASON OBJECT MESSAGE, and SUBOBJECT SOURCE FIRST SEEN COUNT NAME."""
    series = event.get("series") or {}
    first = since(event.get("firstTimestamp") or event.get("eventTime"))
    last = since(event["lastTimestamp"]) if event.get("lastTimestamp") else first
    about = event.get("involvedObject") or {}
    return [
        since(series["lastObservedTime"]) if series.get("lastObservedTime") else last,
        event.get("type") or "",
        event.get("reason") or "",
        _about(about),
        about.get("fieldPath") or "",
        _source(event),
        (event.get("message") or "").strip(),
        first,
        series.get("count") or event.get("count") or 1,
        name(event),
    ]


def _about(reference: ObjectReference) -> str:
    kind = (reference.get("kind") or "").lower()
    return f"{kind}/{reference['name']}" if reference.get("name") else kind


def _source(event: Event) -> str:
    source = event.get("source") or {}
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
