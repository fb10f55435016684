"""A local, indexed copy of every object of a kind, kept current by one list and one watch.

Controllers read here and never list. What they write they read back at once (`wrote`,
`deleted`): the copy takes the API's answer without waiting for the watch, so nobody creates
a second pod because the first has not come round yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from typing import Any, Generic, TypeVar

from netlab.client.protocol import Api, Event, Propagation
from netlab.errors import ApiError, Expired, NetlabError
from netlab.objects import meta, sloppy
from netlab.objects.types import AnyKind, Pod
from netlab.retry import Retry
from netlab.tasks import cancel

log = logging.getLogger(__name__)

T = TypeVar("T", bound=AnyKind)

IndexFunction = Callable[[T], Iterable[str]]
Listener = Callable[[T | None, T | None], None]

RETRY = Retry(0.05, 10.0)

_LOST = (NetlabError, OSError, TimeoutError, asyncio.IncompleteReadError)


class Informer(Generic[T]):
    """All objects of one kind, by key and by index; listeners hear of every change. In
    whichever form addresses were sent, here they are in standard ones.

    `retry` says when to list again after a failure.
    """

    def __init__(self, api: Api, kind: str, *, retry: Retry = RETRY) -> None:
        self.kind = kind
        self._api = api
        self._retry = retry
        self._objects: dict[str, T] = {}
        self._indexes: dict[str, tuple[IndexFunction[T], dict[str, dict[str, T]]]] = {}
        self._listeners: list[Listener[T]] = []
        self._synced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._revision = 0
        self._written = 0
        self._going: set[str] = set()

    # -- reading ---------------------------------------------------------------------------

    @property
    def has_synced(self) -> bool:
        """True once the first list has been taken in."""
        return self._synced.is_set()

    def get(self, key: str) -> T | None:
        """The object of that `namespace/name` (or name), which belongs to the cache."""
        return self._objects.get(key)

    def items(self) -> Collection[T]:
        """Every object; a live view, so do not await while iterating over it."""
        return self._objects.values()

    def by_index(self, index: str, value: str) -> list[T]:
        """The objects that the index's function gave `value` for."""
        return list(self._indexes[index][1].get(value, {}).values())

    def count(self, index: str, value: str) -> int:
        """How many objects `by_index` would return."""
        return len(self._indexes[index][1].get(value, ()))

    def is_going(self, obj: T) -> bool:
        """True if the object is being deleted, whether or not the watch has said so yet."""
        return meta.is_terminating(obj) or meta.uid(obj) in self._going

    @property
    def is_behind(self) -> bool:
        """True while the watch has not yet delivered what `wrote` and `deleted` know of."""
        return self._written > self._revision or bool(self._going)

    def revision_of(self, new: T | None) -> int:
        """The revision of a change that a listener is being told of."""
        return _revision(new) if new is not None else self._revision

    # -- wiring ----------------------------------------------------------------------------

    def add_index(self, index: str, function: IndexFunction[T]) -> None:
        """Keep an index named `index`; idempotent. `function` gives an object's values in it."""
        if index in self._indexes:
            return
        self._indexes[index] = (function, {})
        for key, obj in self._objects.items():
            self._index(index, key, None, obj)

    def add_listener(self, listener: Listener[T]) -> None:
        """Call `listener(old, new)` for every change, and at once for every object known."""
        self._listeners.append(listener)
        for obj in list(self._objects.values()):
            self._tell(listener, None, obj)

    def remove_listener(self, listener: Listener[T]) -> None:
        """Call it no more. Idempotent: who stops may never have begun."""
        with contextlib.suppress(ValueError):
            self._listeners.remove(listener)

    async def start(self) -> None:
        """Begin to list and watch; returns once the first list is in. Idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"informer {self.kind}")
        await self._synced.wait()

    async def stop(self) -> None:
        """End the watch. The cache keeps what it has."""
        task, self._task = self._task, None
        await cancel(task)

    # -- own writes ------------------------------------------------------------------------

    def wrote(self, obj: T) -> None:
        """Take in what the API answered to a write, unless the watch is already past it."""
        revision = _revision(obj)
        key = meta.key(obj)
        known = self._objects.get(key)
        if revision <= self._revision or (known and revision <= _revision(known)):
            return
        self._written = max(self._written, revision)
        self._put(key, obj)

    def deleted(self, obj: T) -> None:
        """Remember that this object's deletion was accepted, until the watch says so."""
        current = self._objects.get(meta.key(obj))
        if current and meta.uid(current) == meta.uid(obj) and not meta.is_terminating(current):
            self._going.add(meta.uid(obj))

    # -- list and watch --------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 1
        while True:
            began = self._revision
            try:
                await self._list()
                began = self._revision
                await self._watch()
            except Expired:
                log.info("%s: watch expired, listing again", self.kind)
            except _LOST as error:
                log.warning("%s: %s; listing again", self.kind, error)
            failures = 1 if self._revision > began else failures + 1
            await asyncio.sleep(self._retry.delay(failures))

    async def _list(self) -> None:
        listed = await self._api.list(self.kind)
        fresh = {meta.key(obj): obj for obj in listed.items}
        self._revision = max(self._revision, int(listed.resource_version or 0))
        for key in [key for key in self._objects if key not in fresh]:
            self._drop(key)
        in_order = sorted(fresh.items(), key=lambda one: _revision(one[1]))  # as a watch tells
        for key, obj in in_order:
            self._put(key, obj)
        self._synced.set()

    async def _watch(self) -> None:
        """Follow the watch; one that merely ends (a time-out) is taken up where it ended."""
        while True:
            events = self._api.watch(self.kind, resource_version=str(self._revision))
            before = self._revision
            async with _closing(events):
                async for event in events:
                    self._take(event)
            if before == self._revision:
                await asyncio.sleep(self._retry.first)

    def _take(self, event: Event) -> None:
        if event.type == "ERROR":
            raise ApiError.from_status(event.object)
        revision = _revision(event.object)
        self._revision = max(self._revision, revision)
        if event.type == "BOOKMARK":
            return
        key = meta.key(event.object)
        known = self._objects.get(key)
        if event.type == "DELETED":
            if known is None or _revision(known) <= revision:
                self._drop(key)
            self._going.discard(meta.uid(event.object))
        elif known is None or _revision(known) < revision:
            self._put(key, event.object)

    # -- the cache -------------------------------------------------------------------------

    def _put(self, key: str, obj: T) -> None:
        old = self._objects.get(key)
        if old is not None and _revision(old) == _revision(obj):
            return
        if old is not None and meta.uid(old) != meta.uid(obj):
            # Another object under the same name: to those who listen, one went and one came.
            self._drop(key)
            old = None
        self._objects[key] = obj = sloppy.standardized(obj)
        if meta.is_terminating(obj):
            self._going.discard(meta.uid(obj))
        self._changed(key, old, obj)

    def _drop(self, key: str) -> None:
        old = self._objects.pop(key, None)
        if old is not None:
            self._going.discard(meta.uid(old))
            self._changed(key, old, None)

    def _changed(self, key: str, old: T | None, new: T | None) -> None:
        for index in self._indexes:
            self._index(index, key, old, new)
        for listener in self._listeners:
            self._tell(listener, old, new)

    def _index(self, index: str, key: str, old: T | None, new: T | None) -> None:
        function, values = self._indexes[index]
        after = {} if new is None else dict.fromkeys(function(new), new)
        for value in set(function(old)) - after.keys() if old is not None else ():
            entries = values.get(value, {})
            entries.pop(key, None)
            if not entries:
                values.pop(value, None)
        for value, obj in after.items():
            values.setdefault(value, {})[key] = obj

    def _tell(self, listener: Listener[T], old: T | None, new: T | None) -> None:
        try:
            listener(old, new)
        except Exception:
            log.exception("%s: a listener failed", self.kind)


class Informers:
    """One shared informer a kind, and writes that those informers know of at once."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._informers: dict[str, Informer[Any]] = {}
        self._started = False

    def __getitem__(self, kind: str) -> Informer[Any]:
        """The informer of that kind, made on first use; `start` starts it, so it is to be asked for
        before that: one that nobody starts would be empty for ever. What it holds mypy knows by the
        kind's name (`scripts/mypy_plugin.py`)."""
        if kind not in self._informers:
            if self._started:
                raise RuntimeError(f"{kind}: informers have started, and nobody asked for this one")
            self._informers[kind] = Informer(self.api, kind)
        return self._informers[kind]

    async def start(self) -> None:
        """Start every informer asked for so far; returns when all have synced. Idempotent."""
        self._started = True
        await asyncio.gather(*(informer.start() for informer in self._informers.values()))

    async def stop(self) -> None:
        """Stop them all."""
        await asyncio.gather(*(informer.stop() for informer in self._informers.values()))

    def is_going(self, obj: AnyKind) -> bool:
        """`Informer.is_going`, of the informer of its kind."""
        return self[str(obj["kind"])].is_going(obj)

    @property
    def is_behind(self) -> bool:
        """True while a write of ours has not come back through a watch."""
        return any(informer.is_behind for informer in self._informers.values())

    async def create(self, obj: T) -> T:
        """`Api.create`, read back at once."""
        created: T = await self.api.create(obj)
        return self._wrote(created)

    async def update(self, obj: T, *, subresource: str = "") -> T:
        """`Api.update`, read back at once."""
        updated: T = await self.api.update(obj, subresource=subresource)
        return self._wrote(updated)

    async def patch(self, obj: T, patch: Mapping[str, Any], *, subresource: str = "") -> T:
        """`Api.patch` of exactly the object that `obj` is a copy of, read back at once.

        A successor of the same name is not touched: its uid makes it a `Conflict`.
        """
        metadata = {**patch.get("metadata", {}), "uid": meta.uid(obj)}
        patched: T = await self.api.patch(
            obj["kind"],
            meta.namespace(obj),
            meta.name(obj),
            {**patch, "metadata": metadata},
            subresource=subresource,
        )
        return self._wrote(patched)

    async def patch_status(self, obj: T, status: Mapping[str, Any]) -> T:
        """Merge-patch the status of exactly the object that `obj` is a copy of, as `patch`."""
        return await self.patch(obj, {"status": status}, subresource="status")

    async def bind(self, pod: Pod, node: str) -> Pod:
        """Put a pod on a node, as a scheduler does; read back at once."""
        metadata = {field: pod["metadata"][field] for field in ("name", "namespace", "uid")}
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": metadata,
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        answer = await self.api.create(binding)
        if answer["kind"] != "Pod":
            answer = await self.api.get("Pod", metadata["namespace"], metadata["name"])
        bound: Pod = answer
        return self._wrote(bound)

    async def delete(
        self,
        obj: AnyKind,
        *,
        grace_period: int | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        """`Api.delete` of exactly this object (its uid must match), known at once."""
        await self.api.delete(
            obj["kind"],
            meta.namespace(obj),
            meta.name(obj),
            grace_period=grace_period,
            uid=meta.uid(obj),
            propagation=propagation,
        )
        if obj["kind"] in self._informers:
            self._informers[obj["kind"]].deleted(obj)

    def _wrote(self, obj: T) -> T:
        informer = self._informers.get(str(obj.get("kind")))
        if informer is not None:
            informer.wrote(obj)
        return obj


def _revision(obj: AnyKind) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)


@contextlib.asynccontextmanager
async def _closing(events: AsyncIterator[Event]) -> AsyncIterator[None]:
    """Close a watch that can be closed, whatever ends it."""
    try:
        yield
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
