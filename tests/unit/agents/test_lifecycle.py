"""What happens to a container whatever it runs: states, Events, back-off, hooks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netlab.agents import lifecycle as module
from netlab.agents.lifecycle import LEAST_GRACE, crash_delay, grace_period, restarts
from netlab.agents.podstatus import ContainerState
from netlab.agents.probes.attempt import ProbeOutcome
from netlab.errors import NetlabError
from netlab.retry import Retry

T0, T1 = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
HOOK = {"exec": {"command": ["true"]}}


def nobody(*_: Any) -> None:
    raise AssertionError("nothing kills it here")


def with_hook(name: str, hook: dict[str, Any]) -> dict[str, Any]:
    return {"name": "c", "lifecycle": {name: hook}}


async def test_without_probes_it_is_ready_as_soon_as_it_runs(lifecycle, recorder, pod_run):
    run, changes = pod_run(), []
    run.on_change = changes.append
    lifecycle.began(run, "c", T0, nobody)
    state = run.state("c")
    assert (state.running, state.started, state.ready) == (True, True, True)
    assert state.status()["state"] == {"running": {"startedAt": T0}}
    assert recorder.told == ["Started: Started container c"]
    lifecycle.ended(run, "c", T1, 3, message="oh")
    ended = state.status()["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "oh")
    assert not state.ready
    assert changes == [run, run]


async def test_with_probes_it_is_not_ready_before_they_say_so(lifecycle, pod_run):
    never = {**HOOK, "initialDelaySeconds": 60, "periodSeconds": 60}
    run = pod_run({"name": "c", "readinessProbe": never}, {"name": "s", "startupProbe": never})
    for name in ("c", "s"):
        lifecycle.began(run, name, T0, nobody)
    assert (run.state("c").started, run.state("c").ready) == (True, False)
    assert (run.state("s").started, run.state("s").ready) == (False, False)
    lifecycle.quiet(run)


async def test_one_that_is_taken_over_is_as_the_former_agent_left_it(lifecycle, recorder, pod_run):
    never = {**HOOK, "initialDelaySeconds": 60, "periodSeconds": 60}
    known = {"name": "c", "started": True, "ready": True, "restartCount": 4}
    run = pod_run({"name": "c", "readinessProbe": never}, status={"containerStatuses": [known]})
    lifecycle.began(run, "c", T0, nobody, adopted=True)
    assert run.state("c").ready
    assert run.state("c").restarts == 4
    assert recorder.told == []
    lifecycle.quiet(run)


async def test_an_init_container_is_ready_by_having_ended_well(lifecycle, pod_run):
    run = pod_run(inits=({"name": "i"}, {"name": "s", "restartPolicy": "Always"}))
    for name in ("i", "s"):
        lifecycle.began(run, name, T0, nobody)
    assert (run.state("i").ready, run.state("s").ready) == (False, True)
    lifecycle.ended(run, "i", T1, 1)
    assert not run.state("i").ready
    lifecycle.ended(run, "i", T1, 0)
    assert run.state("i").ready


async def test_one_that_was_thought_to_run_does_not_once_it_is_to_start(lifecycle, pod_run):
    run = pod_run()
    lifecycle.starting(run, "c")
    assert run.state("c").waiting == "ContainerCreating"
    lifecycle.began(run, "c", T0, nobody)
    lifecycle.starting(run, "c")
    assert not run.state("c").running
    assert run.state("c").status()["ready"] is False


# -- after a crash ---------------------------------------------------------------------------------


def test_restarts_wait_longer_and_longer_up_to_five_minutes():
    state = ContainerState("c", "alpine")
    assert [crash_delay(state, 1) for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]
    for _ in range(10_000):
        crash_delay(state, 1)
    assert crash_delay(state, 1) == 300
    assert crash_delay(state, module.CALM + 1) == 0, "it ran for long: that is forgotten"


async def test_backing_off_is_told_and_shows_how_it_ended(
    lifecycle, recorder, pod_run, monkeypatch
):
    monkeypatch.setattr(module, "BACK_OFF", Retry(0.05))
    run = pod_run()
    lifecycle.began(run, "c", T0, nobody)
    lifecycle.ended(run, "c", T1, 1)
    await lifecycle.back_off(run, "c", 0.1)
    state = run.state("c")
    assert not state.waiting, "the first restart is at once"
    assert state.last["exitCode"] == 1
    lifecycle.began(run, "c", T0, nobody)
    lifecycle.ended(run, "c", T1, 2)
    await lifecycle.back_off(run, "c", 0.1)
    assert state.waiting == "CrashLoopBackOff"
    assert state.message.startswith("back-off 0s restarting failed container=c pod=p_n(u)")
    assert state.last["exitCode"] == 2
    assert recorder.warnings == ["BackOff: Back-off restarting failed container c in pod p_n(u)"]


@pytest.mark.parametrize(
    ("policy", "container", "codes"),
    [
        ("Always", "c", {0: True, 1: True}),
        ("OnFailure", "c", {0: False, 1: True}),
        ("Never", "c", {0: False, 1: False}),
        ("Always", "i", {0: False, 1: True}),
        ("OnFailure", "i", {0: False, 1: True}),
        ("Never", "i", {0: False, 1: False}),
        ("Never", "s", {0: True, 1: True}),
    ],
)
def test_who_is_run_again(pod_run, policy, container, codes):
    inits = ({"name": "i"}, {"name": "s", "restartPolicy": "Always"})
    run = pod_run(inits=inits, restartPolicy=policy)
    assert {code: restarts(run, container, code) for code in codes} == codes


# -- hooks -----------------------------------------------------------------------------------------


async def test_a_pre_stop_hook_takes_of_the_grace_and_leaves_a_little(lifecycle, actions, pod_run):
    run = pod_run(with_hook("preStop", HOOK))
    lifecycle.began(run, "c", T0, nobody)
    actions.seconds = 0.05
    assert 9.0 < await lifecycle.pre_stop(run, "c", 10.0) <= 9.95
    assert await lifecycle.pre_stop(run, "c", 0.05) == LEAST_GRACE
    assert actions.asked == [("c", 10.0), ("c", 0.05)]


async def test_no_pre_stop_hook_is_run_in_vain(lifecycle, actions, pod_run):
    run = pod_run(with_hook("preStop", HOOK))
    assert await lifecycle.pre_stop(run, "c", 10.0) == 10.0, "it does not run"
    lifecycle.began(run, "c", T0, nobody)
    assert await lifecycle.pre_stop(run, "c", 0.0) == 0.0, "there is no time"
    plain = pod_run()
    lifecycle.began(plain, "c", T0, nobody)
    assert await lifecycle.pre_stop(plain, "c", 10.0) == 10.0, "there is none"
    assert actions.asked == []


@pytest.mark.parametrize("answer", [ProbeOutcome(False, "no"), NetlabError("gone"), OSError("no")])
async def test_a_hook_that_fails_is_told(lifecycle, actions, recorder, pod_run, answer):
    actions.answer = answer
    run = pod_run(with_hook("preStop", HOOK))
    lifecycle.began(run, "c", T0, nobody)
    assert await lifecycle.pre_stop(run, "c", 10.0) > LEAST_GRACE
    other = pod_run(with_hook("postStart", HOOK))
    assert not await lifecycle.post_start(other, "c")
    wanted = ["FailedPreStopHook: PreStopHook failed", "FailedPostStartHook: PostStartHook failed"]
    assert recorder.warnings == wanted


async def test_a_post_start_hook_that_is_well_or_is_none_says_nothing(lifecycle, recorder, pod_run):
    assert await lifecycle.post_start(pod_run(), "c")
    assert await lifecycle.post_start(pod_run(with_hook("postStart", HOOK)), "c")
    assert recorder.warnings == []


async def test_a_hook_may_be_a_sleep_and_lasts_no_longer_than_the_grace(lifecycle, pod_run):
    run = pod_run(with_hook("preStop", {"sleep": {"seconds": 3600}}))
    lifecycle.began(run, "c", T0, nobody)
    async with asyncio.timeout(10):
        assert await lifecycle.pre_stop(run, "c", 0.05) == LEAST_GRACE


def test_the_grace_of_one_that_is_restarted_is_its_pods(pod_run):
    assert grace_period(pod_run()) == 0.0
    assert grace_period(pod_run(terminationGracePeriodSeconds=7)) == 7.0
