"""Tasks that are begun and ended together."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from netlab.tasks import Background, Measured, cancel, in_thread, together


class Work:
    """Goes on until it is ended; says so in the end."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = False

    async def run(self) -> None:
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.ended = True


async def failing(after: asyncio.Event) -> None:
    await after.wait()
    raise OSError("no room")


async def test_what_is_done_together_has_been_done_together() -> None:
    done: list[int] = []
    both = asyncio.Barrier(2)

    async def one(number: int) -> None:
        async with both:
            done.append(number)

    await together(one(1), one(2))
    assert sorted(done) == [1, 2]


async def test_when_one_fails_the_rest_has_ended_before_it_is_told() -> None:
    other = Work()
    with pytest.raises(OSError, match="no room"):
        await together(other.run(), failing(other.begun))
    assert other.ended


async def test_who_waits_for_all_may_be_ended_himself() -> None:
    other = Work()
    task = asyncio.create_task(together(other.run()))
    await other.begun.wait()
    await cancel(task, None)
    assert other.ended
    assert task.cancelled()


async def test_what_runs_in_the_background_is_ended_by_whom_it_is_for() -> None:
    background = Background()
    one, two, three = Work(), Work(), Work()
    for key, work in (("a", one), ("a", two), ("b", three)):
        background.start(key, work.run(), key)
        await work.begun.wait()
    await background.stop("a")
    await background.stop("nobody")
    assert [work.ended for work in (one, two, three)] == [True, True, False]
    await background.stop_all()
    assert three.ended
    await asyncio.sleep(0)
    assert background._tasks == {}


async def test_who_is_ended_while_a_thread_works_for_him_ends_after_it() -> None:
    begun, go_on, done = asyncio.Event(), threading.Event(), list[str]()
    loop = asyncio.get_running_loop()

    def work(word: str) -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        done.append(word)

    task = asyncio.create_task(in_thread(work, "made"))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["made"]


async def test_what_a_thread_finds_or_raises_is_told() -> None:
    assert await in_thread(int, "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "seven")


async def test_what_is_computed_is_measured_and_what_is_waited_for_is_not() -> None:
    async def work() -> str:
        await asyncio.sleep(0.1)
        began = time.thread_time()
        while time.thread_time() - began < 0.02:
            pass
        await asyncio.sleep(0.1)
        return "done"

    measured = Measured(work())
    assert await measured == "done"
    assert 0.02 <= measured.seconds < 0.1


async def test_measured_work_is_cancelled_and_fails_as_any_other() -> None:
    heard: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            heard.append("cancelled")
            await asyncio.sleep(0)
            raise

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def awaited(work: Measured[None]) -> None:
        await work

    task = asyncio.create_task(awaited(Measured(waits())))
    await asyncio.sleep(0.01)
    await cancel(task)
    assert heard == ["cancelled"]
    with pytest.raises(ValueError, match="no"):
        await Measured(fails())
