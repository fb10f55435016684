from pathlib import Path

from netlab.agents.podrun import new_run
from netlab.agents.pods import waiting_for

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
        [(line, is_stuck)] = waiting_for([run])
        assert "container c is not ready" in line
        assert not is_stuck


def test_a_container_that_has_ended_for_good_is_not():
    for run in (ended("Never", 1), ended("Never", 0), ended("OnFailure", 0)):
        assert list(waiting_for([run])) == []


def test_a_container_in_back_off_will_not_get_ready_by_waiting():
    run = ended("Always", 1)
    run.containers["c"].wait("CrashLoopBackOff", "back-off 10s")
    [(line, is_stuck)] = waiting_for([run])
    assert "CrashLoopBackOff: back-off 10s" in line
    assert is_stuck
