from pathlib import Path

import pytest

from netlab.agents.podrun import new_run
from netlab.agents.podstatus import ContainerState
from netlab.agents.unready import unready

NOW = "2026-01-01T00:00:00Z"


def run_of(policy):
    pod = {
        "metadata": {"name": "p", "namespace": "default", "uid": "u"},
        "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "busybox"}]},
    }
    return new_run(pod, "worker001", ("10.244.1.2",), Path("/n"), Path("/d"))


def ended(policy, code):
    run = run_of(policy)
    run.containers["c"].begin(NOW, "id")
    run.containers["c"].end(NOW, code)
    return run


def test_a_container_between_its_end_and_its_next_start_is_waited_for():
    for run in (ended("Always", 0), ended("Always", 1), ended("OnFailure", 1)):
        assert list(unready([run])) == [("default/p", False)]


def test_a_container_that_has_ended_for_good_is_not():
    for run in (ended("Never", 1), ended("Never", 0), ended("OnFailure", 0)):
        assert list(unready([run])) == []


@pytest.mark.parametrize(("crashes", "is_stuck"), [(1, False), (2, False), (3, True), (9, True)])
def test_a_container_in_back_off_may_do_better_twice(crashes, is_stuck):
    run = ended("Always", 1)
    run.containers["c"].crashes = crashes
    run.containers["c"].wait("CrashLoopBackOff", "back-off 10s")
    assert list(unready([run])) == [("default/p", is_stuck)]


def test_what_lacks_something_will_not_get_it_by_waiting():
    run = run_of("Always")
    run.containers["c"].wait("CreateContainerConfigError", 'configmap "a" not found')
    assert list(unready([run])) == [("default/p", True)]


def test_containers_behind_an_init_container_that_fails_wait_for_nothing_else():
    run = run_of("Always")
    run.inits["i"] = ContainerState("i", "busybox")
    run.inits["i"].wait("CreateContainerConfigError", 'configmap "a" not found')
    assert list(unready([run])) == [("default/p", True)]


def test_a_readiness_gate_may_still_be_opened():
    run = ended("Always", 0)
    run.containers["c"].begin(NOW, "id")
    run.containers["c"].ready = True
    assert list(unready([run])) == []
    run.pod["spec"]["readinessGates"] = [{"conditionType": "example.com/open"}]
    assert list(unready([run])) == [("default/p", False)]


@pytest.mark.parametrize(
    ("crashes", "seconds", "is_waited_for"), [(1, 0.1, True), (1, 1.5, False), (0, 0.1, False)]
)
def test_who_has_crashed_is_believed_after_a_while(crashes, seconds, is_waited_for):
    run = ended("Always", 1)
    state = run.containers["c"]
    state.begin(NOW, "id")
    state.ready, state.crashes = True, crashes
    state.begun -= seconds
    assert list(unready([run])) == ([("default/p", False)] if is_waited_for else [])
