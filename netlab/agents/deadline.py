"""`activeDeadlineSeconds`: pods that may run for so long and no longer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from netlab.agents.podevents import PodEvents
from netlab.agents.podrun import PodRun
from netlab.objects import meta, times

MESSAGE = "Pod was active on the node longer than the specified deadline"


class Deadlines:
    """A timer for each pod that has a deadline; `expire` ends its containers."""

    def __init__(self, events: PodEvents, expire: Callable[[PodRun], Awaitable[None]]) -> None:
        self._events = events
        self._expire = expire
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def watch(self, run: PodRun) -> None:
        """The pod is active: let its time run, if that is limited, by what is said now."""
        self.forget(run)
        seconds = seconds_left(run, time.time())
        if seconds is not None:
            task = asyncio.create_task(self._wait(run, seconds), name=f"deadline of {run.key}")
            self._tasks[run.uid] = task

    def forget(self, run: PodRun) -> None:
        """The pod is gone, or has no limit any more."""
        task = self._tasks.pop(run.uid, None)
        if task is not None:
            task.cancel()

    def stop(self) -> None:
        """Forget all."""
        for task in self._tasks.values():
            task.cancel()

    async def _wait(self, run: PodRun, seconds: float) -> None:
        await asyncio.sleep(seconds)
        over = all(state.exit_code is not None and not state.waiting for state in run.states)
        if over or run.stopping:
            return
        run.failure = ("DeadlineExceeded", MESSAGE)
        self._events.deadline_exceeded(run, MESSAGE)
        await self._expire(run)


def seconds_left(run: PodRun, now: float) -> float | None:
    """Until the deadline, from `now` (Unix time); None without one."""
    limit = meta.spec(run.pod).get("activeDeadlineSeconds")
    if limit is None:
        return None
    started = meta.status(run.pod).get("startTime")
    begun = times.seconds(started) or now
    return float(max(0.0, begun + float(limit) - now))
