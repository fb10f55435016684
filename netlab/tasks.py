"""Tasks that are begun and ended together, and what they cost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


async def together(*work: Coroutine[Any, Any, object]) -> None:
    """Do all of it at once. The first failure ends the rest, and is raised once that has ended."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def cancel(*tasks: asyncio.Task[Any] | None) -> None:
    """End tasks in the middle of what they do; returns once they have ended. None is no task."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def in_thread(work: Callable[..., T], *args: object) -> T:
    """Do it in a thread. Who is cancelled meanwhile ends once it is done: nothing stops a thread,
    and what it does would come on top of what is done next."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


class _Stopwatch(threading.local):
    """How long a thread computes, of which the kernel is asked once a millisecond: it takes its
    time, six microseconds on some machines, and most steps are done before."""

    looked, then = -1.0, 0.0
    """When it was asked the last time, and what it said."""

    def begin(self) -> float:
        """The moment at which something begins."""
        now = time.monotonic()
        if now - self.looked > _SHORT:
            self.looked, self.then = now, time.thread_time()
        return now

    def since(self, began: float) -> float:
        """Seconds of this thread since a moment, or a millisecond more; what is shorter is taken
        as it was."""
        passed = time.monotonic() - began
        return passed if passed < _SHORT else min(passed, time.thread_time() - self.then)


_SHORT = 0.001
_stopwatch = _Stopwatch()


class Measured(Awaitable[T]):
    """Awaits work, and tells how many `seconds` this thread has computed for it, to a millisecond
    a step: not while it waited, or others had their turn."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self.seconds = 0.0
        self._work = work

    def __await__(self) -> Generator[Any, Any, T]:
        """Hand on what comes and goes, a step at a time."""
        steps = self._work.__await__()
        step: Callable[[], Any] = partial(next, steps)
        while True:
            began = _stopwatch.begin()
            try:
                awaited = step()
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self.seconds += _stopwatch.since(began)
            try:
                step = partial(steps.send, (yield awaited))
            except BaseException as error:
                step = partial(steps.throw, error)


class Background:
    """Tasks that nobody waits for, by whom they are for; each is forgotten when it has ended."""

    def __init__(self) -> None:
        self._tasks: dict[str, set[asyncio.Task[Any]]] = {}

    def start(self, key: str, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Begin one."""
        task = asyncio.create_task(work, name=name)
        self._tasks.setdefault(key, set()).add(task)
        task.add_done_callback(lambda ended: self._forget(key, ended))
        return task

    async def stop(self, key: str) -> None:
        """End those of one key."""
        await cancel(*self._tasks.get(key, ()))

    async def stop_all(self) -> None:
        """End them all."""
        await cancel(*(task for tasks in self._tasks.values() for task in tasks))

    def _forget(self, key: str, task: asyncio.Task[Any]) -> None:
        tasks = self._tasks[key]
        tasks.discard(task)
        if not tasks:
            del self._tasks[key]
