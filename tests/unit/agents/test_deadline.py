"""Pods that may run for so long and no longer."""

from __future__ import annotations

import asyncio

import pytest

from netlab.agents.deadline import MESSAGE, Deadlines, seconds_left
from netlab.agents.podevents import PodEvents
from netlab.agents.podrun import PodRun

NOW = 1_767_225_660.0  # 2026-01-01T00:01:00Z
STARTED = {"startTime": "2026-01-01T00:00:00Z"}


class Expired:
    def __init__(self) -> None:
        self.runs: list[str] = []

    async def __call__(self, run: PodRun) -> None:
        self.runs.append(run.key)


@pytest.fixture
def expired():
    return Expired()


@pytest.fixture
def deadlines(recorder, expired):
    deadlines = Deadlines(PodEvents(recorder), expired)
    yield deadlines
    deadlines.stop()


@pytest.mark.parametrize(
    ("limit", "status", "left"),
    [
        (None, STARTED, None),
        (90, STARTED, 30.0),
        (10, STARTED, 0.0),
        (10, {}, 10.0),
    ],
)
def test_time_runs_from_the_start_that_the_api_knows(pod_run, limit, status, left):
    spec = {} if limit is None else {"activeDeadlineSeconds": limit}
    assert seconds_left(pod_run(status=status, **spec), NOW) == left


async def test_a_pod_whose_time_is_over_fails(deadlines, expired, recorder, pod_run, until):
    run = pod_run(activeDeadlineSeconds=0.02)
    run.state("c").begin("t", "id")
    deadlines.watch(run)
    assert run.failure is None
    await until(lambda: expired.runs)
    assert run.failure == ("DeadlineExceeded", MESSAGE)
    assert recorder.told == [f"DeadlineExceeded: {MESSAGE}"]


async def test_one_that_is_over_ends_or_went_is_left_alone(deadlines, expired, pod_run):
    over, ending, gone = (pod_run(activeDeadlineSeconds=0.02) for _ in range(3))
    over.state("c").begin("t", "id")
    over.state("c").end("t", 0)
    ending.stopping = True
    for number, run in enumerate((over, ending, gone)):
        run.pod["metadata"] = {**run.pod["metadata"], "uid": f"u{number}"}
        deadlines.watch(run)
    deadlines.forget(gone)
    deadlines.watch(pod_run())  # which has none
    await asyncio.sleep(0.1)
    assert expired.runs == []


async def test_one_that_waits_for_its_next_try_is_not_over(deadlines, expired, pod_run, until):
    run = pod_run(activeDeadlineSeconds=0.02)
    run.state("c").begin("t", "id")
    run.state("c").end("t", 1)
    run.state("c").wait("CrashLoopBackOff", "")
    deadlines.watch(run)
    await until(lambda: expired.runs == ["n/p"])


async def test_after_stop_nobody_expires(deadlines, expired, pod_run):
    deadlines.watch(pod_run(activeDeadlineSeconds=0.02))
    deadlines.stop()
    await asyncio.sleep(0.1)
    assert expired.runs == []
