"""What a Job's pods amount to: who is at work, what succeeded or failed, and what follows. Pure.

A pod is counted once, whatever becomes of the controller: it has a finalizer until it is in the
Job's status. Its uid is written there first (`uncountedTerminatedPods`), then the finalizer is
taken away, then the uid becomes part of a number. Of an Indexed Job what succeeded is a set of
indexes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from netlab.controllers.job_failures import counts, end_of, rule_of
from netlab.objects import indexes, meta
from netlab.objects.kinds.batch import JOB_TRACKING
from netlab.objects.numbers import whole
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.times import seconds
from netlab.objects.types import (
    Job,
    Pod,
)
from netlab.retry import Retry

INDEX = "batch.kubernetes.io/job-completion-index"
"""An Indexed Job's pods have it as an annotation and as a label."""
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"

BACKOFF = Retry(10.0, 600.0)
"""How long after a failure the next pod comes."""


class JobEnd(Struct, frozen=True):
    """What ends a Job, and the condition that says so while its last pods go."""

    type: str
    reason: str
    message: str

    @property
    def succeeded(self) -> bool:
        """Whether the Job will be Complete, not Failed."""
        return self.type == "SuccessCriteriaMet"

    @property
    def final(self) -> str:
        """The condition that it has in the end."""
        return "Complete" if self.succeeded else "Failed"


COMPLETE = JobEnd(
    "SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods"
)
TOO_OFTEN = JobEnd(
    "FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
)
TOO_LATE = JobEnd(
    "FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline"
)
TOO_MANY_INDEXES = JobEnd(
    "FailureTarget",
    "MaxFailedIndexesExceeded",
    "Job has exceeded the specified maximal number of failed indexes",
)
FAILED_INDEXES = JobEnd("FailureTarget", "FailedIndexes", "Job has failed indexes")


class Backoff(Struct, frozen=True):
    """Failures in a row, and when the last one was (seconds since 1970)."""

    failures: int = 0
    last: float = 0.0

    def left(self, now: float) -> float:
        """Seconds until another pod may be made."""
        if not self.failures:
            return 0.0
        return max(0.0, self.last + BACKOFF.delay(self.failures) - now)

    def after(self, succeeded: Iterable[Pod], failed: Iterable[Pod], now: float) -> Backoff:
        """As it is once these have ended."""
        began = max((ended_at(pod, now) for pod in succeeded), default=0.0)
        late = [at for pod in failed if (at := ended_at(pod, now)) >= began]
        if began:
            return Backoff(len(late), max(late, default=0.0))
        return Backoff(self.failures + len(late), max([self.last, *late]))


class Tally(Struct, frozen=True):
    """A Job's pods sorted: `new_*` have not been counted; `indexes` are those that have succeeded,
    `failed_indexes` those that have failed too often."""

    active: list[Pod]
    terminating: list[Pod]
    new_succeeded: list[Pod]
    new_failed: list[Pod]
    succeeded: int
    failed: int
    indexes: set[int]
    failed_indexes: set[int]
    last_failed: Mapping[int, Pod]

    @property
    def ready(self) -> int:
        """How many of those at work are ready."""
        return sum(map(meta.is_ready, self.active))


def tally(job: Job, pods: Sequence[Pod], is_going: Callable[[Pod], bool]) -> Tally:
    """Sort the pods of a Job."""
    status, unfinished = meta.status(job), [pod for pod in pods if not is_pod_terminal(pod)]
    uncounted = status.get("uncountedTerminatedPods") or {}
    known_good, known_bad = uncounted.get("succeeded") or [], uncounted.get("failed") or []
    mine = [pod for pod in pods if is_tracked(pod) and _is_valid(job, pod)]
    good = [pod for pod in mine if _succeeded(pod) and meta.uid(pod) not in known_good]
    bad = [pod for pod in mine if is_failed(job, pod) and meta.uid(pod) not in known_bad]
    done = _succeeded_indexes(job, good)
    failed_indexes, last_failed = _failed_indexes(job, pods, done)
    counted = [pod for pod in bad if counts(job, pod)]
    return Tally(
        active=[pod for pod in unfinished if not is_going(pod)],
        terminating=[pod for pod in unfinished if is_going(pod) and not _is_over(pod)],
        new_succeeded=good,
        new_failed=bad,
        succeeded=len(done)
        if is_indexed(job)
        else (status.get("succeeded") or 0) + len(known_good) + len(good),
        failed=(status.get("failed") or 0) + len(known_bad) + len(counted),
        indexes=done,
        failed_indexes=failed_indexes,
        last_failed=last_failed,
    )


# What a Job says


def is_indexed(job: Job) -> bool:
    """Whether each of its completions has a number."""
    return meta.spec(job).get("completionMode") == "Indexed"


def is_suspended(job: Job) -> bool:
    """Whether it is to have no pods for now."""
    return bool(meta.spec(job).get("suspend"))


def finished(job: Job) -> str:
    """`Complete` or `Failed` for a Job that has ended, else ""."""
    return next((one for one in ("Complete", "Failed") if is_true(job, one)), "")


def is_true(job: Job, type_: str) -> bool:
    """Whether it has that condition."""
    found = meta.condition(job, type_)
    return found is not None and found.get("status") == "True"


def is_stuck(job: Job) -> bool:
    """Whether it has not succeeded, and no pod of it is at work."""
    return finished(job) != "Complete" and not meta.status(job).get("active")


def counts_by_index(job: Job) -> bool:
    """Whether failures are counted for each index apart."""
    return is_indexed(job) and meta.spec(job).get("backoffLimitPerIndex") is not None


def _replaces_failed_only(job: Job) -> bool:
    return meta.spec(job).get("podReplacementPolicy") == "Failed"


# What a pod is


def is_tracked(pod: Pod) -> bool:
    """Whether it has not been counted yet."""
    return JOB_TRACKING in (pod["metadata"].get("finalizers") or [])


def index_of(pod: Pod) -> int | None:
    """Its completion index."""
    number = whole(meta.annotations(pod).get(INDEX, ""))
    return number if number is not None and number >= 0 else None


def _is_valid(job: Job, pod: Pod) -> bool:
    """Whether it can count for the Job: each completion of an Indexed one has its number."""
    if not is_indexed(job):
        return True
    index = index_of(pod)
    return index is not None and index < _completions(job)


def _completions(job: Job) -> int:
    return meta.spec(job).get("completions") or 0


def _succeeded(pod: Pod) -> bool:
    return meta.status(pod).get("phase") == "Succeeded"


def is_failed(job: Job, pod: Pod) -> bool:
    """Whether it ended otherwise than well, or is made to; not so if the Job waits for the end."""
    if is_pod_terminal(pod):
        return not _succeeded(pod)
    return _is_over(pod) if _replaces_failed_only(job) else meta.is_terminating(pod)


def _is_over(pod: Pod) -> bool:
    """Whether its kubelet has let it go, and only a finalizer holds it."""
    return meta.is_terminating(pod) and not pod["metadata"].get("deletionGracePeriodSeconds")


def ended_at(pod: Pod, now: float) -> float:
    """When its last container ended, or its deletion was asked for; `now` if nobody has said so."""
    containers = meta.status(pod).get("containerStatuses") or []
    ends = [seconds(end_of(entry).get("finishedAt")) for entry in containers]
    known = max([*ends, seconds(pod["metadata"].get("deletionTimestamp"))], default=0.0)
    return min(known, now) or now


# Failures


def _restarts(pods: Iterable[Pod]) -> int:
    return sum(
        entry.get("restartCount") or 0
        for pod in pods
        if not is_pod_terminal(pod)
        for field in ("containerStatuses", "initContainerStatuses")
        for entry in meta.status(pod).get(field) or ()
    )


def _restarted_too_often(job: Job, pods: Sequence[Pod]) -> bool:
    """Of a Job whose pods restart their containers themselves."""
    if meta.spec(job)["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    return _restarts(pods) >= max(1, backoff_limit(job))


def backoff_limit(job: Job) -> int:
    """How many failures it bears."""
    return meta.spec(job).get("backoffLimit", 6)


# Indexes


def _succeeded_indexes(job: Job, new: Iterable[Pod]) -> set[int]:
    if not is_indexed(job):
        return set()
    known = indexes.known(meta.status(job).get("completedIndexes") or "", _completions(job))
    return known.union(index for pod in new if (index := index_of(pod)) is not None)


def _failed_indexes(
    job: Job, pods: Sequence[Pod], succeeded: set[int]
) -> tuple[set[int], dict[int, Pod]]:
    """The indexes that failed for good, and of the others the pod that failed last."""
    if not counts_by_index(job):
        return set(), {}
    failed = indexes.known(meta.status(job).get("failedIndexes") or "", _completions(job))
    last: dict[int, Pod] = {}
    for pod in pods:
        index = index_of(pod)
        if index is None or not _is_valid(job, pod) or not is_failed(job, pod):
            continue
        if rule_of(job, pod)[0] == "FailIndex":
            failed.add(index)
        elif index not in last or index_failures(job, last[index]) < index_failures(job, pod):
            last[index] = pod
    limit = meta.spec(job).get("backoffLimitPerIndex") or 0
    failed.update(index for index, pod in last.items() if index_failures(job, pod) > limit)
    failed -= succeeded
    return failed, {i: pod for i, pod in last.items() if i not in failed and i not in succeeded}


def index_failures(job: Job, pod: Pod) -> int:
    """How often its index has failed, this pod included."""
    before = whole(meta.annotations(pod).get(INDEX_FAILURES, "0")) or 0
    return before + (1 if counts(job, pod) else 0)


def index_rest(job: Job, failed: Pod, now: float) -> float:
    """Seconds until the index of a pod that failed may have another one."""
    return Backoff(index_failures(job, failed), ended_at(failed, now)).left(now)


def pending_indexes(job: Job, found: Tally, now: float) -> Iterator[int]:
    """The indexes that want a pod now, lowest first."""
    busy = [*found.active, *(found.terminating if _replaces_failed_only(job) else ())]
    taken = {index_of(pod) for pod in busy} | found.indexes | found.failed_indexes
    taken.update(i for i, pod in found.last_failed.items() if index_rest(job, pod, now) > 0)
    return (index for index in range(_completions(job)) if index not in taken)


# What follows


def verdict(job: Job, pods: Sequence[Pod], found: Tally, now: float) -> JobEnd | None:
    """What ends the Job, if something does but the number of its completions."""
    for type_ in ("SuccessCriteriaMet", "FailureTarget"):
        entry = meta.condition(job, type_)
        if entry and entry.get("status") == "True":
            return JobEnd(type_, entry.get("reason") or "", entry.get("message") or "")
    failing = (rule_of(job, pod) for pod in pods if is_failed(job, pod))
    message = next((message for action, message in failing if action == "FailJob"), "")
    if message:
        return JobEnd("FailureTarget", "PodFailurePolicy", message)
    if found.failed > backoff_limit(job) or _restarted_too_often(job, pods):
        return TOO_OFTEN
    left = seconds_left(job, now)
    if left is not None and left <= 0:
        return TOO_LATE
    return _verdict_by_index(job, found) if is_indexed(job) else None


def _verdict_by_index(job: Job, found: Tally) -> JobEnd | None:
    most, failed = meta.spec(job).get("maxFailedIndexes"), len(found.failed_indexes)
    if most is not None and failed > most:
        return TOO_MANY_INDEXES
    if failed and failed + len(found.indexes) >= _completions(job):
        return FAILED_INDEXES
    policy = meta.spec(job).get("successPolicy")
    for number, rule in enumerate(policy["rules"] if policy else ()):
        chosen, wanted = found.indexes, rule.get("succeededCount")
        if (text := rule.get("succeededIndexes")) is not None:
            named = indexes.known(text, _completions(job))
            chosen, wanted = chosen & named, len(named) if wanted is None else wanted
        if wanted is not None and len(chosen) >= wanted:
            return JobEnd("SuccessCriteriaMet", "SuccessPolicy", f"Matched rules at index {number}")
    return None


def seconds_left(job: Job, now: float) -> float | None:
    """Until its deadline; None if it has none, or does not run."""
    deadline, began = meta.spec(job).get("activeDeadlineSeconds"), meta.status(job).get("startTime")
    if deadline is None or not began or is_suspended(job):
        return None
    return seconds(began) + deadline - now


def is_complete(job: Job, found: Tally) -> bool:
    """Whether as many have succeeded as are asked for, and none is at work."""
    wanted = meta.spec(job).get("completions")
    enough = found.succeeded > 0 if wanted is None else found.succeeded >= wanted
    return enough and not found.active


def wanted_active(job: Job, found: Tally) -> int:
    """How many pods are to be at work."""
    parallelism, wanted = meta.spec(job).get("parallelism", 1), meta.spec(job).get("completions")
    if is_suspended(job):
        return 0
    if wanted is None:
        return len(found.active) if found.succeeded else parallelism
    return max(0, min(parallelism, wanted - found.succeeded))


def missing(job: Job, found: Tally) -> int:
    """How many pods are to be made; of a Job that waits for the end of those that go, fewer."""
    going = len(found.terminating) if _replaces_failed_only(job) else 0
    return wanted_active(job, found) - len(found.active) - going


def releasable(job: Job, pod: Pod, found: Tally, ends: JobEnd | None) -> bool:
    """Whether a pod may be counted, and go."""
    if meta.is_terminating(job) or ends is not None or _succeeded(pod):
        return True
    if not is_failed(job, pod):
        return False
    index = index_of(pod)
    last = found.last_failed.get(index) if index is not None else None
    if last is None or meta.uid(last) != meta.uid(pod):
        return True
    # Its successor is to be told how often the index has failed.
    return any(index_of(one) == index for one in found.active)
