"""Job: pods until enough of them have succeeded, or too many have failed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from netlab.controllers import job_pods as counting
from netlab.controllers import job_status
from netlab.controllers.controller import (
    Controller,
    ControllerContext,
    WatchedKind,
    own_key,
)
from netlab.controllers.job_pods import Backoff, JobEnd, Tally
from netlab.controllers.job_template import indexed_pod, new_pod, surplus
from netlab.controllers.ownership import claim, claims
from netlab.controllers.replicaset import BURST
from netlab.errors import ApiError, NotFound
from netlab.objects import meta
from netlab.objects.kinds.batch import JOB_TRACKING
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import Job, Pod

MANAGER = "kubernetes.io/job-controller"
MOST_UNCOUNTED = 500
"""Uids that a Job's status has at once."""
_ORPHAN = "pod "
"""What a key begins with that is a pod's, which is nobody's and still waits to be counted."""


class Jobs(Controller):
    """Runs each Job's pods and counts how they end."""

    name = "job-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._backoffs: dict[str, Backoff] = {}
        self.informers["Pod"].add_index("tracked by job", _tracking_job)

    def watches(self) -> Sequence[WatchedKind]:
        """Jobs, and pods for those who own them or could; and those that have lost their Job."""
        return (
            WatchedKind("Job", own_key),
            claims(self.informers, "Job", "Pod"),
            WatchedKind("Pod", _orphan_key),
        )

    async def reconcile(self, key: str) -> float | None:
        """Make or delete pods, count those that ended; seconds until the next look at it."""
        if key.startswith(_ORPHAN):
            await self._let_go(key.removeprefix(_ORPHAN))
            return None
        job = self.informers["Job"].get(key)
        await self._release_strangers(key, job)
        if job is None or counting.finished(job):
            self._backoffs.pop(key, None)
            return None
        if meta.spec(job).get("managedBy", MANAGER) != MANAGER:
            return None
        return await self._sync(key, await self._begun(job))

    async def _begun(self, job: Job) -> Job:
        """With its startTime."""
        if meta.status(job).get("startTime") or counting.is_suspended(job):
            return job
        return await self.write_status(job, {"startTime": self.context.now()})

    async def _sync(self, key: str, job: Job) -> float | None:
        now = self.context.clock()
        pods = await claim(self.informers, job, self.informers["Pod"])
        found = self._tally(job, pods)
        backoff = self._backoffs.get(key, Backoff())
        backoff = backoff.after(found.new_succeeded, found.new_failed, now)
        ends = counting.verdict(job, pods, found, now)
        failure: ApiError | None = None
        if ends is not None:
            failure = await self._delete(job, found.active, counted=True)
        elif not self.informers["Job"].is_going(job):
            failure = await self._manage(job, found, backoff.left(now))
            if counting.is_complete(job, self._tally(job, self._pods(job))):
                ends = counting.COMPLETE
            else:
                job = await self._tell_suspension(job)
        await self._count(job, ends)
        self._backoffs[key] = backoff
        if failure is not None:
            raise failure
        rests = [counting.index_rest(job, pod, now) for pod in found.last_failed.values()]
        waits = (backoff.left(now), counting.seconds_left(job, now) or 0.0, *rests)
        return min((wait for wait in waits if wait > 0), default=None)

    def _pods(self, job: Job) -> list[Pod]:
        return self.informers["Pod"].by_index("controller", meta.uid(job))

    def _tally(self, job: Job, pods: Sequence[Pod]) -> Tally:
        return counting.tally(job, pods, self.informers["Pod"].is_going)

    # -- pods come and go ------------------------------------------------------------------

    async def _manage(self, job: Job, found: Tally, rest: float) -> ApiError | None:
        if too_many := surplus(job, found):
            return await self._delete(job, too_many[:BURST], counted=False)
        missing = min(counting.missing(job, found), BURST)
        if missing <= 0 or (rest > 0 and not counting.counts_by_index(job)):
            return None
        if not counting.is_indexed(job):
            return await self._create(job, [new_pod(job) for _ in range(missing)])
        pending = counting.pending_indexes(job, found, self.context.clock())
        return await self._create(
            job,
            [indexed_pod(job, i, found.last_failed.get(i)) for i in islice(pending, missing)],
        )

    async def _create(self, job: Job, pods: Sequence[Pod]) -> ApiError | None:
        """Create pods in batches of 1, 2, 4 …, so that a refusal costs few requests."""
        done, batch = 0, 1
        while done < len(pods):
            chosen = pods[done : done + batch]
            results = await asyncio.gather(*(self._create_one(job, pod) for pod in chosen))
            errors = [error for error in results if error is not None]
            if errors:
                return errors[0]
            done, batch = done + batch, batch * 2
        return None

    async def _create_one(self, job: Job, pod: Pod) -> ApiError | None:
        try:
            created = await self.informers.create(pod)
        except ApiError as error:
            if error.is_of_going_namespace:
                return None
            self.recorder.warning(job, "FailedCreate", f"Error creating: {error.message}")
            return error
        self.recorder.normal(job, "SuccessfulCreate", f"Created pod: {meta.name(created)}")
        return None

    async def _delete(self, job: Job, pods: Iterable[Pod], *, counted: bool) -> ApiError | None:
        """Delete pods; if they are not to be `counted` they are no failures."""
        results = await asyncio.gather(*(self._delete_one(job, pod, counted) for pod in pods))
        return next((error for error in results if error is not None), None)

    async def _delete_one(self, job: Job, pod: Pod, counted: bool) -> ApiError | None:
        pod = self.informers["Pod"].get(meta.key(pod)) or pod
        if is_pod_terminal(pod):  # meanwhile: it is to be counted
            return None
        try:
            if not counted:
                pod = await self._release(pod) or pod
            await self.informers.delete(pod)
        except NotFound:
            return None
        except ApiError as error:
            self.recorder.warning(job, "FailedDelete", f"Error deleting: {error.message}")
            return error
        self.recorder.normal(job, "SuccessfulDelete", f"Deleted pod: {meta.name(pod)}")
        return None

    async def _tell_suspension(self, job: Job) -> Job:
        """The condition Suspended, once it has been."""
        known = meta.condition(job, "Suspended")
        suspended = counting.is_suspended(job)
        status = "True" if suspended else "False"
        if known["status"] == status if known else not suspended:
            return job
        verb = "suspended" if suspended else "resumed"
        reason, message = f"Job{verb.capitalize()}", f"Job {verb}"
        patch: dict[str, Any] = {
            "conditions": job_status.conditions(
                job, "Suspended", status, reason, message, self.context.now()
            )
        }
        if not suspended:
            patch["startTime"] = self.context.now()
        self.recorder.normal(job, verb.capitalize(), message)
        return await self.write_status(job, patch)

    # -- counting --------------------------------------------------------------------------

    async def _count(self, job: Job, ends: JobEnd | None) -> None:
        """Write down who ended, let those pods go, make numbers of them; then end the Job."""
        pods = self._pods(job)
        found = self._tally(job, pods)
        chosen = [
            pod
            for pod in pods
            if counting.is_tracked(pod) and counting.releasable(job, pod, found, ends)
        ][:MOST_UNCOUNTED]
        job = await self.write_status(
            job, job_status.noted(job, found, chosen, ends, self.context.now())
        )
        await asyncio.gather(*(self._release(pod) for pod in chosen))
        job = await self.write_status(job, job_status.numbered(job, self._pods(job)))
        if ends is not None and not found.terminating:
            await self._end(job, ends)

    async def _end(self, job: Job, ends: JobEnd) -> None:
        """The final condition, once nothing is left to be counted."""
        uncounted = meta.status(job).get("uncountedTerminatedPods") or {}
        if any(uncounted.values()):
            return
        await self.write_status(job, job_status.ended(job, ends, self.context.now()))
        if ends.succeeded:
            self.recorder.normal(job, "Completed", "Job completed")
        else:
            self.recorder.warning(job, ends.reason, ends.message)

    # -- letting pods go -------------------------------------------------------------------

    async def _release(self, pod: Pod) -> Pod | None:
        """Take the finalizer from a pod; None if it has gone."""
        pod = self.informers["Pod"].get(meta.key(pod)) or pod
        held = pod["metadata"].get("finalizers") or []
        if JOB_TRACKING not in held:
            return pod
        rest = [one for one in held if one != JOB_TRACKING]
        version = pod["metadata"]["resourceVersion"]  # a list cannot be merge-patched in part
        metadata = {"finalizers": rest or None, "resourceVersion": version}
        try:
            return await self.informers.patch(pod, {"metadata": metadata})
        except NotFound:
            return None

    async def _release_strangers(self, key: str, job: Job | None) -> None:
        """Let those go that a Job of this name had which is no more."""
        uid = meta.uid(job) if job is not None else ""
        for pod in self.informers["Pod"].by_index("tracked by job", key):
            if meta.controller_uid(pod) != uid:
                await self._release(pod)

    async def _let_go(self, key: str) -> None:
        pod = self.informers["Pod"].get(key)
        if pod is not None and meta.controller_of(pod) is None:
            await self._release(pod)


def _tracking_job(pod: Pod) -> Iterable[str]:
    """The key of the Job that is to count a pod."""
    owner = meta.controller_of(pod)
    if owner is None or owner["kind"] != "Job" or not counting.is_tracked(pod):
        return ()
    return (f"{meta.namespace(pod)}/{owner['name']}",)


def _orphan_key(old: Pod | None, new: Pod | None) -> Iterable[str]:
    del old
    if new is None or meta.controller_of(new) or not counting.is_tracked(new):
        return ()
    return (_ORPHAN + meta.key(new),)
