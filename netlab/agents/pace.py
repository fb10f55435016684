"""When work that takes in all changes so far is done again: a lone change at once, a flood in
batches. Pure.

A turn costs mostly the same for one change as for a hundred. So one that comes alone is not kept
waiting; while more keep coming, they are let come for a multiple of what the last turn took, so
that a flood leaves the machine to those who make it. However long it lasts, nobody waits for more
than `cap` seconds.
"""

from __future__ import annotations

from msgspec import Struct

_SETTLE, _SETTLE_CAP = 0.05, 0.02


BURST = 10
"""Turns that a lab of some Services takes to come up."""


class Pace(Struct):
    """Tells how long to wait; all times are seconds of one clock that never goes back.

    Changes that come within `settle` seconds are one, as a Service and its slice; where turns are
    dear, those within a twentieth of what the last one took, 20 ms at most. The next turn waits for
    a time without changes, `quiet` times as long as the last one took and `lull` seconds at most;
    but once `times` as long as it took have passed since, `cap` seconds at most, it waits no more.
    A flood it is after `burst` turns with less than `cap` seconds between changes: some changes, as
    when a small lab comes up, are waited for by somebody. In a flood the waits last
    `crowd` times as long, and a burst is so much shorter: of many who take turns on one machine
    each is to leave more to others.
    """

    settle: float = 0.003
    quiet: float = 0.1
    lull: float = 0.05
    times: float = 4.0
    cap: float = 1.0
    burst: int = 0
    crowd: float = 1.0
    _turns: int = 0
    _first: float | None = None
    _last: float = 0.0
    _cost: float = 0.0
    _ended: float = 0.0

    def came(self, now: float) -> None:
        """A change came."""
        if now - self._last > self.cap:
            self._turns = 0
        if self._first is None:
            self._first = now
        self._last = now

    def begun(self) -> None:
        """A turn takes all changes that came."""
        self._first = None
        self._turns += 1

    def ended(self, began: float, now: float) -> None:
        """A turn ended that began then."""
        self._cost, self._ended = now - began, now

    def wait(self, now: float) -> float:
        """For how many seconds to wait before asking again; not above 0 when it is time."""
        if self._first is None:
            return 0.0
        settled = self._first + max(self.settle, min(_SETTLE * self._cost, _SETTLE_CAP))
        if self._turns < self.burst / self.crowd:
            return settled - now
        calm = self._last + max(self.settle, self.crowd * min(self.quiet * self._cost, self.lull))
        latest = self._ended + self.crowd * min(self.times * self._cost, self.cap)
        return max(settled, min(calm, latest)) - now
