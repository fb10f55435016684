"""What is told of all others."""

from __future__ import annotations

from netlab.objects.kinds.kind import LABEL, Kind

EVENT = Kind(
    "Event",
    "events",
    short_names=("ev",),
    selectable=(
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
        "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion",
        "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
    ),
    not_selectable=LABEL,
    collected=False,
)  # fmt: skip

KINDS = (EVENT,)
