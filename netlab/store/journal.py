"""The file behind the store: each write is a line at its end, there before anybody hears of it.

    REVISION 41            the first line: how things stood then is
    OBJECT {…}             one line an object;
    ADDED {…}              what has happened since comes after it, oldest first
    MODIFIED {…}
    DELETED {…}            (the object's last state)

It lies on a tmpfs: what write(2) has taken outlives this process, however that ends, though no
power cut, hence no fsync. Killed within that call, we leave a line without an end: nobody was told
of it, and the next start drops it. When it has grown, the file is written anew, without what
nobody follows any more.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections import defaultdict, deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec
from msgspec import Struct

from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.store.log import CHANGE_TYPES, Change

_log = logging.getLogger(__name__)

EVENTS_KEPT = 1000
"""Changes that are still there after a start, for those who watched before."""

GROWTH = 4 << 20
"""Bytes beyond twice those of the objects it began with, from which on it is written anew."""

ROOM = 64 << 10
"""Bytes that must be free, or the file system counts as full: most objects are much smaller."""

_Objects = dict[str, dict[str, Object]]
"""By kind, the objects by `ns/name`."""


class Saved(Struct, frozen=True):
    """What a journal holds; `floor` is the revision up to which changes are missing."""

    revision: int
    floor: int
    objects: list[Object]
    changes: list[Change]


class Journal:
    """One open journal, for one process at a time; made, holding nothing, if there is none.

    `NetlabError` if it cannot be made, or is something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._floor = 1
        self._before: _Objects = defaultdict(dict)  # how things stood at the floor
        self._since: deque[Change] = deque()
        self._size = self._longest = 0
        try:
            self._file = self._open() if path.exists() else self._written_anew()
        except OSError as error:
            raise self._unusable(error) from error

    def load(self) -> Saved:
        """Read everything. To be called once, before `append`."""
        try:
            now = self._read(self._path.read_bytes())
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.close()
            raise self._unusable(error) from error
        changes = list(self._since)
        revision = changes[-1].revision if changes else self._floor
        return Saved(revision, self._floor, list(_each(now)), changes)

    def append(self, change: Change) -> None:
        """Write one change down; after an `OSError` (no space is left) it is as it was before."""
        line = _line(change.type, change.object)
        try:
            _write_all(self._file, line)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)
        self._note(change)
        if self._size > self._longest:
            self._renew()

    def try_out(self) -> None:
        """See whether there is room for a change; `OSError` if not. Leaves the file as it is."""
        try:
            _write_all(self._file, bytes(ROOM))
        finally:
            os.ftruncate(self._file, self._size)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _unusable(self, error: Exception) -> NetlabError:
        return NetlabError(
            f"the lab's store {self._path} cannot be read: {error}",
            hint="netlab down removes it together with the lab; netlab up starts afresh",
        )

    # -- what it holds -----------------------------------------------------------------------

    def _note(self, change: Change) -> None:
        self._since.append(change)
        if len(self._since) > EVENTS_KEPT:
            oldest = self._since.popleft()
            _apply(self._before, oldest)
            self._floor = oldest.revision

    def _read(self, content: bytes) -> _Objects:
        """Take in the file's content; returns how things stand at its end."""
        first, *lines = content.split(b"\n")
        word, _, number = first.partition(b" ")
        if word != b"REVISION":
            raise ValueError("it does not begin with a revision")
        self._floor = int(number)
        self._size = len(content) - len(lines.pop())
        os.ftruncate(self._file, self._size)
        now: _Objects = defaultdict(dict)
        for line in lines:
            word, _, body = line.partition(b" ")
            self._take(word.decode(), json.loads(body), now)
        began = sum(len(line) for line in lines if line.startswith(b"OBJECT"))
        self._longest = GROWTH + 2 * began
        return now

    def _take(self, word: str, obj: Object, now: _Objects) -> None:
        """One line; `now` is how things stood before it, and then after."""
        if word == "OBJECT":
            self._before[obj["kind"]][meta.key(obj)] = now[obj["kind"]][meta.key(obj)] = obj
            return
        (kind,) = (known for known in CHANGE_TYPES if known == word)
        revision = int(obj["metadata"]["resourceVersion"])
        change = Change(revision, kind, obj, now[obj["kind"]].get(meta.key(obj)))
        _apply(now, change)
        self._note(change)

    # -- writing it anew ---------------------------------------------------------------------

    def _renew(self) -> None:
        """Leave out what is past; without room for that, the file that there is goes on growing."""
        try:
            descriptor = self._written_anew()
        except OSError as error:
            _log.warning("%s cannot be written anew: %s", self._path, error)
            self._longest = self._size + GROWTH
            return
        os.close(self._file)
        self._file = descriptor

    def _written_anew(self) -> int:
        """Put a file in place of the one there is, at once or not at all; its descriptor."""
        draft = self._path.with_name(f".{self._path.name}.new")
        content = b"".join(self._lines())
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(draft, flags, 0o600)  # it holds Secrets
        try:
            _write_all(descriptor, content)
            draft.rename(self._path)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        self._size, self._longest = len(content), GROWTH + 2 * len(content)
        return descriptor

    def _lines(self) -> Iterator[bytes]:
        yield b"REVISION %d\n" % self._floor
        yield from (_line("OBJECT", obj) for obj in _each(self._before))
        yield from (_line(change.type, change.object) for change in self._since)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)


def _apply(objects: _Objects, change: Change) -> None:
    if change.type == "DELETED":
        objects[change.object["kind"]].pop(meta.key(change.object), None)
    else:
        objects[change.object["kind"]][meta.key(change.object)] = change.object


def _each(objects: _Objects) -> Iterator[Object]:
    return chain.from_iterable(of_kind.values() for of_kind in objects.values())


def _line(word: str, obj: Object) -> bytes:
    return b"%s %s\n" % (word.encode(), _encoded(obj))


def _encoded(obj: Object) -> bytes:
    try:
        return msgspec.json.encode(obj)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can say
        return json.dumps(obj, separators=(",", ":")).encode()


def _write_all(descriptor: int, data: bytes) -> None:
    """A file system that is nearly full takes a part; asked for the rest, it says why not."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
