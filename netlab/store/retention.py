"""Events (the kind) are kept for an hour after they last happened, as by kube-apiserver, but no
more than so many: here they share their memory with everything else."""

from __future__ import annotations

from collections.abc import Callable

from netlab.objects.meta import Object
from netlab.objects.times import timestamp
from netlab.store.store import Store

EVENT_SECONDS = 3600
MOST = 5000
"""Events that are kept, the latest; an eighth more while they come."""
SWEEP_SECONDS = 60


class EventRetention:
    """Removes old Events, when new ones are created: at most once a minute, or when many came."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._due = 0.0
        self._came = 0

    def sweep(self) -> None:
        """Remove what is too old, or too much, if it is time to look."""
        now = self._clock()
        self._came += 1
        if now < self._due and self._came < MOST // 8:
            return
        self._due, self._came = now + SWEEP_SECONDS, 0
        oldest = timestamp(now - EVENT_SECONDS)
        events = sorted(self._store.each("Event"), key=_last_seen)
        surplus = len(events) - MOST
        for place, event in enumerate(events):
            if place < surplus or _last_seen(event) < oldest:
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
