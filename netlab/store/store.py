"""Objects under one global revision, with compare-and-set, an index and a log of changes.

In memory it is a dictionary; SQLite behind it makes it outlive the process. Everything runs
on one thread, the event loop's.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from netlab.objects import meta
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import Object
from netlab.store import failures
from netlab.store.database import Database, Saved
from netlab.store.log import Change, FellBehind, KindLog

_log = logging.getLogger(__name__)

LOG_KEPT = 2048
# A killed process loses at most the writes of one turn of the event loop, and never more than:
WRITES_HELD = 256
# Revisions skipped after a kill, so that none is given out twice with a different meaning.
REVISIONS_SKIPPED = 1000


class Store:
    """All objects of a lab; `path` None keeps them in memory only.

    Objects given to `write` and handed out belong to the store: nobody changes them.
    """

    def __init__(self, path: Path | None, *, log_kept: int = LOG_KEPT) -> None:
        self._database = Database(path) if path else None
        saved = self._database.load() if self._database else Saved(1, 1, True, [], [])
        self._objects: dict[str, dict[str, dict[str, Object]]] = {kind: {} for kind in BY_KIND}
        self._logs = {kind: KindLog(saved.floor, log_kept) for kind in BY_KIND}
        self._unwritten: list[Change] = []
        self._flush_due = False
        self._revision = saved.revision
        self._lost = range(0)
        self._restore(saved)

    def _restore(self, saved: Saved) -> None:
        for obj in saved.objects:
            self._spaces(obj).setdefault(meta.namespace(obj), {})[meta.name(obj)] = obj
        for change in saved.changes:
            self._logs[change.object["kind"]].append(change)
        if not saved.clean:
            self._revision += REVISIONS_SKIPPED
            self._lost = range(saved.revision + 1, self._revision)

    @property
    def revision(self) -> int:
        """The revision of the latest write; starts at 1."""
        return self._revision

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        return self._objects[kind].get(namespace, {}).get(name)

    def list(self, kind: str, namespace: str | None = None) -> list[Object]:
        """All objects of a kind, in one namespace or (None) in all, by namespace and name."""
        spaces = self._objects[kind]
        if namespace is not None:
            return _sorted(spaces.get(namespace, {}))
        return [obj for space in sorted(spaces) for obj in _sorted(spaces[space])]

    def each(self, kind: str) -> Iterator[Object]:
        """All objects of a kind in no order, without a copy of the list."""
        for space in self._objects[kind].values():
            yield from space.values()

    def write(self, obj: Object, *, expected: str) -> Object:
        """Store an object as its next version, stamping resourceVersion; the store keeps it.

        `expected` is the resourceVersion of the one it replaces, "" where there must be none;
        `Conflict` or `AlreadyExists` otherwise.
        """
        previous = self._checked(obj, expected)
        self._revision += 1
        obj["metadata"]["resourceVersion"] = str(self._revision)
        self._spaces(obj).setdefault(meta.namespace(obj), {})[meta.name(obj)] = obj
        self._record(Change(self._revision, "MODIFIED" if previous else "ADDED", obj, previous))
        return obj

    def remove(self, last: Object, *, expected: str) -> Object:
        """Remove an object; `last` is the state its watchers see, with the removal's revision."""
        previous = self._checked(last, expected)
        self._revision += 1
        last = {**last, "metadata": {**last["metadata"], "resourceVersion": str(self._revision)}}
        spaces, space = self._spaces(last), meta.namespace(last)
        del spaces[space][meta.name(last)]
        if not spaces[space]:
            del spaces[space]
        self._record(Change(self._revision, "DELETED", last, previous))
        return last

    def log(self, kind: str) -> KindLog:
        """The changes of a kind."""
        return self._logs[kind]

    def position_after(self, kind: str, revision: int) -> int:
        """Where in the kind's log a watch continues after `revision`; or `FellBehind`."""
        if revision > self._revision or revision in self._lost:
            raise FellBehind
        return self._logs[kind].position_after(revision)

    def flush(self) -> None:
        """Bring the database up to date; if it refuses, the next write tries again."""
        self._flush_due = False
        if not self._database or not self._unwritten:
            return
        try:
            self._database.write(self._unwritten)
        except sqlite3.Error as error:
            _log.error("the store cannot be saved, a restart would lose changes: %s", error)
        else:
            self._unwritten = []

    def close(self) -> None:
        """Write what is left and end all watches."""
        self.flush()
        for log in self._logs.values():
            log.close()
        if self._database:
            self._database.close(self._revision)
            self._database = None

    def _spaces(self, obj: Object) -> dict[str, dict[str, Object]]:
        return self._objects[obj["kind"]]

    def _checked(self, obj: Object, expected: str) -> Object | None:
        """The current version of an object, if it is the expected one."""
        kind, name = BY_KIND[obj["kind"]], meta.name(obj)
        current = self.get(kind.kind, meta.namespace(obj), name)
        if (current["metadata"]["resourceVersion"] if current else "") == expected:
            return current
        if current is not None and not expected:
            raise failures.already_exists(kind, current)
        raise failures.conflict(kind, name)

    def _record(self, change: Change) -> None:
        self._logs[change.object["kind"]].append(change)
        if self._database:
            self._unwritten.append(change)
            if len(self._unwritten) >= WRITES_HELD or not _call_soon(self.flush, self._flush_due):
                self.flush()
            else:
                self._flush_due = True


def _call_soon(call: Callable[[], None], due: bool) -> bool:
    """Have the event loop call at the end of this turn; False where no loop runs."""
    if due:
        return True
    try:
        asyncio.get_running_loop().call_soon(call)
    except RuntimeError:
        return False
    return True


def _sorted(space: dict[str, Object]) -> list[Object]:
    return [space[name] for name in sorted(space)]
