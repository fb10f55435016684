"""Objects under one global revision, with compare-and-set, an index and a log of changes.

In memory it is a dictionary; a journal behind it makes it outlive the process. A write is in the
journal before it is here: whatever anybody reads, is answered or is told by a watch outlives a
kill -9, and what cannot be saved has not happened. Everything runs on one thread, the event loop's.
"""

from __future__ import annotations

import builtins
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from netlab.objects import meta
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import Object
from netlab.objects.selectors import Matcher
from netlab.store import failures
from netlab.store.journal import Journal, Saved
from netlab.store.log import Change, FellBehind, KindLog

_log = logging.getLogger(__name__)

LOG_KEPT = 2048


class Store:
    """All objects of a lab; `path` None keeps them in memory only.

    Objects given to `write` and handed out belong to the store: nobody changes them.
    """

    def __init__(self, path: Path | None, *, log_kept: int = LOG_KEPT) -> None:
        self._place = (path or Path()).parent
        self._journal = Journal(path) if path else None
        saved = self._journal.load() if self._journal else Saved(1, 1, [], [])
        self._objects: dict[str, dict[str, dict[str, Object]]] = {kind: {} for kind in BY_KIND}
        self._logs = {kind: KindLog(saved.floor, log_kept) for kind in BY_KIND}
        self._revision = saved.revision
        self._restore(saved)
        self.refused = False
        """True from a write that could not be saved until one that could."""

    def _restore(self, saved: Saved) -> None:
        for obj in saved.objects:
            self._put(obj)
        for change in saved.changes:
            self._logs[change.object["kind"]].append(change)

    @property
    def revision(self) -> int:
        """The revision of the latest write; starts at 1."""
        return self._revision

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        return self._objects[kind].get(namespace, {}).get(name)

    def list(
        self, kind: str, namespace: str | None = None, matches: Matcher | None = None
    ) -> list[Object]:
        """All objects of a kind that match, in one namespace or (None) in all, by namespace and
        name."""
        spaces = self._objects[kind]
        wanted = sorted(spaces) if namespace is None else [namespace]
        return [obj for space in wanted for obj in _sorted(spaces.get(space, {}), matches)]

    def list_at(self, kind: str, namespace: str | None, revision: int) -> builtins.list[Object]:
        """What `list` gave when `revision` was the latest; `FellBehind` if that is not known any
        more, or not yet."""
        if revision > self._revision:
            raise FellBehind
        found = {(meta.namespace(obj), meta.name(obj)): obj for obj in self.list(kind, namespace)}
        for change in reversed(self._logs[kind].since(revision)):
            key = meta.namespace(change.object), meta.name(change.object)
            if namespace not in (None, key[0]):
                continue
            if change.previous is None:
                found.pop(key, None)
            else:
                found[key] = change.previous
        return [found[key] for key in sorted(found)]

    def each(self, kind: str) -> Iterator[Object]:
        """All objects of a kind in no order, without a copy of the list."""
        for space in self._objects[kind].values():
            yield from space.values()

    def write(self, obj: Object, *, expected: str) -> Object:
        """Store an object as its next version, stamping resourceVersion; the store keeps it.

        `expected` is the resourceVersion of the one it replaces, "" where there must be none;
        `Conflict` or `AlreadyExists` otherwise. `NotSaved` if there is no room for it.
        """
        previous = self._checked(obj, expected)
        obj["metadata"]["resourceVersion"] = str(self._revision + 1)
        self._save(Change(self._revision + 1, "MODIFIED" if previous else "ADDED", obj, previous))
        return obj

    def remove(self, last: Object, *, expected: str) -> Object:
        """Remove an object; `last` is the state its watchers see, with the removal's revision.

        Fails as `write` does.
        """
        previous = self._checked(last, expected)
        revision = str(self._revision + 1)
        last = {**last, "metadata": {**last["metadata"], "resourceVersion": revision}}
        self._save(Change(self._revision + 1, "DELETED", last, previous))
        return last

    def log(self, kind: str) -> KindLog:
        """The changes of a kind."""
        return self._logs[kind]

    def position_after(self, kind: str, revision: int) -> int:
        """Where in the kind's log a watch continues after `revision`; or `FellBehind`."""
        if revision > self._revision:
            raise FellBehind
        return self._logs[kind].position_after(revision)

    def refusal(self) -> str:
        """Why nothing can be saved just now; "" if it can."""
        try:
            if self._journal:
                self._journal.try_out()
        except OSError as error:
            return failures.unwritable(error)
        return ""

    def close(self) -> None:
        """End all watches and let go of the journal."""
        for log in self._logs.values():
            log.close()
        if self._journal:
            self._journal.close()
            self._journal = None

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

    def _save(self, change: Change) -> None:
        """First to the journal; if that cannot take it, nothing has happened."""
        try:
            if self._journal:
                self._journal.append(change)
        except OSError as error:
            self._refuse(error)
        self.refused = False
        self._revision = change.revision
        if change.type == "DELETED":
            self._drop(change.object)
        else:
            self._put(change.object)
        self._logs[change.object["kind"]].append(change)

    def _refuse(self, error: OSError) -> NoReturn:
        if not self.refused:
            _log.error("%s", failures.unwritable(error))
        self.refused = True
        raise failures.not_saved(error, self._place) from error

    def _put(self, obj: Object) -> None:
        self._spaces(obj).setdefault(meta.namespace(obj), {})[meta.name(obj)] = obj

    def _drop(self, obj: Object) -> None:
        spaces, space = self._spaces(obj), meta.namespace(obj)
        del spaces[space][meta.name(obj)]
        if not spaces[space]:
            del spaces[space]


def _sorted(space: dict[str, Object], matches: Matcher | None) -> list[Object]:
    """By name; of thousands few match, so the others are left out first."""
    if matches is not None:
        space = {name: obj for name, obj in space.items() if matches(obj)}
    return [space[name] for name in sorted(space)]
