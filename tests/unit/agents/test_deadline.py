"""Pods that may run for so long and no longer."""

from __future__ import annotations

import asyncio

import pytest

from netlab.agents.deadline import MESSAGE, Deadlines, seconds_left
from netlab.agents.podevents import PodEvents
from netlab.agents.podrun import PodRun, conclude

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


NOT_LOCATED = {
    "terminated": {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
    }
}


def test_what_waits_for_its_next_try_is_terminated_when_the_pod_is_over(pod_run):
    run = pod_run()
    state = run.state("c")
    state.begin("t1", "id")
    state.end("t2", 1)
    state.wait("CrashLoopBackOff", "back-off")
    conclude(run)
    told = state.status()
    assert told["state"] == NOT_LOCATED
    assert told["lastState"]["terminated"]["exitCode"] == 1
    assert told["containerID"] == "netlab://id"


def test_what_has_ended_stays_as_it_was_when_the_pod_is_over(pod_run):
    run = pod_run()
    run.state("c").begin("t1", "id")
    run.state("c").end("t2", 3)
    conclude(run)
    assert run.state("c").status()["state"]["terminated"]["exitCode"] == 3


def test_whose_turn_had_not_come_waits_for_ever(pod_run):
    inits = tuple({"name": name, "image": "busybox"} for name in ("i1", "i2", "i3"))
    run = pod_run(inits=inits)
    run.state("i2").begin("t1", "id")
    run.state("i2").end("t2", 1)
    run.state("i2").wait("CrashLoopBackOff", "back-off")
    conclude(run)
    states = {name: next(iter(run.state(name).status()["state"])) for name in run.names}
    assert states == {"i1": "terminated", "i2": "terminated", "i3": "waiting", "c": "waiting"}
