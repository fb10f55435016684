"""How Jobs and CronJobs are stored."""

from __future__ import annotations

from netlab.objects import meta, validate_batch
from netlab.objects.kinds.batch import CRON_JOB, JOB
from netlab.objects.meta import Object
from netlab.objects.strategies.pods import default_pod_spec
from netlab.objects.strategies.strategy import Mapping, Strategy, fill, spec_of
from netlab.objects.validate_batch import CONTROLLER_UID, JOB_NAME, NO_LIMIT

_BACKOFF_LIMIT = 6


def _job(obj: Object) -> None:
    spec = spec_of(obj)
    _pods(spec)
    _job_spec(spec)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not meta.labels(obj):
        obj["metadata"]["labels"] = dict(labels)


def _job_spec(spec: Mapping) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    apart = spec.get("backoffLimitPerIndex") is not None
    for name, value in (
        ("parallelism", 1),
        ("backoffLimit", NO_LIMIT if apart else _BACKOFF_LIMIT),
        ("manualSelector", False),
        ("suspend", False),
        ("completionMode", "NonIndexed"),
        ("podReplacementPolicy", _replaced(spec)),
    ):
        if spec.get(name) is None:
            spec[name] = value


def _replaced(spec: Mapping) -> str:
    return "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed"


def _pods(spec: Mapping) -> None:
    """What is filled in of a Job's spec in a CronJob, too."""
    if spec.get("template"):
        default_pod_spec(spec_of(spec["template"]))
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or []:
        for pattern in rule.get("onPodConditions") or []:
            fill(pattern, status="True")


def _select_own_pods(obj: Object) -> None:
    """The selector and the labels by which a Job knows its pods, unless it brings its own."""
    spec = spec_of(obj)
    if spec.get("manualSelector"):
        return
    if not spec.get("template"):
        spec["template"] = {}
    metadata = spec["template"].setdefault("metadata", {})
    uid, name = meta.uid(obj), meta.name(obj)
    own = {"controller-uid": uid, "job-name": name, CONTROLLER_UID: uid, JOB_NAME: name}
    metadata["labels"] = {**own, **(metadata.get("labels") or {})}
    if spec.get("selector") is None:
        spec["selector"] = {}
    pairs = spec["selector"].get("matchLabels") or {}
    spec["selector"]["matchLabels"] = {CONTROLLER_UID: uid, **pairs}


def _cron_job(obj: Object) -> None:
    spec = spec_of(obj)
    template = spec.get("jobTemplate")
    if template:
        _pods(spec_of(template))
    fill(spec, concurrencyPolicy="Allow")
    for name, value in (
        ("suspend", False),
        ("successfulJobsHistoryLimit", 3),
        ("failedJobsHistoryLimit", 1),
    ):
        if spec.get(name) is None:
            spec[name] = value


STRATEGIES = {
    JOB: Strategy(
        default=_job,
        prepare_create=_select_own_pods,
        validate=validate_batch.job,
        validate_update=validate_batch.job_update,
    ),
    CRON_JOB: Strategy(
        default=_cron_job,
        validate=validate_batch.cron_job,
    ),
}
