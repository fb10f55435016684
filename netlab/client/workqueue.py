"""A queue of keys that somebody has to look at: each once, never two workers on the same key.

A key added while it waits is the same work. A key added while it is being worked on is worked
on once more afterwards. A key that failed comes back later and later, up to a cap.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from netlab.retry import Retry

RETRY = Retry(0.005, 30.0)

SOON = 1.0
"""Seconds: a delayed key due within this still counts as work to be done (see `is_idle`)."""

LULL = 0.4
"""Of a key's rest, the part that is enough if it is asked for, and then is not any more: the flood
that it was to rest from is over, and somebody may be waiting for what came last."""

_EARLY = 1e-4
"""Seconds by which a timer may fire too early."""


class _Rest(Struct):
    """How long a key rests: until a moment, or as soon as nobody has asked for it for `lull`
    seconds since it was `wished` for."""

    until: float
    lull: float
    wished: float


class _Ranked:
    """Keys in the order of their rank, the lowest first, and of their coming: as much of a deque as
    the queue needs."""

    def __init__(self, rank: Callable[[str], int]) -> None:
        self._rank = rank
        self._heap: list[tuple[int, int, str]] = []
        self._came = 0

    def __len__(self) -> int:
        return len(self._heap)

    def append(self, key: str) -> None:
        self._came += 1
        heapq.heappush(self._heap, (self._rank(key), self._came, key))

    def popleft(self) -> str:
        return heapq.heappop(self._heap)[2]

    def clear(self) -> None:
        self._heap.clear()


class WorkQueue:
    """Keys waiting for a worker, on the event loop; not thread safe.

    `retry` says when a key that failed comes again, `rank` which of those that wait is the next:
    the lowest when it was added, not the first that came.
    """

    def __init__(
        self,
        *,
        retry: Retry = RETRY,
        clock: Callable[[], float] | None = None,
        rank: Callable[[str], int] | None = None,
    ) -> None:
        self._retry = retry
        self._clock = clock
        self._ready: deque[str] | _Ranked = deque() if rank is None else _Ranked(rank)
        self._waiting: set[str] = set()
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._failures: dict[str, int] = {}
        self._rests: dict[str, _Rest] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._idlers: list[asyncio.Future[None]] = []
        self._closed = False
        self.adds = 0
        """How often a key became ready: two equal readings mean nothing happened in between."""

    def add(self, key: str) -> None:
        """Have `key` worked on as soon as a worker is free."""
        if self._closed:
            return
        rest = self._rests.get(key)
        if rest is not None:
            rest.wished = self._now()
            if self._goes_on_resting(key, rest):
                return
        self._due.pop(key, None)
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self.adds += 1
            self._wake_worker()

    def add_after(self, key: str, seconds: float) -> None:
        """Have `key` worked on in `seconds`; of several such wishes the earliest counts."""
        if self._closed or key in self._waiting:
            return
        if seconds <= 0:
            self.add(key)
            return
        now = self._now()
        if rest := self._rests.get(key):
            rest.wished = now
        self._plan(key, now + seconds)

    def retry(self, key: str, *, cap: float | None = None) -> float:
        """Have a key that failed worked on after its back-off; returns the seconds until then.

        `cap` is the most they may be this time.
        """
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        seconds = self._retry.delay(failures)
        if cap is not None:
            seconds = min(seconds, cap)
        self.add_after(key, seconds)
        return seconds

    def forget(self, key: str) -> None:
        """The key succeeded: its next failure starts the back-off anew."""
        self._failures.pop(key, None)

    async def get(self) -> str | None:
        """The next key, now the caller's until `done`; None once the queue is closed."""
        while not self._ready:
            if self._closed:
                return None
            waiter = asyncio.get_running_loop().create_future()
            self._getters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                self._pass_on(waiter)
                raise
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._working.add(key)
        return key

    def done(self, key: str, *, rest: float = 0.0) -> None:
        """The caller has finished with `key`; it is queued again if it was added meanwhile.

        It is not worked on again for `rest` seconds, however often it is added, unless it has been
        added and then is not for a part of that (`LULL`).
        """
        self._working.discard(key)
        if rest > 0:
            now = self._now()
            self._rests[key] = _Rest(now + rest, LULL * rest, now)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        self._tell_idle()

    def is_idle(self) -> bool:
        """Nothing ready, nothing being worked on, nothing due within `SOON`."""
        if self._ready or self._working:
            return False
        self._drop_stale()
        return not self._heap or self._heap[0][0] - self._now() > SOON

    async def wait_idle(self) -> None:
        """Return as soon as `is_idle`."""
        while not self.is_idle():
            waiter = asyncio.get_running_loop().create_future()
            self._idlers.append(waiter)
            await waiter

    def close(self) -> None:
        """Take no more keys; workers that wait, and those who wait for idleness, are let go."""
        self._closed = True
        self._ready.clear()
        self._waiting.clear()
        self._again.clear()
        self._due.clear()
        self._heap.clear()
        if self._timer:
            self._timer.cancel()
        for waiter in self._getters:
            if not waiter.done():
                waiter.set_result(None)
        self._tell_idle()

    def _plan(self, key: str, due: float) -> None:
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))
            self._arm()

    def _goes_on_resting(self, key: str, rest: _Rest) -> bool:
        """Whether it is not to be worked on yet; it is planned for when it may be."""
        due = min(rest.until, rest.wished + rest.lull)
        if due - self._now() > _EARLY:
            self._plan(key, due)
            return True
        del self._rests[key]
        return False

    def _now(self) -> float:
        return self._clock() if self._clock else asyncio.get_running_loop().time()

    def _wake_worker(self) -> None:
        while self._getters:
            waiter = self._getters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _pass_on(self, waiter: asyncio.Future[None]) -> None:
        """A worker that was just woken was cancelled: wake another in its place."""
        if waiter in self._getters:
            self._getters.remove(waiter)
        elif self._ready:
            self._wake_worker()

    def _tell_idle(self) -> None:
        if self._idlers and self.is_idle():
            waiters, self._idlers = self._idlers, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _drop_stale(self) -> None:
        """Forget heap entries whose key was added, or asked for earlier, since."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)

    def _arm(self) -> None:
        self._drop_stale()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            seconds = max(0.0, self._heap[0][0] - self._now())
            self._timer = asyncio.get_running_loop().call_later(seconds, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._drop_stale()
        while self._heap and self._heap[0][0] <= self._now() + _EARLY:
            _, key = heapq.heappop(self._heap)
            del self._due[key]  # or a key that rests could not be planned for later than this
            rest = self._rests.get(key)
            if rest is None or not self._goes_on_resting(key, rest):
                self.add(key)
            self._drop_stale()
        self._arm()
