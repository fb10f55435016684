"""CronJobs: Jobs by the clock."""

from copy import deepcopy
from datetime import datetime

import pytest
from clock import Clock

from netlab.objects import meta


@pytest.fixture
def clock():
    return Clock(datetime.fromisoformat("2026-01-31T11:58:30+00:00").timestamp())


@pytest.fixture
async def cluster(make, clock):
    async with make.cluster(clock=clock) as cluster:
        yield cluster


def cron_job(schedule="* * * * *", job=None, **spec):
    container = {"name": "c", "image": "busybox"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    below = {
        "metadata": {"labels": {"app": "tick"}, "annotations": {"why": "because"}},
        "spec": {"template": template, **(job or {})},
    }
    return {
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": "default"},
        "spec": {"schedule": schedule, "jobTemplate": below, **spec},
    }  # fmt: skip


async def pass_time(cluster, clock, seconds):
    """Let the clock go on, and have the controller look at it, as its timer would."""
    clock.now += seconds
    look = {"metadata": {"annotations": {"looked": str(clock.now)}}}
    await cluster.patch("CronJob", "tick", look)
    await cluster.settle()


async def jobs(cluster):
    return [meta.name(one) for one in await cluster.list("Job")]


async def end(cluster, name, type_="Complete"):
    at = cluster.running.controllers[0].context.now()
    condition = {"type": type_, "status": "True", "lastTransitionTime": at}
    status = {"conditions": [condition]}
    if type_ == "Complete":
        status["completionTime"] = at
    await cluster.api.patch_status("Job", "default", name, status)
    await cluster.settle()


async def told(cluster, reason):
    return [one["message"] for one in await cluster.events(reason)]


def minute(clock):
    return int(clock.now) // 60


async def test_a_job_is_made_when_it_is_due(cluster, clock):
    await cluster.create(cron_job())
    await cluster.settle()
    assert await jobs(cluster) == []
    await pass_time(cluster, clock, 60)
    name = f"tick-{minute(clock)}"
    (job,) = await cluster.list("Job")
    assert meta.name(job) == name
    assert meta.labels(job) == {"app": "tick"}
    annotations = meta.annotations(job)
    assert annotations["why"] == "because"
    due = annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert due == "2026-01-31T11:59:00Z"
    status = (await cluster.get("CronJob", "tick"))["status"]
    assert status["lastScheduleTime"] == "2026-01-31T11:59:00Z"
    assert [one["name"] for one in status["active"]] == [name]
    assert f"Created job {name}" in await told(cluster, "SuccessfulCreate")
    await pass_time(cluster, clock, 5)
    assert await jobs(cluster) == [name]


async def test_what_has_ended_is_noted_and_the_oldest_forgotten(cluster, clock):
    await cluster.create(cron_job(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=1))
    made = []
    for type_ in ("Complete", "Failed", "Complete", "Failed", "Complete"):
        await pass_time(cluster, clock, 60)
        made.append(f"tick-{minute(clock)}")
        await end(cluster, made[-1], type_)
    assert await jobs(cluster) == made[2:]
    status = (await cluster.get("CronJob", "tick"))["status"]
    assert "active" not in status
    assert status["lastSuccessfulTime"] == cluster.running.controllers[0].context.now()
    seen = await told(cluster, "SawCompletedJob")
    assert f"Saw completed job: {made[0]}, condition: Complete" in seen
    assert f"Saw completed job: {made[1]}, condition: Failed" in seen
    assert set(await told(cluster, "SuccessfulDelete")) == {
        f"Deleted job {one}" for one in made[:2]
    }


@pytest.mark.parametrize(
    ("policy", "made", "reason"),
    [("Allow", 2, ""), ("Forbid", 1, "JobAlreadyActive"), ("Replace", 1, "SuccessfulDelete")],
)
async def test_whether_jobs_run_beside_each_other(cluster, clock, policy, made, reason):
    await cluster.create(cron_job(concurrencyPolicy=policy))
    await pass_time(cluster, clock, 60)
    first = f"tick-{minute(clock)}"
    await pass_time(cluster, clock, 60)
    assert len(await jobs(cluster)) == made
    assert (first in await jobs(cluster)) is (policy != "Replace")
    if reason:
        assert await told(cluster, reason)
    active = (await cluster.get("CronJob", "tick"))["status"]["active"]
    assert sorted(one["name"] for one in active) == await jobs(cluster)


async def test_a_suspended_one_makes_none_and_then_the_last_that_was_due(cluster, clock):
    await cluster.create(cron_job(suspend=True))
    await pass_time(cluster, clock, 300)
    assert await jobs(cluster) == []
    await cluster.patch("CronJob", "tick", {"spec": {"suspend": False}})
    await cluster.settle()
    assert await jobs(cluster) == [f"tick-{minute(clock)}"]


async def test_what_is_too_late_is_left_out(cluster, clock):
    await cluster.create(cron_job("0 * * * *", startingDeadlineSeconds=30, suspend=True))
    await pass_time(cluster, clock, 90 + 60)
    await cluster.patch("CronJob", "tick", {"spec": {"suspend": False}})
    await cluster.settle()
    assert await jobs(cluster) == []


async def test_too_many_missed_times_are_told_and_the_last_is_made_up_for(cluster, clock):
    await cluster.create(cron_job(suspend=True))
    await pass_time(cluster, clock, 200 * 60)
    await cluster.patch("CronJob", "tick", {"spec": {"suspend": False}})
    await cluster.settle()
    assert await jobs(cluster) == [f"tick-{minute(clock)}"]
    (message,) = await told(cluster, "TooManyMissedTimes")
    assert message.startswith("too many missed start times")


async def test_a_schedule_goes_by_its_time_zone(cluster, clock):
    await cluster.create(cron_job("0 13 * * *", timeZone="Europe/Berlin"))
    await pass_time(cluster, clock, 90)
    (job,) = await cluster.list("Job")
    due = meta.annotations(job)["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert due == "2026-01-31T13:00:00+01:00"


async def test_a_job_that_somebody_else_made_of_it_is_told(cluster, clock):
    await cluster.create(cron_job(suspend=True))
    owner = await cluster.get("CronJob", "tick")
    job = {
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": "by-hand", "namespace": "default",
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [meta.owner_reference(owner)],
        },
        "spec": owner["spec"]["jobTemplate"]["spec"],
    }  # fmt: skip
    await cluster.create(job)
    await cluster.settle()
    assert await told(cluster, "UnexpectedJob") == [
        "Saw a job that the controller did not create or forgot: by-hand"
    ]
    await cluster.delete("CronJob", "tick")
    await cluster.settle()
    assert await jobs(cluster) == []


@pytest.mark.parametrize(
    "last", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]
)
async def test_whatever_its_status_says_it_goes_on(cluster, clock, last):
    await cluster.create(cron_job(timeZone="America/New_York"))
    status = {"lastScheduleTime": last, "active": [{}]}
    await cluster.api.patch_status("CronJob", "default", "tick", status)
    await cluster.settle()
    assert await told(cluster, "MissingJob") == ["Active job went missing: "]
    await cluster.api.patch_status("CronJob", "default", "tick", {"lastScheduleTime": None})
    await pass_time(cluster, clock, 60)
    assert f"tick-{minute(clock)}" in await jobs(cluster)


async def test_one_that_was_stored_with_nonsense_stops_nobody(cluster, clock):
    await cluster.create(cron_job())
    broken = deepcopy(await cluster.get("CronJob", "tick"))
    broken["spec"]["schedule"] = "never"
    version = broken["metadata"]["resourceVersion"]
    cluster.registry.store.write(broken, expected=version)
    await cluster.settle()
    (message,) = await told(cluster, "UnparseableSchedule")
    assert message.startswith('unparseable schedule: "never" : expected exactly 5 fields')
