"""A program's life, with a process that only sleeps: kept, started again, let go, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from netlab.errors import NetlabError
from netlab.retry import Retry
from netlab.workload.program import Program


class Sleeper(Program):
    """Adopts what `left` says; `refusals` are what the next starts raise."""

    def __init__(self) -> None:
        super().__init__("the sleeper", Path(os.devnull), Retry(0.01, 0.02))
        self.children: list[subprocess.Popen[bytes]] = []
        self.refusals: list[Exception] = []
        self.left: int | None = None
        self.hangs = False

    async def begin(self) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        left, self.left = self.left, None
        if left is None:
            self.children.append(subprocess.Popen(["sleep", "1000"]))
            left = self.children[-1].pid
        self.hold(left)

    async def asked(self) -> None:
        await asyncio.sleep(0.001)
        if self.hangs:
            raise TimeoutError


@pytest.fixture
async def sleeper() -> AsyncIterator[Sleeper]:
    sleeper = Sleeper()
    yield sleeper
    await sleeper.detach()
    for child in sleeper.children:
        child.kill()
        child.wait()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def kill(sleeper: Sleeper) -> None:
    assert sleeper.pid is not None
    os.kill(sleeper.pid, signal.SIGKILL)


async def test_it_is_started_again_and_those_who_listen_are_told(sleeper: Sleeper) -> None:
    told: list[int | None] = []

    async def fails() -> None:
        raise NetlabError("it ended again")

    async def listens() -> None:
        told.append(sleeper.pid)

    sleeper.on_restart(fails)
    sleeper.on_restart(listens)
    await sleeper.keep()
    assert told == []
    for count in (1, 2):
        former = sleeper.pid
        kill(sleeper)
        await until(lambda n=count: len(told) == n)  # type: ignore[misc]
        assert told[-1] == sleeper.pid != former
        assert sleeper.is_up


async def test_who_says_when_it_is_started_again_hears_how_it_ended(sleeper: Sleeper) -> None:
    codes: list[int] = []
    may_go_on = asyncio.Event()

    async def before(code: int) -> None:
        codes.append(code)
        await may_go_on.wait()

    sleeper.before_restart = before
    await sleeper.keep()
    kill(sleeper)
    await until(lambda: codes == [137])
    assert not sleeper.is_up
    may_go_on.set()
    await until(lambda: sleeper.is_up)
    await sleeper.end(5.0)
    await until(lambda: len(codes) == 2 and sleeper.is_up)
    assert codes == [137, 143]
    assert len(sleeper.children) == 3

    async def stumbles(_: int) -> None:
        raise NetlabError("it is not to be had")

    sleeper.before_restart = stumbles
    kill(sleeper)
    await until(lambda: len(sleeper.children) == 4 and sleeper.is_up)


async def test_what_cannot_be_started_again_is_tried_and_told_until_it_can(
    sleeper: Sleeper,
) -> None:
    await sleeper.keep()
    sleeper.refusals = [NetlabError("no port"), OSError("no room"), ZeroDivisionError("?")]
    kill(sleeper)
    await until(lambda: sleeper.error == "no port")
    assert not sleeper.is_up
    await until(lambda: sleeper.is_up)
    assert sleeper.error is None
    assert sleeper.refusals == []


async def test_what_was_left_is_adopted_and_let_go_again(sleeper: Sleeper) -> None:
    left = subprocess.Popen(["sleep", "1000"])
    sleeper.children.append(left)
    sleeper.left = left.pid
    await sleeper.keep()
    assert sleeper.pid == left.pid
    await sleeper.detach()
    await sleeper.detach()
    assert not sleeper.is_up
    assert left.poll() is None


async def test_what_is_stopped_ends_and_stays_so(sleeper: Sleeper) -> None:
    await sleeper.keep()
    await sleeper.stop()
    await sleeper.stop()
    assert sleeper.pid is None
    assert len(sleeper.children) == 1
    assert sleeper.children[0].poll() is not None


async def test_what_fell_over_at_its_first_start_is_not_kept(sleeper: Sleeper) -> None:
    sleeper.refusals = [NetlabError("no port")]
    try:
        await sleeper.keep()
    except NetlabError as error:
        assert error.message == "no port"
    assert not sleeper.is_up
    await asyncio.sleep(0.05)
    assert sleeper.children == []


async def test_one_that_hangs_is_asked_until_it_answers_and_one_that_is_down_is_not(
    sleeper: Sleeper,
) -> None:
    await sleeper.answers()
    await sleeper.keep()
    sleeper.hangs = True
    asking = asyncio.create_task(sleeper.answers())
    await asyncio.sleep(0.02)
    assert not asking.done()
    sleeper.hangs = False
    await asking


async def test_what_ends_again_and_again_is_started_later_each_time(sleeper: Sleeper) -> None:
    sleeper._retry = Retry(0.01, 60.0)
    await sleeper.keep()
    loop = asyncio.get_running_loop()
    began, starts = loop.time(), 8
    while len(sleeper.children) <= starts:
        before = len(sleeper.children)
        kill(sleeper)
        await until(lambda n=before: len(sleeper.children) > n)  # type: ignore[misc]
    # the first again at once, then after 0.01, 0.02, … 0.64 s
    assert loop.time() - began > 1.2
