"""Events: what `kubectl describe` shows at its end. Written behind the back of those who record.

Recording never waits and never fails. The same event again raises `count`; more than ten
similar ones (same object, type and reason, another message) become one "combined" event, as
Kubernetes' recorder does it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from netlab.client.protocol import Api
from netlab.errors import NetlabError, NotSaved
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.objects.times import timestamp
from netlab.objects.types import AnyKind, Event, ObjectReference
from netlab.tasks import cancel

log = logging.getLogger(__name__)

EventKind = Literal["Normal", "Warning"]

SIMILAR = 10
"""Distinct messages of one object and reason before they are combined."""
REMEMBERED = 4096
TOGETHER = 8
"""Events written between two looks at what else the event loop has to do."""
REST = 3.0
"""How many times as long as they took others go first: of a thousand pods that start, each makes
four, and nobody waits for them."""
ROOM = 1.0
"""Seconds after which events are written again for which there was no room."""
_COMBINED = "(combined from similar events): "


class _Entry(Struct):
    """An event: its place in the API, its count, and what is still to be written of it.

    What has been written is not kept: there may be thousands of them.
    """

    namespace: str
    name: str
    unwritten: Object
    created: bool = False
    count: int = 0


class EventRecorder:
    """Collects events and writes them a little later, each object once however often it changed.

    `delay` is the seconds that events wait for others like them before they are written.
    """

    def __init__(self, api: Api, clock: Callable[[], float], *, delay: float = 0.05) -> None:
        self._api = api
        self._clock = clock
        self._delay = delay
        self._entries: OrderedDict[tuple[str, ...], _Entry] = OrderedDict()
        self._messages: OrderedDict[tuple[str, ...], set[str]] = OrderedDict()
        self._dirty: OrderedDict[tuple[str, ...], _Entry] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._serial = 0

    def source(self, component: str) -> EventSource:
        """The recorder of one component's events."""
        return EventSource(self, component)

    def record(
        self, component: str, obj: AnyKind, type_: EventKind, reason: str, message: str
    ) -> None:
        """Note that something happened to `obj`; returns at once."""
        about = (component, obj["kind"], meta.key(obj), meta.uid(obj), type_, reason)
        seen = _remember(self._messages, about, set)
        seen.add(message)
        key = (*about, message) if len(seen) <= SIMILAR else (*about, _COMBINED)
        entry = self._entries.get(key)
        if entry is None:
            body = self._event(component, obj, type_, reason)
            entry = _Entry(meta.namespace(body), meta.name(body), {**body})
            _remember(self._entries, key, lambda: entry)
        entry.count += 1
        entry.unwritten |= {
            "count": entry.count,
            "lastTimestamp": timestamp(self._clock()),
            "message": _COMBINED + message if key[-1] == _COMBINED else message,
        }
        _remember(self._dirty, key, lambda: entry)
        self._schedule()

    async def flush(self, rest: float = 0.0) -> None:
        """Write everything recorded so far; what the API refuses is logged and dropped.

        What it has no room for stays, to be written another time. Others compute for `rest` times
        as long as this does, where there are many.
        """
        began = time.thread_time()
        for number in itertools.count(1):
            if not self._dirty:
                return
            key, entry = next(iter(self._dirty.items()))
            del self._dirty[key]
            try:
                await self._write(entry)
            except NotSaved:
                self._dirty[key] = entry
                return
            except (NetlabError, OSError) as error:
                log.debug("event %s: %s", key, error)
                self._entries.pop(key, None)
            if number % TOGETHER == 0:
                await asyncio.sleep((time.thread_time() - began) * rest)
                began = time.thread_time()

    async def stop(self) -> None:
        """Write what is left, then stop."""
        await cancel(self._task)
        await self.flush()

    def _schedule(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush_later(), name="event recorder")

    async def _flush_later(self) -> None:
        delay = self._delay
        while self._dirty:
            await asyncio.sleep(delay)
            await self.flush(rest=REST)
            delay = ROOM if self._dirty else self._delay

    async def _write(self, entry: _Entry) -> None:
        created, entry.created = entry.created, True
        unwritten, entry.unwritten = entry.unwritten, {}
        try:
            if created:
                await self._api.patch("Event", entry.namespace, entry.name, unwritten)
            else:
                await self._api.create(unwritten)
        except NotSaved:
            entry.created, entry.unwritten = created, unwritten | entry.unwritten
            raise

    def _event(self, component: str, obj: AnyKind, type_: EventKind, reason: str) -> Event:
        self._serial += 1
        now = self._clock()
        unique = f"{int(now * 1e9) + self._serial:x}"
        namespace = meta.namespace(obj) or "default"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta.name(obj)}.{unique}", "namespace": namespace},
            "involvedObject": _reference(obj),
            "reason": reason,
            "type": type_,
            "firstTimestamp": timestamp(now),
            "eventTime": None,
            "source": {"component": component},
            "reportingComponent": component,
            "reportingInstance": "",
        }


class EventSource(Struct, frozen=True):
    """Records events in the name of one component."""

    recorder: EventRecorder
    component: str

    def normal(self, obj: AnyKind, reason: str, message: str) -> None:
        """Something went as it should."""
        self.recorder.record(self.component, obj, "Normal", reason, message)

    def warning(self, obj: AnyKind, reason: str, message: str) -> None:
        """Something did not."""
        self.recorder.record(self.component, obj, "Warning", reason, message)


def _reference(obj: AnyKind) -> ObjectReference:
    reference: ObjectReference = {
        "kind": obj["kind"],
        "name": meta.name(obj),
        "uid": meta.uid(obj),
        "apiVersion": obj["apiVersion"],
    }
    if namespace := meta.namespace(obj):
        reference["namespace"] = namespace
    if version := obj["metadata"].get("resourceVersion"):
        reference["resourceVersion"] = version
    return reference


def _remember(
    entries: OrderedDict[tuple[str, ...], Any], key: tuple[str, ...], new: Callable[[], Any]
) -> Any:
    """The entry of that key, made if missing; the oldest are forgotten beyond REMEMBERED."""
    if key not in entries:
        entries[key] = new()
    entries.move_to_end(key)
    if len(entries) > REMEMBERED:
        entries.popitem(last=False)
    return entries[key]
