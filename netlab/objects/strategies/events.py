"""How Events are stored.

Source: pkg/apis/core/validation/events.go, the rules of v1.
"""

from __future__ import annotations

from netlab.objects import fields
from netlab.objects.kinds.events import EVENT
from netlab.objects.meta import Object
from netlab.objects.problems import invalid, required
from netlab.objects.strategies.strategy import Problems, Strategy

_LENGTH_MAX = 128
_MESSAGE_MAX = 1024
_ELSEWHERE = ("involvedObject", "namespace")
_OUTSIDE = ("default", "kube-system")
"""Where events of objects are that have no namespace."""


def _event(obj: Object) -> Problems:
    space, of = (
        (obj.get(field) or {}).get("namespace") or "" for field in ("metadata", "involvedObject")
    )
    if obj.get("eventTime"):
        if not of and space not in _OUTSIDE:
            yield invalid(_ELSEWHERE, of, "does not match event.namespace")
        yield from _of_today(obj)
    elif space != of and (of or space not in ("", "default")):
        yield invalid(_ELSEWHERE, of, "does not match event.namespace")


def _of_today(obj: Object) -> Problems:
    """What one says that has the time of one thing, not of the first and last of many."""
    reporter = obj.get("reportingComponent") or ""
    if not reporter:
        yield required(("reportingComponent",))
    yield from fields.qualified_name(("reportingComponent",), reporter)
    for field, limit in (
        ("reportingInstance", _LENGTH_MAX),
        ("action", _LENGTH_MAX),
        ("reason", _LENGTH_MAX),
        ("message", _MESSAGE_MAX),
    ):
        text = obj.get(field) or ""
        if not text and field != "message":
            yield required((field,))
        if len(text.encode(errors="surrogatepass")) > limit:
            yield invalid((field,), "", f"can have at most {limit} characters")


STRATEGIES = {EVENT: Strategy(validate=_event, validate_name=fields.path_segment)}
