"""What Jobs and CronJobs may say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from netlab.objects import cron, fields, indexes, meta, names
from netlab.objects.meta import Object
from netlab.objects.problems import (
    FieldProblem,
    Path,
    duplicate,
    invalid,
    not_supported,
    required,
)
from netlab.objects.validate_workload import label_selector, selects, template_of_pods

Mapping = dict[str, Any]
Problems = Iterator[FieldProblem]

CONTROLLER_UID, JOB_NAME = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
NO_LIMIT = 2**31 - 1
"""The backoffLimit of a Job that counts the failures of each index apart."""
MAX_INDEXED = 100_000
"""Indexes of a Job; of completions Kubernetes would take more, and remember them all."""
_COUNTS = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
    "ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes",
)  # fmt: skip
_MAX_RULES, _MAX_VALUES = 20, 255
_POLICIES = ("OnFailure", "Never")
_CRON_NAME_MAX = 52
_IMMUTABLE = (
    "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy",
    "successPolicy",
)  # fmt: skip
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")


def job(obj: Object) -> Problems:
    """A Job; one that is not stored yet has no selector, but for one of its own."""
    spec = meta.spec(obj)
    yield from _job_spec(("spec",), spec)
    yield from _own_selector(obj, spec)
    count, name = spec.get("completions"), _named(obj, "name")
    if _is_indexed(spec) and count and name:
        longest = f"{name}-{count - 1}"
        if not names.is_dns_label(longest):
            detail = f"will not able to create pod with invalid DNS label: {longest}"
            yield invalid(("metadata", "name"), name, detail)


def _own_selector(obj: Object, spec: Mapping) -> Problems:
    selector, template = spec.get("selector"), spec.get("template")
    if selector is None:
        if spec.get("manualSelector") or _named(obj, "uid"):
            yield required(("spec", "selector"))
        return
    yield from label_selector(("spec", "selector"), selector)
    if template is None:
        return
    if not spec.get("manualSelector"):
        name, uid = _named(obj, "name"), _named(obj, "uid")
        own = {CONTROLLER_UID: uid, "controller-uid": uid}
        own |= {JOB_NAME: name, "job-name": name}
        pairs = selector.get("matchLabels") or {}
        if selector.get("matchExpressions") or any(own.get(k) != v for k, v in pairs.items()):
            hint = "leave the selector out: a Job makes its own"
            yield invalid(("spec", "selector"), selector, "`selector` not auto-generated", hint)
        if not uid:
            return
    yield from selects(selector, template)


def _named(obj: Object, field: str) -> str:
    """The name or the uid; "" while it has none."""
    return str((obj.get("metadata") or {}).get(field) or "")


def _is_indexed(spec: Mapping) -> bool:
    return spec.get("completionMode") == "Indexed"


def _job_spec(path: Path, spec: Mapping) -> Problems:
    for field in _COUNTS:
        yield from fields.non_negative((*path, field), spec.get(field))
    yield from _indexed(path, spec) if _is_indexed(spec) else _not_indexed(path, spec)
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        yield required((*path, "backoffLimitPerIndex"), "when maxFailedIndexes is specified")
    if spec.get("podFailurePolicy"):
        yield from _failure_policy((*path, "podFailurePolicy"), spec)
    template = spec.get("template")
    if template is None:
        yield required((*path, "template"))
    else:
        yield from template_of_pods((*path, "template"), template)
        yield from _restart_policy((*path, "template", "spec", "restartPolicy"), spec)


def _restart_policy(path: Path, spec: Mapping) -> Problems:
    policy = (spec["template"].get("spec") or {}).get("restartPolicy") or "Always"
    if policy == "Always":
        yield required(path, 'valid values: "OnFailure", "Never"')
    elif policy in _POLICIES and spec.get("podFailurePolicy") and policy != "Never":
        yield invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')


def _indexed(path: Path, spec: Mapping) -> Problems:
    count = spec.get("completions")
    if count is None:
        yield required((*path, "completions"), "when completion mode is Indexed")
    for field in ("parallelism", "completions"):
        if (spec.get(field) or 0) > MAX_INDEXED:
            detail = f"must be less than or equal to {MAX_INDEXED} when completion mode is Indexed"
            yield invalid((*path, field), spec[field], detail)
    if count is not None and (spec.get("maxFailedIndexes") or 0) > count:
        detail = "must be less than or equal to completions"
        yield invalid((*path, "maxFailedIndexes"), spec["maxFailedIndexes"], detail)
    policy = spec.get("successPolicy")
    if policy is not None and count is not None and count <= MAX_INDEXED:
        yield from _success_policy((*path, "successPolicy", "rules"), policy, count)


def _not_indexed(path: Path, spec: Mapping) -> Problems:
    for field in ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"):
        if spec.get(field) is not None:
            yield invalid((*path, field), spec[field], "requires indexed completion mode")


def _success_policy(path: Path, policy: Mapping, completions: int) -> Problems:
    rules = policy.get("rules") or []
    if not rules:
        detail = "at least one rules must be specified when the successPolicy is specified"
        yield required(path, detail)
    yield from fields.at_most(path, rules, _MAX_RULES)
    for index, rule in enumerate(rules):
        yield from _success_rule((*path, index), rule, completions)


def _success_rule(path: Path, rule: Mapping, completions: int) -> Problems:
    count, text = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and text is None:
        yield required(path, "at least one of succeededCount or succeededIndexes must be specified")
    limit, what = completions, "the number of specified completions"
    if text is not None:
        what = "the number of indexes in the specified succeededIndexes field"
        try:
            limit = len(indexes.parse(text, completions))
        except indexes.IndexesError as error:
            detail = f"error parsing succeededIndexes: {error}"
            yield invalid((*path, "succeededIndexes"), text, detail)
    if count is not None:
        yield from fields.non_negative((*path, "succeededCount"), count)
        if count > limit:
            detail = f"must be less than or equal to {limit} ({what})"
            yield invalid((*path, "succeededCount"), count, detail)


def _failure_policy(path: Path, spec: Mapping) -> Problems:
    rules = spec["podFailurePolicy"].get("rules") or []
    yield from fields.at_most((*path, "rules"), rules, _MAX_RULES)
    template = (spec.get("template") or {}).get("spec") or {}
    containers = {
        one.get("name")
        for field in ("containers", "initContainers")
        for one in template.get(field) or []
    }
    for index, rule in enumerate(rules):
        where: Path = (*path, "rules", index)
        yield from _failure_rule(where, rule, containers)
        if rule.get("action") == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            detail = "requires the backoffLimitPerIndex to be set"
            yield invalid((*where, "action"), "FailIndex", detail)
    if spec.get("podReplacementPolicy", "Failed") != "Failed":
        where = (*path[:-1], "podReplacementPolicy")
        yield not_supported(where, spec["podReplacementPolicy"], ["Failed"])


def _failure_rule(path: Path, rule: Mapping, containers: set[Any]) -> Problems:
    codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or []
    one = "OnExitCodes and OnPodConditions is"
    if codes is not None and patterns:
        yield FieldProblem(path, f"Invalid value: specifying both {one} not supported")
    if codes is None and not patterns:
        yield FieldProblem(path, f"Invalid value: specifying one of {one} required")
    if codes is not None:
        yield from _exit_codes((*path, "onExitCodes"), codes, containers)
    yield from fields.at_most((*path, "onPodConditions"), patterns, _MAX_RULES)
    for index, pattern in enumerate(patterns):
        if pattern.get("type") is not None:
            where: Path = (*path, "onPodConditions", index, "type")
            yield from fields.qualified_name(where, pattern["type"])


def _exit_codes(path: Path, codes: Mapping, containers: set[Any]) -> Problems:
    container = codes.get("containerName")
    if container is not None and container not in containers:
        detail = "must be one of the container or initContainer names in the pod template"
        yield invalid((*path, "containerName"), container, detail)
    values: Sequence[int] = codes.get("values") or []
    where: Path = (*path, "values")
    if not values:
        yield invalid(where, values, "at least one value is required")
    yield from fields.at_most(where, values, _MAX_VALUES)
    for index, value in enumerate(values):
        if value == 0 and codes.get("operator") == "In":
            yield invalid((*where, index), value, "must not be 0 for the In operator")
        if value in values[:index]:
            yield duplicate((*where, index), value)
    if list(values) != sorted(values):
        yield invalid(where, values, "must be ordered")


def job_update(new: Object, old: Object) -> Problems:
    """What of a Job may not change."""
    was, wanted = meta.spec(old), meta.spec(new)
    for field in _IMMUTABLE:
        if wanted.get(field) != was.get(field):
            yield invalid(("spec", field), wanted.get(field), "field is immutable")
    yield from _completions_update(wanted, was)
    rests = bool(was.get("suspend")) and not meta.status(old).get("startTime")
    if _fixed(wanted, rests) != _fixed(was, rests):
        hint = "delete the Job and create it anew"
        yield invalid(("spec", "template"), wanted.get("template"), "field is immutable", hint)


def _completions_update(wanted: Mapping, was: Mapping) -> Problems:
    count = wanted.get("completions")
    if count == was.get("completions"):
        return
    path: Path = ("spec", "completions")
    if not _is_indexed(wanted):
        yield invalid(path, count, "field is immutable")
    elif count is not None and count != wanted.get("parallelism"):
        yield invalid(path, count, "can only be modified in tandem with spec.parallelism")


def _fixed(spec: Mapping, rests: bool) -> Mapping:
    """The template without what a Job that never began may change: where its pods may run."""
    template: Mapping = spec.get("template") or {}
    if not rests:
        return template
    metadata, pod = dict(template.get("metadata") or {}), dict(template.get("spec") or {})
    for field in ("labels", "annotations"):
        metadata.pop(field, None)
    for field in ("nodeSelector", "tolerations", "schedulingGates"):
        pod.pop(field, None)
    affinity = {k: v for k, v in (pod.pop("affinity", None) or {}).items() if k != "nodeAffinity"}
    return {**template, "metadata": metadata, "spec": pod, "affinity": affinity}


# CronJobs


def cron_job(obj: Object) -> Problems:
    """A CronJob."""
    spec = meta.spec(obj)
    yield from _schedule(("spec", "schedule"), spec.get("schedule"))
    for field in (
        "startingDeadlineSeconds",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
    ):
        yield from fields.non_negative(("spec", field), spec.get(field))
    yield from _time_zone(("spec", "timeZone"), spec.get("timeZone"))
    if spec.get("jobTemplate") is None:
        yield required(("spec", "jobTemplate"))
    else:
        yield from _job_template(("spec", "jobTemplate", "spec"), spec["jobTemplate"])
    name = _named(obj, "name")
    if len(name) > _CRON_NAME_MAX:
        yield invalid(("metadata", "name"), name, "must be no more than 52 characters")


def _schedule(path: Path, text: Any) -> Problems:
    if not text:
        yield required(path)
        return
    if "TZ" in text:
        detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        yield invalid(path, text, detail)
        return
    try:
        cron.parse(text)
    except cron.ScheduleError as error:
        yield invalid(path, text, str(error))


def _time_zone(path: Path, name: Any) -> Problems:
    if name is None:
        return
    if not name:
        yield invalid(path, name, "timeZone must be nil or non-empty string")
    elif name.lower() == "local":
        detail = (
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
        yield invalid(path, name, detail)
    elif not all(_is_zone_part(part) for part in name.split("/")) or not _is_zone(name):
        yield invalid(path, name, f"unknown time zone {name}")


def _is_zone_part(part: str) -> bool:
    sound = _ZONE_PART.fullmatch(part) is not None
    return sound and part not in (".", "..") and not part.startswith("-")


def _is_zone(name: str) -> bool:
    try:
        cron.zone(name)
    except ValueError:
        return False
    return True


def _job_template(path: Path, template: Mapping) -> Problems:
    spec = template.get("spec") or {}
    yield from _job_spec(path, spec)
    if spec.get("selector") is not None:
        yield invalid((*path, "selector"), spec["selector"], "`selector` will be auto-generated")
    if spec.get("manualSelector"):
        yield not_supported((*path, "manualSelector"), True, ["nil", "false"])
