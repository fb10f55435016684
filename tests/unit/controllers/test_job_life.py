"""Jobs: pods until enough have succeeded, or too many have failed."""

import pytest

from netlab.controllers import job_pods
from netlab.objects import meta
from netlab.retry import Retry

FINALIZER = "batch.kubernetes.io/job-tracking"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """A pod that failed is followed by the next without a pause."""
    monkeypatch.setattr(job_pods, "BACKOFF", Retry(0.0, 0.0))


def job(name="pi", template=None, **spec):
    container = {"name": "c", "image": "busybox", "command": ["true"]}
    below = {"spec": {"restartPolicy": "Never", "containers": [container], **(template or {})}}
    metadata = {"name": name, "namespace": "default"}
    spec = {"template": below, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


async def begin(cluster, obj):
    await cluster.create(obj)
    await cluster.settle()


async def end(cluster, pods, code=0, **more):
    """Have the containers of these pods end with that code."""
    at = {"finishedAt": cluster.running.controllers[0].context.now()}
    for pod in pods:
        status = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [
                {
                    "name": "c", "image": "busybox", "imageID": "", "ready": False,
                    "restartCount": 0, "state": {"terminated": {"exitCode": code, **at}},
                }
            ],
            **more,
        }  # fmt: skip
        await cluster.api.patch_status("Pod", "default", meta.name(pod), status)
    await cluster.settle()


async def at_work(cluster):
    return [p for p in await cluster.list("Pod") if p["status"]["phase"] in ("Pending", "Running")]


async def status_of(cluster, name="pi"):
    return (await cluster.get("Job", name))["status"]


async def conditions(cluster, name="pi"):
    found = (await status_of(cluster, name)).get("conditions", [])
    return [(one["type"], one["reason"]) for one in found if one["status"] == "True"]


COMPLETE = [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")]


async def test_a_job_runs_one_pod_to_its_end(cluster):
    await begin(cluster, job())
    (pod,) = await at_work(cluster)
    assert pod["metadata"]["generateName"] == "pi-"
    assert pod["metadata"]["finalizers"] == [FINALIZER]
    assert meta.labels(pod)["job-name"] == "pi"
    status = await status_of(cluster)
    assert status.pop("startTime")
    assert status == {"active": 1, "ready": 1, "terminating": 0, "uncountedTerminatedPods": {}}
    await end(cluster, [pod])
    status = await status_of(cluster)
    assert status["completionTime"] >= status["startTime"]
    assert (status["succeeded"], status["ready"], "active" in status) == (1, 0, False)
    assert status["uncountedTerminatedPods"] == {}
    assert await conditions(cluster) == COMPLETE
    (pod,) = await cluster.list("Pod")
    assert "finalizers" not in pod["metadata"]
    told = [(one["reason"], one["message"]) for one in await cluster.events()]
    assert ("SuccessfulCreate", f"Created pod: {meta.name(pod)}") in told
    assert ("Completed", "Job completed") in told


async def test_no_more_run_beside_each_other_than_parallelism_and_completions_say(cluster):
    await begin(cluster, job(completions=5, parallelism=2))
    for done in (0, 2, 4):
        pods = await at_work(cluster)
        assert len(pods) == min(2, 5 - done)
        assert (await status_of(cluster)).get("succeeded", 0) == done
        await end(cluster, pods)
    assert (await status_of(cluster))["succeeded"] == 5
    assert await conditions(cluster) == COMPLETE
    assert len(await cluster.list("Pod")) == 5


async def test_of_a_work_queue_the_first_success_lets_the_others_finish(cluster):
    await begin(cluster, job(parallelism=3))
    first, *others = await at_work(cluster)
    await end(cluster, [first])
    assert len(await at_work(cluster)) == 2
    assert await conditions(cluster) == []
    await end(cluster, others)
    assert await conditions(cluster) == COMPLETE


async def test_failures_beyond_the_limit_end_a_job(cluster):
    await begin(cluster, job(backoffLimit=1))
    await end(cluster, await at_work(cluster), code=1)
    assert (await status_of(cluster))["failed"] == 1
    await end(cluster, await at_work(cluster), code=1)
    assert (await status_of(cluster))["failed"] == 2
    assert await at_work(cluster) == []
    assert await conditions(cluster) == [
        ("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded"),
    ]  # fmt: skip
    (event,) = await cluster.events("BackoffLimitExceeded")
    assert event["message"] == "Job has reached the specified backoff limit"
    assert "completionTime" not in await status_of(cluster)


async def test_a_job_that_fails_ends_the_pods_that_are_at_work(cluster):
    cluster.kubelet.undying = lambda _: True
    await begin(cluster, job(backoffLimit=0, parallelism=3, completions=3))
    first, *others = await at_work(cluster)
    await end(cluster, [first], code=1)
    going = [pod for pod in await cluster.list("Pod") if meta.is_terminating(pod)]
    assert [meta.name(pod) for pod in going] == [meta.name(pod) for pod in others]
    status = await status_of(cluster)
    assert (status["terminating"], status["failed"]) == (2, 3)
    assert await conditions(cluster) == [("FailureTarget", "BackoffLimitExceeded")]
    cluster.kubelet.undying = lambda _: False
    cluster.kubelet.look_again()
    await cluster.settle()
    assert (await conditions(cluster))[-1] == ("Failed", "BackoffLimitExceeded")
    assert (await status_of(cluster))["terminating"] == 0


async def test_restarts_count_where_containers_are_restarted(cluster):
    await begin(cluster, job(template={"restartPolicy": "OnFailure"}, backoffLimit=3))
    (pod,) = await at_work(cluster)
    restarted = {"name": "c", "image": "b", "imageID": "", "ready": False, "restartCount": 3}
    status = {"containerStatuses": [restarted]}
    await cluster.api.patch_status("Pod", "default", meta.name(pod), status)
    await cluster.settle()
    assert (await conditions(cluster))[-1] == ("Failed", "BackoffLimitExceeded")
    assert await cluster.list("Pod") == []


async def test_the_next_pod_waits_longer_after_each_failure(cluster, monkeypatch):
    monkeypatch.setattr(job_pods, "BACKOFF", Retry(10.0, 600.0))
    await begin(cluster, job())
    await end(cluster, await at_work(cluster), code=1)
    assert await at_work(cluster) == []
    assert (await status_of(cluster))["failed"] == 1
    rest = job_pods.Backoff(1, 100.0)
    assert [rest.left(now) for now in (100.0, 104.0, 110.0, 120.0)] == [10.0, 6.0, 0.0, 0.0]
    assert job_pods.Backoff(3, 100.0).left(100.0) == 40.0
    assert job_pods.Backoff(30, 100.0).left(100.0) == 600.0


def test_a_success_ends_the_back_off():
    def pod(at):
        ended = {"state": {"terminated": {"finishedAt": f"2026-01-01T00:00:{at:02}Z"}}}
        return {"metadata": {}, "status": {"containerStatuses": [ended]}}

    now = 1767225600 + 50.0
    known = job_pods.Backoff().after([], [pod(1), pod(2)], now)
    assert known == job_pods.Backoff(2, now - 48)
    assert known.after([], [pod(5)], now) == job_pods.Backoff(3, now - 45)
    assert known.after([pod(6)], [pod(5)], now) == job_pods.Backoff(0, 0.0)
    assert known.after([pod(6)], [pod(7)], now) == job_pods.Backoff(1, now - 43)


async def test_a_deadline_ends_a_job(cluster):
    await begin(cluster, job(activeDeadlineSeconds=3600))
    assert len(await at_work(cluster)) == 1
    await cluster.patch("Job", "pi", {"spec": {"activeDeadlineSeconds": 0}})
    await cluster.settle()
    assert (await conditions(cluster))[-1] == ("Failed", "DeadlineExceeded")
    assert await cluster.list("Pod") == []
    (event,) = await cluster.events("DeadlineExceeded")
    assert event["message"] == "Job was active longer than specified deadline"


async def test_a_suspended_job_has_no_pods_and_no_failures(cluster):
    await begin(cluster, job(suspend=True, parallelism=2, completions=2))
    assert await cluster.list("Pod") == []
    assert "startTime" not in await status_of(cluster)
    assert await conditions(cluster) == [("Suspended", "JobSuspended")]
    await cluster.patch("Job", "pi", {"spec": {"suspend": False}})
    await cluster.settle()
    assert len(await at_work(cluster)) == 2
    assert (await status_of(cluster))["startTime"]
    assert await conditions(cluster) == []
    await cluster.patch("Job", "pi", {"spec": {"suspend": True}})
    await cluster.settle()
    assert await cluster.list("Pod") == []
    status = await status_of(cluster)
    assert ("failed" in status, "active" in status) == (False, False)
    reasons = {one["reason"] for one in await cluster.events()}
    assert reasons >= {"Suspended", "Resumed", "SuccessfulDelete"}


async def test_less_parallelism_is_no_failure(cluster):
    await begin(cluster, job(parallelism=3, completions=3))
    await cluster.patch("Job", "pi", {"spec": {"parallelism": 1}})
    await cluster.settle()
    assert len(await cluster.list("Pod")) == 1
    assert "failed" not in await status_of(cluster)


async def test_a_pod_that_somebody_deletes_has_failed(cluster):
    await begin(cluster, job())
    (pod,) = await at_work(cluster)
    await cluster.delete("Pod", meta.name(pod))
    await cluster.settle()
    assert (await status_of(cluster))["failed"] == 1
    (other,) = await cluster.list("Pod")
    assert meta.uid(other) != meta.uid(pod)


async def test_a_job_may_wait_for_the_end_of_those_it_replaces(cluster):
    cluster.kubelet.undying = lambda _: True
    await begin(cluster, job(podReplacementPolicy="Failed"))
    (pod,) = await at_work(cluster)
    await cluster.delete("Pod", meta.name(pod))
    await cluster.settle()
    assert len(await cluster.list("Pod")) == 1
    assert (await status_of(cluster))["terminating"] == 1
    await end(cluster, [pod], code=143)
    assert (await status_of(cluster))["failed"] == 1
    assert len(await at_work(cluster)) == 1


async def test_what_only_a_finalizer_holds_has_ended(cluster):
    """A kubelet lets a pod go that was deleted, and has said nothing of how it ended."""
    await begin(cluster, job(podReplacementPolicy="Failed"))
    (pod,) = await at_work(cluster)
    await cluster.delete("Pod", meta.name(pod))
    await cluster.settle()
    assert (await status_of(cluster))["failed"] == 1
    (other,) = await cluster.list("Pod")
    assert meta.uid(other) != meta.uid(pod)


# -- indexes -------------------------------------------------------------------------------


def indexed(completions=3, parallelism=3, **spec):
    return job(completionMode="Indexed", completions=completions, parallelism=parallelism, **spec)


async def with_index(cluster, *numbers):
    pods = {int(meta.annotations(p)[job_pods.INDEX]): p for p in await at_work(cluster)}
    return [pods[number] for number in numbers]


async def test_each_index_has_a_pod_that_knows_its_number(cluster):
    await begin(cluster, indexed(template={"initContainers": [{"name": "i", "image": "b"}]}))
    for number, pod in enumerate(await with_index(cluster, 0, 1, 2)):
        assert meta.labels(pod)[job_pods.INDEX] == str(number)
        assert pod["spec"]["hostname"] == f"pi-{number}"
        assert meta.name(pod).startswith(f"pi-{number}-")
        for container in (*pod["spec"]["containers"], *pod["spec"]["initContainers"]):
            (variable,) = container["env"]
            assert variable["name"] == "JOB_COMPLETION_INDEX"
            assert variable["valueFrom"]["fieldRef"]["fieldPath"].startswith("metadata.labels[")


async def test_an_index_that_failed_comes_again_and_those_that_succeeded_are_told(cluster):
    await begin(cluster, indexed(5, 5))
    await end(cluster, await with_index(cluster, 1), code=1)
    await end(cluster, await with_index(cluster, 0, 2, 3))
    status = await status_of(cluster)
    assert (status["completedIndexes"], status["succeeded"], status["failed"]) == ("0,2,3", 3, 1)
    await end(cluster, await with_index(cluster, 1, 4))
    status = await status_of(cluster)
    assert (status["completedIndexes"], status["succeeded"]) == ("0-4", 5)
    assert await conditions(cluster) == COMPLETE


async def test_failures_may_be_counted_for_each_index_apart(cluster):
    await begin(cluster, indexed(backoffLimitPerIndex=1))
    await end(cluster, await with_index(cluster, 1), code=1)
    (again,) = await with_index(cluster, 1)
    assert meta.annotations(again)["batch.kubernetes.io/job-index-failure-count"] == "1"
    await end(cluster, [again], code=1)
    assert (await status_of(cluster))["failedIndexes"] == "1"
    assert await conditions(cluster) == []
    await end(cluster, await with_index(cluster, 0, 2))
    status = await status_of(cluster)
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1")
    assert (await conditions(cluster))[-1] == ("Failed", "FailedIndexes")


async def test_too_many_failed_indexes_end_a_job(cluster):
    await begin(cluster, indexed(backoffLimitPerIndex=0, maxFailedIndexes=1))
    await end(cluster, await with_index(cluster, 0, 1), code=1)
    assert (await conditions(cluster))[-1] == ("Failed", "MaxFailedIndexesExceeded")


@pytest.mark.parametrize(
    "rule",
    [
        {"succeededIndexes": "1"},
        {"succeededCount": 1},
        {"succeededIndexes": "0-1", "succeededCount": 1},
    ],
)
async def test_a_success_policy_ends_a_job_early(cluster, rule):
    await begin(cluster, indexed(successPolicy={"rules": [rule]}))
    await end(cluster, await with_index(cluster, 1))
    assert await conditions(cluster) == [
        ("SuccessCriteriaMet", "SuccessPolicy"), ("Complete", "SuccessPolicy"),
    ]  # fmt: skip
    assert (await status_of(cluster))["completedIndexes"] == "1"
    assert await at_work(cluster) == []


async def test_an_indexed_job_grows_and_shrinks(cluster):
    await begin(cluster, indexed(2, 2))
    await cluster.patch("Job", "pi", {"spec": {"completions": 4, "parallelism": 4}})
    await cluster.settle()
    assert len(await with_index(cluster, 0, 1, 2, 3)) == 4
    await cluster.patch("Job", "pi", {"spec": {"completions": 1, "parallelism": 1}})
    await cluster.settle()
    await end(cluster, await with_index(cluster, 0))
    assert await conditions(cluster) == COMPLETE


# -- a policy for failures -----------------------------------------------------------------


def failing(action, **rule):
    return {"rules": [{"action": action, **rule}]}


CODES = {"onExitCodes": {"operator": "In", "values": [42]}}


async def test_an_exit_code_may_fail_a_job_at_once(cluster):
    await begin(cluster, job(podFailurePolicy=failing("FailJob", **CODES)))
    (pod,) = await at_work(cluster)
    await end(cluster, [pod], code=42)
    assert (await conditions(cluster))[-1] == ("Failed", "PodFailurePolicy")
    (event,) = await cluster.events("PodFailurePolicy")
    assert event["message"] == (
        f"Container c for pod default/{meta.name(pod)} failed with exit code 42 matching FailJob "
        "rule at index 0"
    )


async def test_failures_may_be_ignored(cluster):
    disrupted = {"onPodConditions": [{"type": "DisruptionTarget"}]}
    await begin(cluster, job(backoffLimit=0, podFailurePolicy=failing("Ignore", **disrupted)))
    found = [{"type": "DisruptionTarget", "status": "True"}]
    await end(cluster, await at_work(cluster), code=1, conditions=found)
    assert "failed" not in await status_of(cluster)
    assert len(await at_work(cluster)) == 1
    await end(cluster, await at_work(cluster), code=1)
    assert (await conditions(cluster))[-1] == ("Failed", "BackoffLimitExceeded")


async def test_an_exit_code_may_fail_an_index(cluster):
    policy = failing("FailIndex", **CODES)
    await begin(cluster, indexed(backoffLimitPerIndex=5, podFailurePolicy=policy))
    await end(cluster, await with_index(cluster, 1), code=42)
    assert (await status_of(cluster))["failedIndexes"] == "1"
    assert len(await at_work(cluster)) == 2


# -- how jobs go ---------------------------------------------------------------------------


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_pods_go_with_their_job(cluster, propagation):
    await begin(cluster, job(parallelism=2, completions=2))
    await end(cluster, (await at_work(cluster))[:1])
    await cluster.delete("Job", "pi", propagation=propagation)
    await cluster.settle()
    assert await cluster.list("Job") == []
    assert await cluster.list("Pod") == []


async def test_pods_that_are_to_stay_are_held_by_nobody(cluster):
    await begin(cluster, job())
    await cluster.delete("Job", "pi", propagation="Orphan")
    await cluster.settle()
    (pod,) = await cluster.list("Pod")
    assert "finalizers" not in pod["metadata"]
    assert "ownerReferences" not in pod["metadata"]


async def test_a_job_goes_when_its_time_is_over(cluster):
    await begin(cluster, job(ttlSecondsAfterFinished=3600))
    await end(cluster, await at_work(cluster))
    assert await conditions(cluster) == COMPLETE
    await cluster.patch("Job", "pi", {"spec": {"ttlSecondsAfterFinished": 0}})
    await cluster.settle()
    assert await cluster.list("Job") == []
    assert await cluster.list("Pod") == []


async def test_a_namespace_goes_with_its_jobs(cluster):
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    mine = job()
    mine["metadata"]["namespace"] = "shop"
    await cluster.create(space, mine)
    await cluster.settle()
    await cluster.delete("Namespace", "shop", namespace="")
    await cluster.settle()
    assert [meta.name(one) for one in await cluster.list("Namespace", None)] == ["default"]


async def test_a_pod_is_counted_once_whenever_the_controller_stopped(cluster):
    """The uid is in the status and the pod has been let go, but is no number yet."""
    await begin(cluster, job(completions=2))
    (pod,) = await at_work(cluster)
    uncounted = {"uncountedTerminatedPods": {"succeeded": [meta.uid(pod)]}}
    await cluster.patch("Pod", meta.name(pod), {"metadata": {"finalizers": None}})
    await cluster.api.patch_status("Job", "default", "pi", uncounted)
    await end(cluster, [pod])
    status = await status_of(cluster)
    assert (status["succeeded"], status["uncountedTerminatedPods"]) == (1, {})


async def test_somebody_else_s_job_is_left_alone(cluster):
    await begin(cluster, job(managedBy="acme.example/jobs"))
    assert await cluster.list("Pod") == []
    assert await status_of(cluster) == {}
