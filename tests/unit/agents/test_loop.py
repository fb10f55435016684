"""An agent's loop: when it works, how it goes on after a failure, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from netlab.agents.loop import Loop
from netlab.agents.pace import Pace
from netlab.errors import NetlabError
from netlab.retry import Retry

SOON = 5.0


class Worker:
    """Notes its turns; `errors` are what the next ones raise."""

    def __init__(self, **options: Any) -> None:
        self.turns: list[bool] = []
        self.errors: list[Exception] = []
        self.going_on: asyncio.Event | None = None
        self.takes = 0.0
        self.loop = Loop("work", self.work, **options)

    async def work(self, changed: bool) -> None:
        self.turns.append(changed)
        await asyncio.sleep(self.takes)
        if self.going_on is not None:
            await self.going_on.wait()
        if self.errors:
            raise self.errors.pop(0)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON):
            while not holds():
                await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def working(**options: Any) -> AsyncIterator[Worker]:
    worker = Worker(**options)
    worker.loop.start()
    try:
        yield worker
    finally:
        await worker.loop.stop()


async def test_it_works_when_woken_and_only_then() -> None:
    async with working() as worker:
        await asyncio.sleep(0.02)
        assert worker.turns == [] and worker.loop.idle
        worker.loop.wake()
        assert not worker.loop.idle
        await worker.until(lambda: worker.loop.idle)
        assert worker.turns == [True]


async def test_what_comes_while_it_works_is_worked_on_afterwards() -> None:
    async with working() as worker:
        worker.going_on = asyncio.Event()
        worker.loop.wake()
        await worker.until(lambda: len(worker.turns) == 1)
        worker.loop.wake()
        worker.loop.wake()
        worker.going_on.set()
        await worker.until(lambda: worker.loop.idle)
        assert worker.turns == [True, True]


async def test_changes_that_belong_together_are_one_turn() -> None:
    async with working(settle=0.5) as worker:
        for _ in range(5):
            worker.loop.wake()
            await asyncio.sleep(0.01)
        await worker.until(lambda: worker.loop.idle)
        assert worker.turns == [True]


async def test_what_comes_last_is_waited_for_as_long_but_not_for_ever() -> None:
    async with working(settle=0.1, rounds=3) as worker:
        woken, began = 0, asyncio.get_running_loop().time()
        while not worker.turns:
            worker.loop.wake()
            woken += 1
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - began > 3 * 0.1
        assert woken > 3
        await worker.until(lambda: worker.loop.idle)


async def test_a_stream_without_end_is_worked_on_in_pace_with_what_a_turn_takes() -> None:
    pace = Pace(times=4.0, quiet=100.0, lull=100.0)  # on a busy machine, too, it is not calm
    async with working(pace=pace) as worker:
        worker.takes = 0.02
        began = asyncio.get_running_loop().time()
        while len(worker.turns) < 5:
            worker.loop.wake()
            await asyncio.sleep(0.001)
        assert asyncio.get_running_loop().time() - began > 4 * (1 + 4) * 0.02
        await worker.until(lambda: worker.loop.idle)


async def test_it_looks_by_itself_and_is_idle_meanwhile() -> None:
    async with working(every=lambda: 0.005) as worker:
        await worker.until(lambda: len(worker.turns) > 3)
        assert not any(worker.turns)
        assert worker.loop.idle


async def test_looks_are_put_off_while_it_rests_and_changes_are_not() -> None:
    async with working() as worker:
        worker.loop.rest = 60.0
        worker.loop.look()
        await asyncio.sleep(0.02)
        assert worker.turns == []
        worker.loop.wake()
        await worker.until(lambda: worker.turns == [True])
        worker.loop.rest = 0.0
        worker.loop.look()
        await worker.until(lambda: worker.turns == [True, False])


async def test_what_failed_is_tried_again_and_said_until_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with working(retry=Retry(0.01, 0.02)) as worker:
        worker.errors = [NetlabError("no room"), OSError("no room either")]
        worker.loop.wake()
        await worker.until(lambda: worker.loop.error == "no room")
        assert not worker.loop.idle
        await worker.until(lambda: worker.loop.idle)
        assert worker.turns == [True, True, True]
        assert worker.loop.error is None
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "work: no room; trying again in 0.0 s", "work: no room either; trying again in 0.0 s",
    ]  # fmt: skip
    assert not any(record.exc_info for record in caplog.records)


async def test_failures_one_after_the_other_leave_one_retry() -> None:
    async with working(retry=Retry(0.2, 0.2)) as worker:
        worker.errors = [NetlabError("no")] * 20
        for _ in range(20):
            before = len(worker.turns)
            worker.loop.wake()
            await worker.until(lambda: len(worker.turns) > before)  # noqa: B023
        await worker.until(lambda: worker.loop.idle)
        assert len(worker.turns) == 21
        await asyncio.sleep(0.3)
        assert len(worker.turns) == 21


async def test_a_look_after_a_failure_counts_as_a_change() -> None:
    async with working(retry=Retry(60.0, 60.0)) as worker:
        worker.errors = [NetlabError("no")]
        worker.loop.wake()
        await worker.until(lambda: worker.loop.error is not None)
        worker.loop.look()
        await worker.until(lambda: worker.loop.idle)
        assert worker.turns[:2] == [True, True]


async def test_a_mistake_of_ours_is_logged_whole_and_does_not_end_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    async with working(retry=Retry(0.01)) as worker:
        worker.errors = [ZeroDivisionError()]
        worker.loop.wake()
        await worker.until(lambda: worker.turns == [True, True])
        await worker.until(lambda: worker.loop.idle)
    assert "ZeroDivisionError" in caplog.text


async def test_it_ends_in_the_middle_of_a_turn() -> None:
    async with working() as worker:
        worker.going_on = asyncio.Event()  # which nobody sets
        worker.loop.wake()
        await worker.until(lambda: worker.turns == [True])
        assert worker.loop.runs
        await worker.loop.stop()
        assert not worker.loop.runs
        await worker.loop.stop()
