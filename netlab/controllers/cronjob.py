"""CronJob: Jobs by the clock, each named after the minute that it was due in."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from netlab.controllers.controller import (
    Controller,
    WatchedKind,
    index_by_controller,
    own_key,
    owner_keys,
)
from netlab.controllers.job_pods import finished
from netlab.errors import AlreadyExists, ApiError, NotFound
from netlab.objects import cron, meta
from netlab.objects.times import seconds, timestamp
from netlab.objects.types import CronJob, Job, ObjectReference

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MOST_MISSED = 100
"""Times that passed unused; beyond, nobody asks which."""
_LATE = 0.1
"""Seconds after a time is due that it is looked at, so that no clock has not got there yet."""


class CronJobs(Controller):
    """Makes a Job whenever one is due, and forgets old ones."""

    name = "cronjob-controller"

    def watches(self) -> Sequence[WatchedKind]:
        """CronJobs, and the Jobs that they made."""
        index_by_controller(self.informers["Job"])
        return (WatchedKind("CronJob", own_key), WatchedKind("Job", owner_keys("CronJob")))

    async def reconcile(self, key: str) -> float | None:
        """Note what has ended, make what is due; seconds until the next time."""
        owner = self.informers["CronJob"].get(key)
        if owner is None:
            return None
        await self._clean_up(owner)
        owner = await self._note(owner)
        if self.informers["CronJob"].is_going(owner):
            return None
        schedule = self._schedule(owner)
        if schedule is None or meta.spec(owner).get("suspend"):
            return None
        now, zone = self.context.clock(), cron.zone(meta.spec(owner).get("timeZone"))
        due = self._due(owner, schedule, now)
        if due is not None:
            await self._start(owner, due, now)
        later = schedule.after(now, zone)
        return None if later is None else later - now + _LATE

    def _schedule(self, owner: CronJob) -> cron.Schedule | None:
        """When it is due; None, and an Event, for what validation would not have let in."""
        text, zone = meta.spec(owner)["schedule"], meta.spec(owner).get("timeZone")
        try:
            cron.zone(zone)
        except ValueError as error:
            message = f'invalid timeZone: "{zone}": {error}'
            self.recorder.warning(owner, "UnknownTimeZone", message)
            return None
        try:
            return cron.parse(text)
        except cron.ScheduleError as error:
            message = f'unparseable schedule: "{text}" : {error}'
            self.recorder.warning(owner, "UnparseableSchedule", message)
            return None

    def _due(self, owner: CronJob, schedule: cron.Schedule, now: float) -> float | None:
        """The last time that is due and has had no Job; None if there is none."""
        spec, status = meta.spec(owner), meta.status(owner)
        since = seconds(status.get("lastScheduleTime")) or seconds(
            owner["metadata"].get("creationTimestamp")
        )
        deadline = spec.get("startingDeadlineSeconds")
        if deadline is not None:
            since = max(since, now - deadline)
        since = min(max(since, 0.0), now)  # in a status anybody may have written anything
        zone, due, missed = cron.zone(spec.get("timeZone")), None, 0
        while (later := schedule.after(since, zone)) is not None and later <= now:
            since = due = later
            missed += 1
            if missed > MOST_MISSED:
                self._tell_missed(owner)
                return _last_before(schedule, now, zone)
        return due

    def _tell_missed(self, owner: CronJob) -> None:
        self.recorder.warning(
            owner,
            "TooManyMissedTimes",
            "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check "
            "clock skew",
        )

    async def _start(self, owner: CronJob, due: float, now: float) -> None:
        """Make the Job of a time, as far as the concurrencyPolicy and the deadline let it."""
        spec, active = meta.spec(owner), meta.status(owner).get("active") or []
        deadline = spec.get("startingDeadlineSeconds")
        if deadline is not None and due + deadline < now:
            at = datetime.fromtimestamp(due, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
            message = f"Missed scheduled time to start a job: {at}"
            self.recorder.warning(owner, "MissSchedule", message)
            return
        if active and spec.get("concurrencyPolicy") == "Forbid":
            self.recorder.normal(
                owner,
                "JobAlreadyActive",
                "Not starting job because prior execution is running and concurrency policy is "
                "Forbid",
            )
            return
        if spec.get("concurrencyPolicy") == "Replace":
            for job in self._jobs(owner):
                if not finished(job):
                    await self._delete(owner, job)
            active = []
        await self._create(owner, due, active)

    async def _create(self, owner: CronJob, due: float, active: list[ObjectReference]) -> None:
        job = job_of(owner, due)
        try:
            made = await self.informers.create(job)
        except AlreadyExists:
            found = self.informers["Job"].get(meta.key(job))
            if found is None or meta.controller_uid(found) != meta.uid(owner):
                return
            made = found
        except ApiError as error:
            self.recorder.warning(owner, "FailedCreate", f"Error creating job: {error.message}")
            raise
        else:
            self.recorder.normal(owner, "SuccessfulCreate", f"Created job {meta.name(made)}")
        others = [one for one in active if one.get("uid") != meta.uid(made)]
        status = {"active": [*others, _reference(made)], "lastScheduleTime": timestamp(due)}
        await self.write_status(owner, status)

    # -- what was made ---------------------------------------------------------------------

    def _jobs(self, owner: CronJob) -> list[Job]:
        """Its Jobs, oldest first."""
        jobs = self.informers["Job"].by_index("controller", meta.uid(owner))
        staying = [job for job in jobs if not self.informers["Job"].is_going(job)]
        return sorted(staying, key=_started)

    async def _note(self, owner: CronJob) -> CronJob:
        """Take from `active` those that have ended or gone; note the last that ended well."""
        jobs = {meta.uid(job): job for job in self._jobs(owner)}
        known = meta.status(owner).get("active") or []
        active = []
        for reference in known:
            job = jobs.get(str(reference.get("uid")))
            if job is None:
                name = reference.get("name", "")
                self.recorder.normal(owner, "MissingJob", f"Active job went missing: {name}")
            elif end := finished(job):
                message = f"Saw completed job: {meta.name(job)}, condition: {end}"
                self.recorder.normal(owner, "SawCompletedJob", message)
            else:
                active.append(reference)
        self._tell_unexpected(owner, known, list(jobs.values()))
        ends = [meta.status(job).get("completionTime") or "" for job in jobs.values()]
        last = max([*ends, meta.status(owner).get("lastSuccessfulTime") or ""])
        status: dict[str, Any] = {"lastSuccessfulTime": last or None}
        if len(active) < len(known):
            status["active"] = active or None
        return await self.write_status(owner, status)

    def _tell_unexpected(
        self, owner: CronJob, known: Sequence[ObjectReference], jobs: Sequence[Job]
    ) -> None:
        """A Job that somebody else made in its name."""
        uids = {reference.get("uid") for reference in known}
        for job in jobs:
            if not finished(job) and meta.uid(job) not in uids:
                message = "Saw a job that the controller did not create or forgot: "
                self.recorder.warning(owner, "UnexpectedJob", message + meta.name(job))

    async def _clean_up(self, owner: CronJob) -> None:
        """Delete the oldest of those that have ended, beyond as many as are to be kept."""
        spec = meta.spec(owner)
        limits = {
            "Complete": spec.get("successfulJobsHistoryLimit"),
            "Failed": spec.get("failedJobsHistoryLimit"),
        }
        jobs = self._jobs(owner)
        for end, limit in limits.items():
            ended = [job for job in jobs if finished(job) == end]
            surplus = 0 if limit is None else max(0, len(ended) - limit)
            for job in ended[:surplus]:
                await self._delete(owner, job)

    async def _delete(self, owner: CronJob, job: Job) -> None:
        try:
            await self.informers.delete(job)
        except NotFound:
            return
        except ApiError as error:
            self.recorder.warning(owner, "FailedDelete", f"Deleted job: {error.message}")
            raise
        self.recorder.normal(owner, "SuccessfulDelete", f"Deleted job {meta.name(job)}")


def _started(job: Job) -> tuple[float, str]:
    began = seconds(meta.status(job).get("startTime"))
    return began or seconds(job["metadata"].get("creationTimestamp")), meta.name(job)


def _last_before(schedule: cron.Schedule, now: float, zone: Any) -> float | None:
    """The last time that is due until now, looked for from ever longer ago."""
    back = 60.0
    while back < 2 * 366 * 86400:
        found, due = schedule.after(now - back, zone), None
        while found is not None and found <= now:
            due, found = found, schedule.after(found, zone)
        if due is not None:
            return due
        back *= 4
    return None


def job_of(owner: CronJob, due: float) -> Job:
    """The Job of the time that was due."""
    template = meta.spec(owner)["jobTemplate"]
    given = template.get("metadata") or {}
    zone = meta.spec(owner).get("timeZone")
    at = datetime.fromtimestamp(due, cron.zone(zone)).isoformat(timespec="seconds")
    annotations = {**(given.get("annotations") or {}), SCHEDULED: at.replace("+00:00", "Z")}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{meta.name(owner)}-{int(due) // 60}",
            "namespace": meta.namespace(owner),
            "labels": dict(given.get("labels") or {}),
            "annotations": annotations,
            "ownerReferences": [meta.owner_reference(owner)],
        },
        "spec": copy.deepcopy(meta.spec(template)),
    }


def _reference(job: Job) -> ObjectReference:
    return {
        "apiVersion": job["apiVersion"],
        "kind": job["kind"],
        "name": meta.name(job),
        "namespace": meta.namespace(job),
        "uid": meta.uid(job),
        "resourceVersion": job["metadata"].get("resourceVersion", ""),
    }
