"""What a Job's status says, as merge patches; in two steps, so that no pod counts twice. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from netlab.controllers import job_pods as counting
from netlab.controllers.conditions import conditions_with, find
from netlab.controllers.job_failures import counts
from netlab.controllers.job_pods import JobEnd, Tally
from netlab.objects import indexes, meta
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import Job, JobCondition, Pod

Status = dict[str, Any]


def noted(job: Job, found: Tally, chosen: Sequence[Pod], ends: JobEnd | None, now: str) -> Status:
    """The status with the pods that are `chosen` to be counted, not yet counted."""
    status: Status = {
        "active": len(found.active) or None,
        "ready": found.ready,
        "terminating": len(found.terminating),
        **_with_uncounted(job, found, chosen, ends),
    }
    if counting.is_indexed(job):
        status |= _with_indexes(found, chosen)
    if counting.counts_by_index(job):
        status["failedIndexes"] = indexes.render(found.failed_indexes)
    if ends is not None and not counting.is_true(job, ends.type):
        status["conditions"] = conditions(job, ends.type, "True", ends.reason, ends.message, now)
    return status


def _with_uncounted(job: Job, found: Tally, chosen: Sequence[Pod], ends: JobEnd | None) -> Status:
    good, bad = _known(job)
    uids = {meta.uid(pod): pod for pod in chosen}
    if not counting.is_indexed(job):
        good = [*good, *(uid for pod in found.new_succeeded if (uid := meta.uid(pod)) in uids)]
    lost = ends is not None and not ends.succeeded
    new_failed = {meta.uid(pod) for pod in found.new_failed}
    bad = [
        *bad,
        *(
            uid
            for uid, pod in uids.items()
            if uid not in bad
            and (uid in new_failed or (lost and not is_pod_terminal(pod)))
            and counts(job, pod)
        ),
    ]
    return _uncounted(job, good, bad)


def _with_indexes(found: Tally, chosen: Sequence[Pod]) -> Status:
    """Those that had succeeded before, and those that are chosen."""
    waiting = {counting.index_of(pod) for pod in found.new_succeeded}
    counted = {counting.index_of(pod) for pod in chosen}
    done = {index for index in found.indexes if index not in waiting or index in counted}
    return {"succeeded": len(done) or None, "completedIndexes": indexes.render(done) or None}


def numbered(job: Job, pods: Iterable[Pod]) -> Status:
    """The status in which those count that have been let go."""
    held = {meta.uid(pod) for pod in pods if counting.is_tracked(pod)}
    good, bad = _known(job)
    good_left, bad_left = ([uid for uid in uids if uid in held] for uids in (good, bad))
    status = _uncounted(job, good_left, bad_left)
    if len(good_left) < len(good):
        before = meta.status(job).get("succeeded") or 0
        status["succeeded"] = before + len(good) - len(good_left)
    if len(bad_left) < len(bad):
        before = meta.status(job).get("failed") or 0
        status["failed"] = before + len(bad) - len(bad_left)
    return status


def ended(job: Job, ends: JobEnd, now: str) -> Status:
    """The status of a Job that has come to its end."""
    written = conditions(job, ends.final, "True", ends.reason, ends.message, now)
    if not ends.succeeded:
        return {"conditions": written}
    entry = find(written, ends.final)
    return {"conditions": written, "completionTime": entry["lastTransitionTime"] if entry else now}


def conditions(
    job: Job, type_: str, status: str, reason: str, message: str, now: str
) -> list[JobCondition]:
    """The conditions with that one."""
    fresh: JobCondition = {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastProbeTime": now,
        "lastTransitionTime": now,
    }
    return conditions_with(meta.status(job).get("conditions") or [], fresh)


def _known(job: Job) -> tuple[list[str], list[str]]:
    """The uids that wait to be counted: who succeeded, who failed."""
    uncounted = meta.status(job).get("uncountedTerminatedPods") or {}
    return uncounted.get("succeeded") or [], uncounted.get("failed") or []


def _uncounted(job: Job, good: Sequence[str], bad: Sequence[str]) -> Status:
    """The patch of the uids that wait; nothing if they are the same."""
    if (list(good), list(bad)) == _known(job):
        known = "uncountedTerminatedPods" in meta.status(job)
        return {} if known else {"uncountedTerminatedPods": {}}
    uids = {"succeeded": list(good) or None, "failed": list(bad) or None}
    return {"uncountedTerminatedPods": uids}
