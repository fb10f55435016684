"""Jobs and CronJobs as `kubectl describe` shows them. Pure."""

from __future__ import annotations

from netlab.objects import meta
from netlab.objects.kinds.batch import CRON_JOB, JOB
from netlab.objects.selectors import format_label_selector
from netlab.objects.times import parse_time
from netlab.objects.types import CronJob, Job, JobTemplateSpec
from netlab.view.ages import human_duration
from netlab.view.describing import described
from netlab.view.describing.described import Description, Lines, Related
from netlab.view.describing.pods import template

_INDEXES_MAX = 50
"""Characters of a list of indexes that are shown, at least."""


def job(obj: Job, related: Related) -> Lines:
    """A Job: how many of its pods are to succeed, and have."""
    yield from described.name_lines(obj)
    yield f"Selector:\t{described.selector(obj)}"
    yield from described.label_lines(obj)
    yield from described.annotation_lines(obj)
    yield from described.controlled_by(obj)
    yield from _wanted(obj)
    yield from _times(obj)
    yield _pods(obj)
    if meta.spec(obj).get("completionMode") == "Indexed":
        yield f"Completed Indexes:\t{_capped(meta.status(obj).get('completedIndexes') or '')}"
    yield from template(meta.spec(obj)["template"])
    yield from described.events(related)


def _wanted(obj: Job) -> Lines:
    spec = meta.spec(obj)
    if "parallelism" in spec:
        yield f"Parallelism:\t{spec['parallelism']}"
    yield f"Completions:\t{spec.get('completions', '<unset>')}"
    if "completionMode" in spec:
        yield f"Completion Mode:\t{spec['completionMode']}"
    if "suspend" in spec:
        yield f"Suspend:\t{str(spec['suspend']).lower()}"
    if "backoffLimit" in spec:
        yield f"Backoff Limit:\t{spec['backoffLimit']}"
    if "ttlSecondsAfterFinished" in spec:
        yield f"TTL Seconds After Finished:\t{spec['ttlSecondsAfterFinished']}"


def _times(obj: Job) -> Lines:
    status = meta.status(obj)
    began, ended = status.get("startTime"), status.get("completionTime")
    if began:
        yield f"Start Time:\t{described.moment(began)}"
    if ended:
        yield f"Completed At:\t{described.moment(ended)}"
    if began and ended:
        lasted = (parse_time(ended) or 0) - (parse_time(began) or 0)
        yield f"Duration:\t{human_duration(lasted)}"
    if "activeDeadlineSeconds" in meta.spec(obj):
        yield f"Active Deadline Seconds:\t{meta.spec(obj)['activeDeadlineSeconds']}s"


def _pods(obj: Job) -> str:
    status = meta.status(obj)
    ready = f" ({status['ready']} Ready)" if "ready" in status else ""
    return (
        f"Pods Statuses:\t{status.get('active', 0)} Active{ready} / "
        f"{status.get('succeeded', 0)} Succeeded / {status.get('failed', 0)} Failed"
    )


def _capped(indexes: str) -> str:
    """The list, cut off behind the first comma after so many characters."""
    comma = indexes.find(",", _INDEXES_MAX)
    return indexes[: comma + 1] + "..." if comma >= 0 else indexes or "<none>"


def cron_job(obj: CronJob, related: Related) -> Lines:
    """A CronJob: when it makes Jobs, and of what."""
    spec, status = meta.spec(obj), meta.status(obj)
    yield from described.head(obj)
    yield f"Schedule:\t{spec['schedule']}"
    yield f"Concurrency Policy:\t{spec.get('concurrencyPolicy', '')}"
    yield f"Suspend:\t{spec.get('suspend', '<unset>')}"
    yield f"Successful Job History Limit:\t{spec.get('successfulJobsHistoryLimit', '<unset>')}"
    yield f"Failed Job History Limit:\t{spec.get('failedJobsHistoryLimit', '<unset>')}"
    deadline = spec.get("startingDeadlineSeconds")
    yield f"Starting Deadline Seconds:\t{'<unset>' if deadline is None else f'{deadline}s'}"
    yield from _job_template(spec["jobTemplate"])
    last = status.get("lastScheduleTime")
    yield f"Last Schedule Time:\t{described.moment(last) if last else '<unset>'}"
    active = [str(one.get("name") or "") for one in status.get("active") or []]
    yield f"Active Jobs:\t{', '.join(active) or '<none>'}"
    yield from described.events(related)


def _job_template(of: JobTemplateSpec) -> Lines:
    spec = meta.spec(of)
    selector = spec.get("selector")
    yield f"Selector:\t{format_label_selector(selector) if selector else '<unset>'}"
    yield f"Parallelism:\t{spec.get('parallelism', '<unset>')}"
    yield f"Completions:\t{spec.get('completions', '<unset>')}"
    if "activeDeadlineSeconds" in spec:
        yield f"Active Deadline Seconds:\t{spec['activeDeadlineSeconds']}s"
    yield from template(spec["template"])


DESCRIPTIONS = {JOB: Description(job), CRON_JOB: Description(cron_job)}
