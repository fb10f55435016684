"""Events (the kind) are kept for an hour after they last happened, as by kube-apiserver."""

from __future__ import annotations

from collections.abc import Callable

from netlab.objects.meta import Object
from netlab.objects.times import timestamp
from netlab.store.store import Store

EVENT_SECONDS = 3600
SWEEP_SECONDS = 60


class EventRetention:
    """Removes old Events, at most once a minute, when new ones are created."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._due = 0.0

    def sweep(self) -> None:
        """Remove what is too old, if it is time to look."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + SWEEP_SECONDS
        oldest = timestamp(now - EVENT_SECONDS)
        for event in [one for one in self._store.each("Event") if _last_seen(one) < oldest]:
            self._store.remove(event, expected=event["metadata"]["resourceVersion"])


def _last_seen(event: Object) -> str:
    """When it last happened; RFC 3339 times in UTC sort as text."""
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"]["creationTimestamp"]
    )
