"""How Jobs and CronJobs print."""

from __future__ import annotations

from netlab.api.printing.cells import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Cell,
    Column,
    Printer,
    Since,
    age,
    count,
    since,
    wide,
)
from netlab.api.printing.workloads import containers_and_images
from netlab.objects.kinds.batch import CRON_JOB, JOB
from netlab.objects.meta import condition, is_terminating, name, spec, status
from netlab.objects.selectors import format_label_selector
from netlab.objects.times import parse_time
from netlab.objects.types import CronJob, Job, JobSpec, JobTemplateSpec
from netlab.view.ages import human_duration

_UNFINISHED = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def job_cells(obj: Job) -> list[Cell]:
    """NAME STATUS COMPLETIONS DURATION AGE, and CONTAINERS IMAGES SELECTOR."""
    return [
        name(obj),
        _state(obj),
        _completions(obj),
        _duration(obj),
        age(obj),
        *containers_and_images(obj),
        format_label_selector(spec(obj).get("selector")),
    ]


def _state(obj: Job) -> str:
    for type_ in ("Complete", "Failed"):
        if _is_true(obj, type_):
            return type_
    if is_terminating(obj):
        return "Terminating"
    return next((type_ for type_ in _UNFINISHED if _is_true(obj, type_)), "Running")


def _is_true(obj: Job, type_: str) -> bool:
    found = condition(obj, type_)
    return found is not None and found.get("status") == "True"


def _completions(obj: Job) -> str:
    done, wanted = status(obj).get("succeeded", 0), spec(obj).get("completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    beside = spec(obj).get("parallelism", 0)
    return f"{done}/1 of {beside}" if beside > 1 else f"{done}/1"


def _duration(obj: Job) -> Cell:
    began, ended = (parse_time(status(obj).get(field)) for field in ("startTime", "completionTime"))
    if began is None:
        return ""
    return Since(began) if ended is None else human_duration(ended - began)


def cronjob_cells(obj: CronJob) -> list[Cell]:
    """NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE, and the wide ones."""
    last = status(obj).get("lastScheduleTime")
    suspend = spec(obj).get("suspend")
    template = _job_template(obj)
    return [
        name(obj),
        spec(obj).get("schedule", ""),
        spec(obj).get("timeZone") or NONE,
        UNSET if suspend is None else str(suspend),
        len(status(obj).get("active") or []),
        since(last) if last else NONE,
        age(obj),
        *containers_and_images(obj),
        format_label_selector(template.get("selector")),
    ]


def _job_template(obj: CronJob) -> JobSpec:
    template: JobTemplateSpec = spec(obj).get("jobTemplate", {})
    return spec(template)


_WIDE = (wide("Containers"), wide("Images"), wide("Selector"))

PRINTERS = {
    JOB: Printer(
        (NAME, Column("Status"), Column("Completions"), Column("Duration"), AGE, *_WIDE),
        job_cells,
    ),
    CRON_JOB: Printer(
        (
            NAME, Column("Schedule"), Column("Timezone"), Column("Suspend"), count("Active"),
            Column("Last Schedule"), AGE, *_WIDE,
        ),
        cronjob_cells,
    ),
}  # fmt: skip
