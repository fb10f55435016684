"""`events.k8s.io/v1`: the same Events as in the core group, under other field names. Pure.

What kube-proxy and other clients of the newer group write and watch is stored as core Events.
"""

from __future__ import annotations

import re

from netlab.errors import BadRequest
from netlab.objects.kinds import Kind
from netlab.objects.kinds.kind import LABEL
from netlab.objects.meta import Object

KIND = Kind("Event", "events", "events.k8s.io", short_names=("ev",))

# events.k8s.io/v1 → v1
_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_BACK = {core: newer for newer, core in _NAMES.items()}


def is_view(kind: Kind) -> bool:
    """Whether a path's kind is a view of another."""
    return kind is KIND


_SELECTED = {
    **{
        f"regarding.{field}": f"involvedObject.{field}"
        for field in (
            "kind",
            "namespace",
            "name",
            "uid",
            "apiVersion",
            "resourceVersion",
            "fieldPath",
        )
    },
    "reportingController": "reportingComponent",
    **{field: field for field in ("reason", "type", "metadata.name", "metadata.namespace")},
}
"""What field selectors may ask for in the newer group, and what that is in the core group."""


def inward_selector(text: str) -> str:
    """A field selector, as the core group names its fields; `BadRequest` for one it has not."""
    return ",".join(map(_inward_term, filter(None, text.split(","))))


def _inward_term(term: str) -> str:
    field = re.split("[!=]", term, maxsplit=1)[0]
    if field not in _SELECTED:
        raise BadRequest(LABEL.format(field), hint=f"Event offers {', '.join(_SELECTED)}")
    return _SELECTED[field] + term[len(field) :]


def inward(obj: Object) -> Object:
    """An Event, or a patch of one, as the core group names its fields."""
    found = {_NAMES.get(name, name): value for name, value in obj.items()}
    if "apiVersion" in found:
        found["apiVersion"] = "v1"
    regarding = found.get("involvedObject")
    if found.get("kind") == "Event" and isinstance(regarding, dict):
        found.setdefault("type", "Normal")
    return found


def outward(obj: Object) -> Object:
    """A core Event as `events.k8s.io/v1` names its fields."""
    found = {_BACK.get(name, name): value for name, value in obj.items()}
    return {**found, "apiVersion": KIND.api_version}
