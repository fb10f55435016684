"""What happened to the objects of one kind, kept long enough for watchers to follow."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from typing import Literal

from msgspec import Struct

from netlab.objects.meta import Object

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]
CHANGE_TYPES: tuple[ChangeType, ...] = ("ADDED", "MODIFIED", "DELETED")


class Change(Struct, frozen=True):
    """One write: the object afterwards (for DELETED its last state) and the one it replaced."""

    revision: int
    type: ChangeType
    object: Object
    previous: Object | None


class FellBehind(Exception):
    """The reader wants changes that the log no longer holds."""


class KindLog:
    """The last changes of one kind, shared by its watchers, who each hold a position in it.

    A watcher that does not read costs nothing: the log goes on without it, and its next read
    raises `FellBehind`. Positions count all changes ever appended; `keep` to twice `keep` of
    them are held.
    """

    def __init__(self, floor: int, keep: int) -> None:
        self._changes: list[Change] = []
        self._dropped = 0
        self._floor = floor  # the revision up to which changes may be missing
        self._keep = keep
        self._waiting: set[asyncio.Future[None]] = set()
        self.closed = False

    def append(self, change: Change) -> None:
        """Add a change and wake whoever waits for one."""
        self._changes.append(change)
        if len(self._changes) >= 2 * self._keep:
            self._floor = self._changes[self._keep - 1].revision
            del self._changes[: self._keep]
            self._dropped += self._keep
        self.wake()

    def end(self) -> int:
        """The position of the next change to come."""
        return self._dropped + len(self._changes)

    def position_after(self, revision: int) -> int:
        """The position of the first change after `revision`; `FellBehind` if some are gone."""
        if revision < self._floor:
            raise FellBehind
        return self._dropped + bisect_right(self._changes, revision, key=lambda one: one.revision)

    def since(self, revision: int) -> list[Change]:
        """The changes after `revision`, oldest first; `FellBehind` if some are gone."""
        return self._changes[self.position_after(revision) - self._dropped :]

    def read(self, position: int) -> Change | None:
        """The change at a position, None when it has not happened yet."""
        index = position - self._dropped
        if index < 0:
            raise FellBehind
        return self._changes[index] if index < len(self._changes) else None

    async def wait(self) -> None:
        """Until the next change, or `close`."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def close(self) -> None:
        """No change will come any more: let the watchers end."""
        self.closed = True
        self.wake()

    def wake(self) -> None:
        """Let whoever waits look again."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)
