"""Who is looked at when: at once, but in the long run no oftener than so. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable

INTERVAL = 3.0
"""Seconds between two looks at the same, in the long run."""

AT_ONCE = 10
"""So many looks nobody has to wait for, after as many intervals of quiet."""


class Patience:
    """Keys that wait for their look; a leaky bucket each. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, float] = {}
        self._paid: dict[str, float] = {}
        """Until when the looks that somebody had would have taken, one an interval."""

    def touch(self, key: str) -> None:
        """Something happened to it: it is to be looked at."""
        now = self._clock()
        allowed = self._paid.get(key, now) - (AT_ONCE - 1) * INTERVAL
        self._waiting.setdefault(key, max(now, allowed))

    def due(self, most: int) -> list[str]:
        """Those whose time has come, no more than `most`; they wait no longer."""
        now = self._clock()
        found = [key for key, when in self._waiting.items() if when <= now][:most]
        for key in found:
            del self._waiting[key]
            self._paid[key] = max(self._paid.get(key, now), now) + INTERVAL
        return found

    def wait(self) -> float | None:
        """Seconds until somebody's time has come; None when nobody waits."""
        if not self._waiting:
            return None
        return max(0.0, min(self._waiting.values()) - self._clock())

    def keep(self, known: Callable[[str], object]) -> None:
        """Forget whoever is not known any more, and what is long past."""
        now = self._clock()
        for key in [key for key in self._waiting if not known(key)]:
            del self._waiting[key]
        for key in [key for key, until in self._paid.items() if until < now or not known(key)]:
            del self._paid[key]
