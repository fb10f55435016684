"""Tasks that are begun and ended together, and what they cost."""

from __future__ import annotations

import asyncio
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


class Measured(Awaitable[T]):
    """Awaits work, and tells how many `seconds` this thread has computed for it: not while it
    waited, or others had their turn."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self.seconds = 0.0
        self._work = work

    def __await__(self) -> Generator[Any, Any, T]:
        """Hand on what comes and goes, a step at a time."""
        steps = self._work.__await__()
        step: Callable[[], Any] = partial(next, steps)
        while True:
            began = time.thread_time()
            try:
                awaited = step()
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self.seconds += time.thread_time() - began
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
