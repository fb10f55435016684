"""Why a pod is not ready, in the words of its status and Events."""

import pytest

from netlab.view.unready import culprit, why


def pod(*containers, inits=(), phase="Running", node="worker001", **status):
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"nodeName": node},
        "status": {
            "phase": phase,
            "containerStatuses": list(containers),
            "initContainerStatuses": list(inits),
            **status,
        },
    }


def container(state, *, name="c", ready=False, last=None, restarts=0):
    return {
        "name": name,
        "ready": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": last} if last else {},
    }


def event(reason, message, at="2026-01-01T00:00:00Z", type_="Warning"):
    return {"type": type_, "reason": reason, "message": message, "lastTimestamp": at}


RUNS = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
CRASHED = {"exitCode": 3, "reason": "Error"}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}


def waiting(reason, message=""):
    return container({"waiting": {"reason": reason, "message": message}})


CASES = {
    "ready": (
        pod(container(RUNS, ready=True), conditions=[{"type": "Ready", "status": "True"}]),
        [],
        "",
    ),
    "done": (pod(phase="Succeeded"), [], ""),
    "nowhere to run": (
        pod(
            node="",
            conditions=[
                {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}
            ],
        ),
        [],
        "cannot be scheduled: 0/2 nodes are available",
    ),
    "not looked at yet": (pod(node=""), [], "not scheduled yet"),
    "a ConfigMap is missing": (
        pod(waiting("CreateContainerConfigError", 'configmap "a" not found')),
        [],
        'container c: CreateContainerConfigError: configmap "a" not found',
    ),
    "a volume is missing": (
        pod(waiting("ContainerCreating")),
        [event("FailedMount", 'MountVolume.SetUp failed for volume "v"')],
        'container c: ContainerCreating: MountVolume.SetUp failed for volume "v"',
    ),
    "a mount that says much": (
        pod(waiting("ContainerCreating", "mount failed: exit status 32\nOutput: no\n")),
        [],
        "container c: ContainerCreating: mount failed: exit status 32 Output: no",
    ),
    "a crash": (
        pod(container(BACK_OFF, last=CRASHED, restarts=1)),
        [event("BackOff", "Back-off restarting failed container c")],
        'container c: CrashLoopBackOff: exit code 3, restarted 1 time; it last said: "no"',
    ),
    "a program that is not there": (
        pod(container(BACK_OFF, last={"exitCode": 128}, restarts=2)),
        [event("Failed", "Error: no such program: no"), event("BackOff", "Back-off", at="3")],
        "container c: CrashLoopBackOff: exit code 128, restarted 2 times: "
        "Error: no such program: no",
    ),
    "a failed pod": (
        pod(container({"terminated": CRASHED}), phase="Failed"),
        [],
        'container c: Error: exit code 3; it last said: "no"',
    ),
    "past its deadline": (
        pod(phase="Failed", reason="DeadlineExceeded", message="too long"),
        [],
        "failed: DeadlineExceeded: too long",
    ),
    "a probe that fails": (
        pod(container(RUNS)),
        [
            event("Unhealthy", "Readiness probe failed: 404", at="2026-01-01T00:00:01Z"),
            event("Unhealthy", "Readiness probe failed: 500", at="2026-01-01T00:00:02Z"),
        ],
        "container c runs and is not ready: Readiness probe failed: 500",
    ),
    "a probe that is silent": (
        pod(container(RUNS)),
        [event("Started", "Started container c", type_="Normal")],
        "container c runs and is not ready: no probe has answered yet",
    ),
    "an init container first": (
        pod(waiting("PodInitializing"), inits=[container(BACK_OFF, name="i", last=CRASHED)]),
        [],
        'init container i: CrashLoopBackOff: exit code 3; it last said: "no"',
    ),
    "an init container that goes on": (
        pod(waiting("PodInitializing"), inits=[container(RUNS, name="i")]),
        [],
        "init container i has not ended yet",
    ),
    "a readiness gate": (
        pod(
            container(RUNS, ready=True),
            conditions=[
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "ReadinessGatesNotReady",
                    "message": "gate x does not exist",
                }
            ],
        ),
        [],
        "gate x does not exist",
    ),
    "no namespace for it": (
        pod(),
        [event("FailedCreatePodSandBox", "Failed to create pod sandbox: no room")],
        "Failed to create pod sandbox: no room",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_reason(case):
    obj, events, expected = CASES[case]
    assert why(obj, events, "no") == expected


def test_whose_last_words_are_asked_for():
    assert culprit(pod(container(BACK_OFF, last=CRASHED))) == ("c", False)
    assert culprit(pod(container({"terminated": CRASHED}))) == ("c", False)
    assert culprit(pod(container(RUNS, last=CRASHED))) == ("c", True)
    assert culprit(pod(container(RUNS))) is None
    assert culprit(pod(waiting("ContainerCreating"))) is None
