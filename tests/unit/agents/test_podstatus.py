import pytest

from netlab.agents.podstatus import ContainerState, compute, phase
from netlab.objects.qos import qos_class

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def pod(policy="Always", status=None):
    return {
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "i"}]},
        "status": status or {},
    }


def running(ready=True):
    state = ContainerState("c", "i")
    state.begin(NOW, "id1")
    state.ready = ready
    return state


def ended(code):
    state = running()
    state.end(LATER, code)
    return state


def ready_condition(status):
    return next(c for c in status["conditions"] if c["type"] == "Ready")


def test_a_container_that_never_ran_keeps_the_pod_pending():
    status = compute(pod(), [ContainerState("c", "i")], host_ips=["10.0.0.1"], pod_ips=[], now=NOW)
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert ready_condition(status)["message"] == "containers with unready status: [c]"


def test_running_and_ready():
    status = compute(
        pod(), [running()], host_ips=["10.0.0.1"], pod_ips=["10.244.0.2", "fd00::2"], now=NOW
    )
    assert status["phase"] == "Running"
    assert ready_condition(status)["status"] == "True"
    assert status["podIPs"] == [{"ip": "10.244.0.2"}, {"ip": "fd00::2"}]
    assert status["containerStatuses"][0]["containerID"] == "netlab://id1"


def test_a_condition_keeps_the_time_of_its_last_change():
    first = compute(pod(), [running()], host_ips=[], pod_ips=["10.244.0.2"], now=NOW)
    again = compute(pod(status=first), [running()], host_ips=[], pod_ips=["10.244.0.2"], now=LATER)
    assert ready_condition(again)["lastTransitionTime"] == NOW
    lost = compute(pod(status=first), [running(False)], host_ips=[], pod_ips=[], now=LATER)
    assert ready_condition(lost)["lastTransitionTime"] == LATER


def test_in_the_end_no_policy_starts_anything_again():
    for policy in ("Always", "OnFailure", "Never"):
        assert phase(pod(policy), [ended(0)], final=True) == "Succeeded"
        assert phase(pod(policy), [ended(0), ended(2)], final=True) == "Failed"
        assert phase(pod(policy), [ended(0)], [ended(1)], final=True) == "Failed"
    assert phase(pod(), [ContainerState("c", "i")], final=True) == "Failed"


def test_phases_follow_the_restart_policy():
    assert phase(pod("Never"), [ended(0)]) == "Succeeded"
    assert phase(pod("Never"), [ended(3)]) == "Failed"
    assert phase(pod("OnFailure"), [ended(0)]) == "Succeeded"
    assert phase(pod("OnFailure"), [ended(1)]) == "Running"
    assert phase(pod("Always"), [ended(0)]) == "Running"
    assert phase(pod("Never"), [ended(0), running()]) == "Running"


def test_a_crash_loop_remembers_how_it_ended():
    state = ended(1)
    state.wait("CrashLoopBackOff", "back-off 10s")
    shown = state.status()
    assert shown["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert shown["lastState"]["terminated"]["exitCode"] == 1
    assert phase(pod(), [state]) == "Running"


def test_qos_classes():
    def of(resources):
        return qos_class({"containers": [{"resources": resources}]})

    both = {"cpu": "1", "memory": "1Gi"}
    assert of({}) == "BestEffort"
    assert of({"requests": both}) == "Burstable"
    assert of({"limits": both}) == "Guaranteed"
    assert of({"limits": both, "requests": {"cpu": "1"}}) == "Burstable"


def crashing():
    state = ended(3)
    state.reason, state.restarts = "Error", 2
    state.wait("CrashLoopBackOff", "back-off 10s restarting failed container=c")
    return state


def again():
    state = crashing()
    state.begin(LATER, "id1")
    state.ready = True
    return state


def starting_up():
    state = running(ready=False)
    state.started = False
    return state


def succeeded_init():
    state = ended(0)
    state.ready = True
    return state


@pytest.mark.parametrize(
    "make", [running, lambda: ended(0), lambda: ended(1), crashing, again, starting_up,
             succeeded_init, lambda: ContainerState("c", "i")],
)  # fmt: skip
def test_the_next_agent_goes_on_from_what_the_status_says(make):
    left = make().status()
    resumed = ContainerState("c", "i", restarts=left["restartCount"])
    resumed.resume(left)
    assert resumed.status() == left


@pytest.mark.parametrize(
    ("state", "failure", "reasons"),
    [
        (ended(0), None, {"Initialized": "PodCompleted", "Ready": "PodCompleted"}),
        (ended(1), None, {"Initialized": None, "Ready": "PodFailed"}),
        (ended(137), ("Evicted", "why"), {"Initialized": None, "Ready": "PodFailed"}),
    ],
)
def test_a_pod_that_is_over_says_how_in_its_conditions(state, failure, reasons):
    how = {"host_ips": [], "pod_ips": ["10.244.0.2"], "now": NOW, "failure": failure}
    status = compute(pod("Never"), [state], **how)
    found = {one["type"]: one.get("reason") for one in status["conditions"]}
    assert {name: found[name] for name in reasons} == reasons
    assert found["ContainersReady"] == reasons["Ready"]
    assert status.get("reason") == (failure[0] if failure else None)


def test_what_of_a_containers_spec_is_in_effect():
    requested = {"cpu": "100m", "memory": "1Mi"}
    obj = pod()
    obj["spec"]["containers"][0] |= {
        "resources": {"requests": requested, "limits": {"memory": "2Mi"}},
        "volumeMounts": [
            {"name": "a", "mountPath": "/a"},
            {"name": "b", "mountPath": "/b", "readOnly": True, "subPath": "x"},
            {"name": "b", "mountPath": "/c", "readOnly": True, "recursiveReadOnly": "IfPossible"},
        ],
    }
    mounts = [
        {"name": "a", "mountPath": "/a"},
        {"name": "b", "mountPath": "/b", "readOnly": True, "recursiveReadOnly": "Disabled"},
        {"name": "b", "mountPath": "/c", "readOnly": True, "recursiveReadOnly": "Enabled"},
    ]

    def entry(of, state):
        status = compute(of, [state], host_ips=[], pod_ips=[], now=NOW)
        return status["containerStatuses"][0]

    waiting = entry(obj, ContainerState("c", "i"))
    assert (waiting["volumeMounts"], "resources" in waiting) == (mounts, False)
    for state in (running(), ended(1)):
        found = entry(obj, state)
        assert found["volumeMounts"] == mounts
        assert found["resources"] == obj["spec"]["containers"][0]["resources"]
        assert found["allocatedResources"] == requested
    plain = entry(pod(), running())
    assert plain["resources"] == {}
    assert not {"volumeMounts", "allocatedResources"} & set(plain)
