"""Queries that wait, in turns by the address that they came from: who asks much waits by himself.

A socket is first come, first served: one who asks faster than names are answered fills it, and all
others wait behind what he has asked, long after he has ended. Here each has a queue of his own. So
many of his queries are under way at a time, and when there is no room for one more, it is the
longest queue that loses its oldest. Pure, but for the time, which it is told.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from msgspec import Struct, field

AT_ONCE = 64
"""So many of one address are under way at a time."""

UNDER_WAY = 256
"""And so many of all: what fits into the buffer of a dnsmasq's socket."""

PATIENCE = 5.0
"""Seconds after which nobody waits for an answer any more: a resolver has asked again."""

HURRY = 1.0
"""The same for one who asks more than there is room for."""


class Asker(Struct, eq=False):
    """An address: which slots its waiting queries are in, how many more are under way, whether it
    stands in line, and when it last lost one for want of room."""

    waiting: deque[int] = field(default_factory=deque)
    busy: int = 0
    in_line: bool = False
    lost: float = -math.inf


class Turns:
    """Whose query is next. `came` says when the one in a slot came, in the seconds of `now`."""

    def __init__(
        self, came: Callable[[int], float], drop: Callable[[int], None], at_once: int = AT_ONCE
    ) -> None:
        self._came = came
        self._drop = drop
        self._at_once = at_once
        self._askers: dict[bytes, Asker] = {}
        self._ready = deque[bytes]()
        """Who had some waiting and might have one more under way, in turn."""
        self._busy: dict[int, bytes] = {}
        """Who asked what is under way, by slot."""

    def add(self, slot: int, address: bytes) -> None:
        """One came, and waits."""
        asker = self._askers.get(address)
        if asker is None:
            asker = self._askers[address] = Asker()
        asker.waiting.append(slot)
        if not asker.in_line:
            self._line_up(address, asker)

    def next(self, now: float) -> int | None:
        """The slot of the query that is to be begun; None if none is. See `done`."""
        while self._ready and len(self._busy) < UNDER_WAY:
            address = self._ready.popleft()
            asker = self._askers[address]
            asker.in_line = False
            slot = self._fresh(asker, now)
            if slot is None:
                self._forget(address, asker)
                continue
            asker.busy += 1
            self._busy[slot] = address
            if asker.waiting:
                self._line_up(address, asker)
            return slot
        return None

    def _fresh(self, asker: Asker, now: float) -> int | None:
        """The oldest for which somebody still waits."""
        patience = HURRY if now - asker.lost < PATIENCE else PATIENCE
        while asker.waiting:
            slot = asker.waiting.popleft()
            if now - self._came(slot) <= patience:
                return slot
            self._drop(slot)
        return None

    def done(self, slot: int) -> None:
        """It is under way no longer."""
        address = self._busy.pop(slot)
        asker = self._askers[address]
        asker.busy -= 1
        if asker.waiting:
            self._line_up(address, asker)
        elif not asker.busy:
            self._forget(address, asker)

    def _line_up(self, address: bytes, asker: Asker) -> None:
        if asker.busy < self._at_once and not asker.in_line:
            asker.in_line = True
            self._ready.append(address)

    def _forget(self, address: bytes, asker: Asker) -> None:
        if not (asker.busy or asker.waiting or asker.in_line):
            del self._askers[address]

    def make_room(self, now: float) -> None:
        """Drop the oldest of who has most waiting."""
        asker = max(self._askers.values(), key=lambda each: len(each.waiting))
        asker.lost = now
        self._drop(asker.waiting.popleft())

    def is_pressed(self, slot: int) -> bool:
        """Whether others of who asked what is under way wait behind it, as many as may be."""
        asker = self._askers[self._busy[slot]]
        return bool(asker.waiting) and asker.busy >= self._at_once

    @property
    def waits(self) -> bool:
        """Whether there is one to be begun."""
        return bool(self._ready) and len(self._busy) < UNDER_WAY
