"""`events.k8s.io/v1`: the same Events as in the core group, under other field names. Pure.

What kube-proxy and other clients of the newer group write and watch is stored as core Events.
"""

from __future__ import annotations

from netlab.objects.kinds import Kind
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
