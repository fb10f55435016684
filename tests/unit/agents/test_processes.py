"""Containers that are commands, before a runtime that does as it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from netlab.agents import lifecycle as lifecycle_module
from netlab.agents import processes as module
from netlab.agents.probes.attempt import ProbeOutcome
from netlab.agents.processes import PodProcesses, on_disk
from netlab.errors import NetlabError
from netlab.retry import Retry
from netlab.workload.calls import Gone
from netlab.workload.sandbox import Command, Ended

COMMAND = Command(("sleep", "1"), {})


class Process:
    """A container's process: it ends by `end`, or when it is killed."""

    def __init__(self, uid: str, container: str) -> None:
        self.uid, self.container, self.log = uid, container, Path("/none")
        self.started = time.time()
        self.ended: Ended | None = None
        self.graces: list[float] = []
        self._over: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    def end(self, code: int, reason: str = "", message: str = "") -> None:
        reason = reason or ("Error" if code else "Completed")
        self.ended = Ended(code, 0, reason, message, self.started, time.time())
        self._over.set_result(self.ended)

    def vanish(self) -> None:
        """The runtime dies, and it with that."""
        self._over.set_exception(Gone("the runtime is gone"))

    async def wait(self) -> Ended:
        return await asyncio.shield(self._over)

    async def kill(self, grace: float) -> Ended:
        self.graces.append(grace)
        if not self._over.done():
            self.end(143)
        return await self.wait()


class Sandboxes:
    """The runtime. `refusals` is what the next starts raise, `stillborn` how they end at once."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.all: list[Process] = []
        self.left: dict[tuple[str, str], Process] = {}
        self.removed: list[str] = []
        self.refusals: list[Exception] = []
        self.stillborn: list[tuple[int, str, str]] = []

    async def start(self, _place: Any, container: str, _command: Any, *, attempt: int) -> Process:
        if self.refusals:
            raise self.refusals.pop(0)
        self.started.append((container, attempt))
        self.all.append(process := Process("u", container))
        if self.stillborn:
            process.end(*self.stillborn.pop(0))
        return process

    async def processes(self) -> dict[tuple[str, str], Process]:
        return self.left

    async def remove(self, uid: str, keep: Sequence[str] = ()) -> None:
        self.removed.append(uid)
        self.kept = list(keep)


class Places:
    async def place(self, _run: Any) -> None:
        """Nobody looks at it here."""


@pytest.fixture
def sandboxes() -> Sandboxes:
    return Sandboxes()


@pytest.fixture
async def processes(sandboxes, keeper, lifecycle, monkeypatch):
    monkeypatch.setattr(lifecycle_module, "BACK_OFF", Retry(0.01))
    monkeypatch.setattr(module, "START_RETRY", 0.01)
    processes = PodProcesses(sandboxes, keeper, Places(), lifecycle)
    yield processes
    await processes.detach()


def command() -> Command:
    return COMMAND


async def test_one_that_ends_is_started_again_and_counted(
    processes, sandboxes, recorder, pod_run, until
):
    run = pod_run()
    processes.start(run, "c", command)
    for number in range(3):
        await until(lambda count=number + 1: len(sandboxes.all) == count and run.state("c").running)
        assert run.state("c").restarts == number
        sandboxes.all[-1].end(1)
        await until(lambda: not run.state("c").running)
    await until(lambda: run.state("c").running)
    assert sandboxes.started == [("c", 0), ("c", 1), ("c", 2), ("c", 3)]
    assert run.state("c").last["exitCode"] == 1
    assert len(recorder.warnings) == 2, "the first restart is at once"
    assert recorder.told.count("Created: Created container: c") == 4
    assert recorder.told.count("Started: Started container c") == 4


async def test_one_that_is_not_to_run_again_says_how_it_ended(processes, sandboxes, pod_run, until):
    run = pod_run(restartPolicy="Never")
    task = processes.start(run, "c", command)
    await until(lambda: run.state("c").running)
    sandboxes.all[0].end(7, "OOMKilled")
    assert (await task).code == 7
    over = run.state("c").status()["state"]["terminated"]
    assert (over["exitCode"], over["reason"]) == (7, "OOMKilled")
    assert sandboxes.started == [("c", 0)]


async def test_what_ends_at_once_was_never_ready(processes, sandboxes, recorder, pod_run):
    run, seen = pod_run(restartPolicy="Never"), []
    run.on_change = lambda run: seen.append(run.state("c").exit_code)
    sandboxes.stillborn = [(0, "", "")]
    assert (await processes.start(run, "c", command)).code == 0
    assert seen[-1] == 0
    assert recorder.told[-1] == "Started: Started container c"


async def test_what_never_began_has_failed_and_not_started(processes, sandboxes, recorder, pod_run):
    run = pod_run(restartPolicy="Never")
    sandboxes.stillborn = [(1, "StartError", "no such file")]
    await processes.start(run, "c", command)
    over = run.state("c").status()["state"]["terminated"]
    assert (over["exitCode"], over["reason"], over["message"]) == (
        module.NO_START,
        "StartError",
        "no such file",
    )
    assert recorder.warnings == ["Failed: Error: no such file"]
    assert "Started: Started container c" not in recorder.told


async def test_what_cannot_be_started_says_why_and_is_tried_again(
    processes, sandboxes, recorder, pod_run, until
):
    run, waiting = pod_run(), []
    run.on_change = lambda run: waiting.append((run.state("c").waiting, run.state("c").message))
    sandboxes.refusals = [NetlabError("no crun"), OSError("no room"), KeyError("root")]
    processes.start(run, "c", command)
    await until(lambda: run.state("c").running)
    assert ("RunContainerError", "no crun") in waiting
    assert ("RunContainerError", "no room") in waiting
    unexpected = "unexpected error: KeyError('root')"
    assert ("RunContainerError", unexpected) in waiting
    assert recorder.warnings == [
        f"Failed: Error: {message}" for message in ("no crun", "no room", unexpected)
    ]
    assert run.state("c").restarts == 0, "it has not run yet"


async def test_its_environment_is_made_anew_for_each_start(processes, sandboxes, pod_run, until):
    run, made = pod_run(), []

    def changing() -> Command:
        made.append(len(made))
        if len(made) == 1:
            raise NetlabError('configmap "settings" not found')
        return COMMAND

    processes.start(run, "c", changing)
    await until(lambda: run.state("c").running)
    sandboxes.all[0].end(0)
    await until(lambda: len(sandboxes.all) == 2)
    assert made == [0, 1, 2]


async def test_one_that_goes_with_the_runtime_was_killed_and_comes_back(
    processes, sandboxes, pod_run, until
):
    run = pod_run()
    processes.start(run, "c", command)
    await until(lambda: run.state("c").running)
    sandboxes.all[0].vanish()
    await until(lambda: len(sandboxes.all) == 2)
    assert run.state("c").last["exitCode"] == lifecycle_module.KILLED


# -- killed by a probe, or by a hook that failed --------------------------------------------------


async def test_a_kill_is_told_gives_the_grace_and_the_policy_has_the_next_word(
    processes, sandboxes, recorder, pod_run, until
):
    run = pod_run(terminationGracePeriodSeconds=7)
    processes.start(run, "c", command)
    await until(lambda: run.state("c").running)
    processes.kill(run, "c", "failed liveness probe", None)
    await until(lambda: len(sandboxes.all) == 2)
    assert sandboxes.all[0].graces == [7.0]
    assert "Killing: Container c failed liveness probe, will be restarted" in recorder.told
    await until(lambda: run.state("c").running)
    processes.kill(run, "c", "failed liveness probe", 1.5)  # the probe's own
    await until(lambda: len(sandboxes.all) == 3)
    assert sandboxes.all[1].graces == [1.5]


async def test_nothing_is_killed_of_a_pod_that_ends_anyway(processes, sandboxes, pod_run, until):
    run = pod_run()
    processes.start(run, "c", command)
    await until(lambda: run.state("c").running)
    run.stopping = True
    processes.kill(run, "c", "failed liveness probe", 0.0)
    await asyncio.sleep(0.02)
    assert sandboxes.all[0].graces == []


async def test_a_failed_post_start_hook_ends_it(processes, sandboxes, actions, pod_run, until):
    actions.answer = ProbeOutcome(False, "no")
    run = pod_run({"name": "c", "lifecycle": {"postStart": {"exec": {"command": ["x"]}}}})
    processes.start(run, "c", command)
    await until(lambda: len(sandboxes.all) == 2)
    assert sandboxes.all[0].graces == [0.0]


# -- the end of a pod ------------------------------------------------------------------------------


async def test_a_pod_that_ends_ends_its_sidecars_last(processes, sandboxes, pod_run, until):
    inits = ({"name": "s", "restartPolicy": "Always"},)
    run = pod_run({"name": "a"}, {"name": "b"}, inits=inits)
    for name in run.names:
        processes.start(run, name, command)
    await until(lambda: all(run.state(name).running for name in run.names))
    order: list[str] = []
    for each in sandboxes.all:
        kill = each.kill

        async def noted(grace: float, kill=kill, name=each.container) -> Ended:
            order.append(name)
            await asyncio.sleep(0.01)
            return await kill(grace)

        each.kill = noted
    await processes.stop(run, 5.0)
    assert [run.state(name).exit_code for name in run.names] == [143] * 3, "as they ended"
    assert sandboxes.removed == [], "something else of the pod may go on yet"
    assert sorted(order[:2]) == ["a", "b"]
    assert order[2:] == ["s"]
    graces = {each.container: each.graces for each in sandboxes.all}
    assert graces["a"] == [5.0]
    assert 0.0 < graces["s"][0] < 5.0, "what the others left"
    await processes.forget("u")
    assert sandboxes.removed == ["u"]
    assert len(sandboxes.all) == 3, "nothing is started again"


async def test_what_is_cut_off_leaves_what_is_on_its_disk(
    processes: PodProcesses, sandboxes: Any, pod_run: Any
) -> None:
    volumes = [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "other", "configMap": {"name": "c"}},
    ]
    run = pod_run()
    run.pod["spec"]["volumes"] = volumes
    await processes.forget(run.uid, on_disk(run.pod))
    assert sandboxes.kept == ["disk"]
    await processes.forget(run.uid)
    assert sandboxes.kept == []


async def test_a_stop_that_the_runtime_does_not_survive_goes_on(
    processes, sandboxes, pod_run, until
):
    run = pod_run({"name": "a"}, {"name": "b"})
    for name in run.names:
        processes.start(run, name, command)
    await until(lambda: all(run.state(name).running for name in run.names))

    async def gone(_grace: float) -> Ended:
        raise Gone("the runtime is gone")

    sandboxes.all[0].kill = gone
    await processes.stop(run, 5.0)
    assert sandboxes.all[1].graces == [5.0]


# -- what a former controller left -----------------------------------------------------------------


async def test_what_runs_already_is_taken_over_and_not_started(
    processes, sandboxes, recorder, pod_run, until
):
    left = sandboxes.left["u", "c"] = Process("u", "c")
    assert await processes.adopt() == {"u"}
    run = pod_run()
    run.renewed = False
    assert processes.is_adoptable(run, "c")
    processes.start(run, "c", command)
    await until(lambda: run.state("c").running)
    assert run.processes["c"] is left
    assert (sandboxes.started, recorder.told) == ([], [])
    left.end(1)
    await until(lambda: sandboxes.started == [("c", 1)])


async def test_what_runs_in_a_namespace_that_is_gone_is_killed_and_started_anew(
    processes, sandboxes, pod_run, until
):
    left = sandboxes.left["u", "c"] = Process("u", "c")
    await processes.adopt()
    run = pod_run()
    assert not processes.is_adoptable(run, "c")
    processes.start(run, "c", command)
    await until(lambda: run.state("c").running)
    assert left.graces == [0]
    assert sandboxes.started == [("c", 0)]


async def test_a_pod_that_ends_before_it_was_taken_over_leaves_nothing(
    processes, sandboxes, pod_run
):
    left = sandboxes.left["u", "c"] = Process("u", "c")
    await processes.adopt()
    await processes.stop(pod_run(), 3.0)
    assert left.graces == [3.0]


async def test_after_detaching_they_run_on_and_nobody_watches(processes, sandboxes, pod_run, until):
    run = pod_run()
    processes.start(run, "c", command)
    await until(lambda: run.state("c").running)
    await processes.detach()
    sandboxes.all[0].end(1)
    await asyncio.sleep(0.05)
    assert sandboxes.all[0].graces == []
    assert len(sandboxes.all) == 1
