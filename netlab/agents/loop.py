"""The loop of what follows the API. It is woken, works, and works again later when that failed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from netlab.agents.pace import Pace
from netlab.errors import is_foreseen
from netlab.retry import Retry
from netlab.tasks import cancel

log = logging.getLogger(__name__)

Work = Callable[[bool], Awaitable[None]]
"""One turn; told whether something changed (or the last one failed), or it is time to look."""


class Working(Protocol):
    """What `up` waits for."""

    def at_work(self) -> Iterator[str]:
        """What it is still doing, a line each; none when all is as it should be, or up to others.
        What is cheap to know comes first."""


class Loop:
    """A task that works whenever it is woken, and at the latest `every` so many seconds.

    `every` is asked before each wait; None waits for ever. Once woken it waits `settle` seconds for
    what else belongs to the change, and as long again while more comes: `rounds` times at most; or,
    instead, as `pace` says, where turns are dear. A turn for the mere look of things waits for
    `rest` seconds, which its work may set: others may give reason to look all the time.

    What a turn raises is logged, kept in `error` until one succeeds, and tried again as `retry`
    says, or earlier if something changes.
    """

    def __init__(
        self,
        name: str,
        work: Work,
        *,
        retry: Retry | None = None,
        every: Callable[[], float | None] = lambda: None,
        settle: float = 0.0,
        rounds: int = 1,
        pace: Pace | None = None,
    ) -> None:
        self.error: str | None = None
        self.rest = 0.0
        self._name = name
        self._work = work
        self._retry = retry or Retry()
        self._every = every
        self._settle, self._rounds, self._pace = settle, rounds, pace
        self._failures = 0
        self._busy = False
        self._changed = asyncio.Event()
        self._woken = asyncio.Event()
        self._again: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._turning = asyncio.Lock()

    @property
    def idle(self) -> bool:
        """True when everything is done that it was woken for."""
        return not (self._busy or self._changed.is_set() or self.error)

    @property
    def runs(self) -> bool:
        """Whether it was started, and not stopped."""
        return self._task is not None and not self._task.done()

    def wake(self) -> None:
        """Something changed."""
        if self._pace is not None:
            self._pace.came(time.monotonic())
        self._changed.set()
        self._woken.set()

    def look(self) -> None:
        """Something may have changed."""
        self._woken.set()

    def wake_in(self, seconds: float) -> asyncio.TimerHandle:
        """Something is to be done then."""
        return asyncio.get_running_loop().call_later(seconds, self.wake)

    def start(self) -> None:
        """Begin; the first turn comes when it is woken, or it is time."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """End, in the middle of a turn if need be. Idempotent."""
        self._forget_retry()
        await cancel(self._task)

    async def finish(self) -> None:
        """End, but not in the middle of a turn. Idempotent."""
        async with self._turning:
            await self.stop()

    async def _run(self) -> None:
        while True:
            await self._wait()
            self._busy = self._changed.is_set()
            if self._busy:
                await self._settled()
            self._changed.clear()
            self._woken.clear()
            began = time.monotonic()
            async with self._turning:
                await self._turn()
            if self._busy and self._pace is not None:
                self._pace.ended(began, time.monotonic())
            self._busy = False

    async def _wait(self) -> None:
        await _set(self._woken, self._every())
        if self.rest and not self._changed.is_set():
            await _set(self._changed, self.rest)

    async def _settled(self) -> None:
        if self._pace is not None:
            await self._in_pace(self._pace)
        for _ in range(self._rounds if self._settle else 0):
            self._changed.clear()
            await asyncio.sleep(self._settle)
            if not self._changed.is_set():
                return

    async def _in_pace(self, pace: Pace) -> None:
        while (seconds := pace.wait(time.monotonic())) > 0:
            await asyncio.sleep(seconds)
        pace.begun()

    async def _turn(self) -> None:
        self._forget_retry()  # this is it: one for each failure would become more and more
        try:
            await self._work(self._busy or self._failures > 0)
            self.error, self._failures = None, 0
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self.error = str(error) or type(error).__name__
        delay = self._retry.after(error, self._failures)
        text = "%s: %s; trying again in %.1f s"
        log.error(text, self._name, self.error, delay, exc_info=not is_foreseen(error))
        self._again = self.wake_in(delay)

    def _forget_retry(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None


async def _set(event: asyncio.Event, seconds: float | None) -> None:
    """Return once it is set, or after so many seconds."""
    # asyncio.wait_for would, before Python 3.12, lose a cancellation that comes with the event.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
