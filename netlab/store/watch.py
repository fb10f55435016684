"""A watch: the log of a kind, seen through a namespace and selectors."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from netlab.objects import meta
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object
from netlab.objects.selectors import Matcher
from netlab.objects.watch import Event
from netlab.store import failures
from netlab.store.log import Change, FellBehind
from netlab.store.store import Store

# Idle watches that asked for bookmarks get one a minute, as from kube-apiserver.
BOOKMARK_SECONDS = 60.0


class Watch:
    """Asynchronous iterator of `Event`; ends after an ERROR, on `close` and with the store.

    A reader that is too slow for the log gets an ERROR (410: list again), not a growing buffer.
    """

    def __init__(
        self,
        store: Store,
        kind: Kind,
        *,
        position: int | None,
        namespace: str | None = None,
        matcher: Matcher | None = None,
        initial: Iterable[Event] = (),
        bookmarks: bool = False,
    ) -> None:
        """Start at a position of the kind's log, after `initial`; None has already expired."""
        self._store = store
        self._kind = kind
        self._log = store.log(kind.kind)
        self._position = -1 if position is None else position
        self._namespace = namespace
        self._matcher = matcher
        self._initial = deque(initial)
        self._bookmark_seconds = BOOKMARK_SECONDS if bookmarks else None
        self._seen = store.revision
        self._closed = False

    def __aiter__(self) -> Watch:
        """Itself."""
        return self

    async def __anext__(self) -> Event:
        """The next event, however long it takes."""
        bookmark_due = False
        while (event := self.poll()) is None:
            if self._closed or self._log.closed:
                raise StopAsyncIteration
            if bookmark_due and self._seen != self._store.revision:
                return self.bookmark()
            bookmark_due = not await self._changed()
        return event

    def poll(self) -> Event | None:
        """The next event if it has happened already; None otherwise."""
        if self._closed:
            return None
        if self._initial:
            return self._initial.popleft()
        try:
            return self._next()
        except FellBehind:
            self._closed = True
            return Event("ERROR", failures.expired(str(self._seen)).status())

    def bookmark(self) -> Event:
        """A BOOKMARK: everything up to its resourceVersion has been delivered."""
        self._seen = self._store.revision
        return bookmark(self._kind, self._seen)

    def close(self) -> None:
        """End the iteration, also for whoever is waiting in it; may be called twice."""
        self._closed = True
        self._log.wake()

    async def aclose(self) -> None:
        """`close`, for `contextlib.aclosing`."""
        self.close()

    def _next(self) -> Event | None:
        while (change := self._log.read(self._position)) is not None:
            self._position += 1
            self._seen = change.revision
            if event := self._seen_as(change):
                return event
        return None

    async def _changed(self) -> bool:
        """Wait for a change; False when it is time for a bookmark."""
        try:
            async with asyncio.timeout(self._bookmark_seconds):
                await self._log.wait()
        except TimeoutError:
            return False
        return True

    def _seen_as(self, change: Change) -> Event | None:
        """A change as this watch sees it: an object that stops matching is gone from here."""
        if self._namespace is not None and meta.namespace(change.object) != self._namespace:
            return None
        if self._matcher is None:
            return Event(change.type, change.object)
        before = change.previous is not None and self._matcher(change.previous)
        after = change.type != "DELETED" and self._matcher(change.object)
        if after:
            return Event("MODIFIED" if before else "ADDED", change.object)
        if not before or change.previous is None:
            return None
        last = change.object if change.type == "DELETED" else change.previous
        return Event("DELETED", _at_revision(last, change.revision))


def bookmark(kind: Kind, revision: int, *, initial_events_end: bool = False) -> Event:
    """A BOOKMARK event at a revision; the one after initial events carries its annotation."""
    metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_events_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    body = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
    return Event("BOOKMARK", body)


def _at_revision(obj: Object, revision: int) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}
