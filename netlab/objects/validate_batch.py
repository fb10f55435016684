"""What Jobs and CronJobs may say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from netlab.objects import cron, fields, indexes, meta, names, selectors
from netlab.objects.meta import Object
from netlab.objects.problems import (
    FieldProblem,
    Key,
    Path,
    duplicate,
    invalid,
    not_supported,
    quote,
    required,
    too_long,
)
from netlab.objects.validate_template import (
    is_selector,
    label_selector,
    selects,
    template_of_pods,
)

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
_MANAGED_BY_MAX = 63
_ACTIONS, _OPERATORS = ("Count", "FailIndex", "FailJob", "Ignore"), ("In", "NotIn")
_MAX_RULES, _MAX_VALUES = 20, 255
_MAX_INDEXES_TEXT = 64 * 1024
_OF_SUCCESS = ("succeededIndexes", "succeededCount")
_POLICIES = ("OnFailure", "Never")
_URL_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
_CRON_NAME_MAX = 52
_IMMUTABLE = (
    "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy",
    "successPolicy",
)  # fmt: skip
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")


def job(obj: Object) -> Problems:
    """A Job; one that is not stored yet has no selector, but for one of its own."""
    spec = meta.spec(obj)
    yield from _generated_selector(obj, spec)
    yield from _job_spec(("spec",), spec)
    yield from _selector(obj, spec)
    count, name = spec.get("completions"), _named(obj, "name")
    if _is_indexed(spec) and count and count > 0 and name:
        longest = f"{name}-{count - 1}"
        if not names.is_dns_label(longest):
            detail = f"will not able to create pod with invalid DNS label: {longest}"
            yield invalid(("metadata", "name"), name, detail)


def _generated_selector(obj: Object, spec: Mapping) -> Problems:
    """That the selector, unless it is manual, is the one that a Job makes of its uid and name, and
    its template has the labels for it."""
    selector = spec.get("selector")
    if spec.get("manualSelector") or selector is None:
        return
    name, uid = _named(obj, "name"), _named(obj, "uid")
    own = {"controller-uid": uid, "job-name": name, CONTROLLER_UID: uid, JOB_NAME: name}
    if uid:
        yield from _own_labels(spec, own)
    if not uid and not selector.get("matchExpressions"):  # of a file, which has no uid yet
        own |= {label: selector["matchLabels"].get(label, "") for label in _uids(selector)}
    if is_selector(selector) and not selectors.from_label_selector(selector).matches(own):
        hint = "leave the selector out: a Job makes its own"
        yield invalid(("spec", "selector"), selector, "`selector` not auto-generated", hint)


def _uids(selector: Mapping) -> list[str]:
    return [label for label in (CONTROLLER_UID, "controller-uid") if label in _pairs(selector)]


def _pairs(selector: Mapping) -> Mapping:
    return selector.get("matchLabels") or {}


def _own_labels(spec: Mapping, own: Mapping) -> Problems:
    path: Path = ("spec", "template", "metadata", "labels")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    for label, value in own.items():
        where: Path = (*path, Key(label))
        if label not in labels:
            yield required(where, f"must be '{value}'")
        elif labels[label] != value:
            yield invalid(where, labels, f"must be '{value}'")


def _selector(obj: Object, spec: Mapping) -> Problems:
    selector, path = spec.get("selector"), ("spec", "selector")
    if selector is None:
        if spec.get("manualSelector") or _named(obj, "uid"):
            yield required(path)
            yield from selects(("spec", "template"), None, spec.get("template") or {})
        return
    yield from label_selector(path, selector)
    if is_selector(selector) and (spec.get("manualSelector") or _named(obj, "uid")):
        yield from selects(("spec", "template"), selector, spec.get("template") or {})


def _named(obj: Object, field: str) -> str:
    """The name or the uid; "" while it has none."""
    return str((obj.get("metadata") or {}).get(field) or "")


def _is_indexed(spec: Mapping) -> bool:
    return spec.get("completionMode") == "Indexed"


def _job_spec(path: Path, spec: Mapping) -> Problems:
    for field in _COUNTS:
        yield from fields.non_negative((*path, field), spec.get(field))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        yield required((*path, "backoffLimitPerIndex"), "when maxFailedIndexes is specified")
    yield from _managed_by((*path, "managedBy"), spec.get("managedBy"))
    yield from _indexed(path, spec) if _is_indexed(spec) else _not_indexed(path, spec)
    if spec.get("podFailurePolicy") is not None:
        yield from _failure_policy((*path, "podFailurePolicy"), spec)
    yield from _success(path, spec)
    replacement = spec.get("podReplacementPolicy", "Failed")
    if spec.get("podFailurePolicy") is not None and replacement != "Failed":
        yield not_supported((*path, "podReplacementPolicy"), replacement, ["Failed"])
    yield from template_of_pods((*path, "template"), spec.get("template") or {})
    yield from _restart_policy((*path, "template", "spec", "restartPolicy"), spec)


def _managed_by(path: Path, name: str | None) -> Problems:
    """A domain with a path below it."""
    if name is None:
        return
    domain, slash, below = name.partition("/")
    if not name:
        yield required(path)
    elif not slash or not domain or not below:
        yield invalid(path, name, 'must be a domain-prefixed path (such as "acme.io/foo")')
    else:
        yield from fields.dns_subdomain(path, domain)
        if not _URL_PATH.fullmatch(below):
            detail = f"Invalid path (regex used for validation is '{_URL_PATH.pattern}')"
            yield invalid(path, below, detail)
    if len(name) > _MANAGED_BY_MAX:
        yield too_long(path, _MANAGED_BY_MAX)


def _restart_policy(path: Path, spec: Mapping) -> Problems:
    template = spec.get("template") or {}
    policy = (template.get("spec") or {}).get("restartPolicy") or "Always"
    if policy == "Always":
        yield required(path, 'valid values: "OnFailure", "Never"')
    elif policy in _POLICIES and spec.get("podFailurePolicy") is not None and policy != "Never":
        yield invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')


def _indexed(path: Path, spec: Mapping) -> Problems:
    """Upstream takes more completions than this, unless failures are counted apart."""
    count, failed = spec.get("completions"), spec.get("maxFailedIndexes")
    if count is None:
        yield required((*path, "completions"), "when completion mode is Indexed")
    for field in ("parallelism", "completions"):
        if (spec.get(field) or 0) > MAX_INDEXED:
            detail = f"must be less than or equal to {MAX_INDEXED} when completion mode is Indexed"
            yield invalid((*path, field), spec[field], detail)
    where: Path = (*path, "maxFailedIndexes")
    if failed is not None and count is not None and failed > count:
        yield invalid(where, failed, "must be less than or equal to completions")
    if failed is not None and failed > MAX_INDEXED:
        yield invalid(where, failed, f"must be less than or equal to {MAX_INDEXED}")


def _not_indexed(path: Path, spec: Mapping) -> Problems:
    for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if spec.get(field) is not None:
            yield invalid((*path, field), spec[field], "requires indexed completion mode")


def _success(path: Path, spec: Mapping) -> Problems:
    policy, count = spec.get("successPolicy"), spec.get("completions")
    where: Path = (*path, "successPolicy")
    if policy is None:
        return
    if not _is_indexed(spec):
        yield invalid(where, _shown_success(policy), "requires indexed completion mode")
    elif count is not None and count <= MAX_INDEXED:
        yield from _success_policy((*where, "rules"), policy, count)


def _shown_success(policy: Mapping | None) -> Mapping | None:
    """As the Go types have it."""
    if policy is None:
        return None
    rules = policy.get("rules")
    if rules is not None:
        rules = [
            {name[0].upper() + name[1:]: rule.get(name) for name in _OF_SUCCESS} for rule in rules
        ]
    return {"Rules": rules}


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
    total = 0
    if text is not None:
        where: Path = (*path, "succeededIndexes")
        if len(text) > _MAX_INDEXES_TEXT:
            yield too_long(where, _MAX_INDEXES_TEXT)
        try:
            total = len(indexes.parse(text, completions))
        except indexes.IndexesError as error:
            yield invalid(where, text, f"error parsing succeededIndexes: {error}")
    if count is not None:
        where = (*path, "succeededCount")
        yield from fields.non_negative(where, count)
        yield from _not_above(where, count, completions, "the number of specified completions")
        if text is not None:
            yield from _not_above(where, count, total, _NUMBER_OF_INDEXES)


_NUMBER_OF_INDEXES = "the number of indexes in the specified succeededIndexes field"


def _not_above(path: Path, count: int, limit: int, what: str) -> Problems:
    if count > limit:
        yield invalid(path, count, f"must be less than or equal to {limit} ({what})")


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
        if rule.get("action") is None:
            yield required((*where, "action"), _valid(_ACTIONS))
        elif rule["action"] == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            detail = "requires the backoffLimitPerIndex to be set"
            yield invalid((*where, "action"), "FailIndex", detail)
        yield from _failure_rule(where, rule, containers)


def _valid(values: Sequence[str]) -> str:
    return f"valid values: [{' '.join(map(quote, values))}]"


def _failure_rule(path: Path, rule: Mapping, containers: set[Any]) -> Problems:
    codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or []
    if codes is not None:
        yield from _exit_codes((*path, "onExitCodes"), codes, containers)
    yield from fields.at_most((*path, "onPodConditions"), patterns, _MAX_RULES)
    for index, pattern in enumerate(patterns):
        where: Path = (*path, "onPodConditions", index, "type")
        yield from fields.qualified_name(where, pattern.get("type") or "")
    one = "OnExitCodes and OnPodConditions is"
    if codes is not None and patterns:
        yield FieldProblem(path, f"Invalid value: specifying both {one} not supported")
    if codes is None and not patterns:
        yield FieldProblem(path, f"Invalid value: specifying one of {one} required")


def _exit_codes(path: Path, codes: Mapping, containers: set[Any]) -> Problems:
    container = codes.get("containerName")
    if codes.get("operator") is None:
        yield required((*path, "operator"), _valid(_OPERATORS))
    if container is not None and container not in containers:
        detail = "must be one of the container or initContainer names in the pod template"
        yield invalid((*path, "containerName"), container, detail)
    values: Sequence[int] = codes.get("values") or []
    where: Path = (*path, "values")
    if not values:
        yield invalid(where, codes.get("values"), "at least one value is required")
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
            shown = _SHOWN.get(field, _as_it_is)(wanted.get(field))
            yield invalid(("spec", field), shown, "field is immutable")
    yield from _completions_update(wanted, was)
    rests = bool(was.get("suspend")) and not meta.status(old).get("startTime")
    if _fixed(wanted, rests) != _fixed(was, rests):
        hint = "delete the Job and create it anew"
        yield invalid(("spec", "template"), wanted.get("template"), "field is immutable", hint)


def _as_it_is(value: Any) -> Any:
    return value


def _shown_failure(policy: Mapping | None) -> Mapping | None:
    """As the Go types have it."""
    if policy is None:
        return None
    return {"Rules": [_shown_rule(rule) for rule in policy.get("rules") or []]}


def _shown_rule(rule: Mapping) -> Mapping:
    codes = rule.get("onExitCodes")
    patterns = [
        {"Type": one.get("type"), "Status": one.get("status")}
        for one in rule.get("onPodConditions") or []
    ]
    if codes is not None:
        names = ("containerName", "operator", "values")
        codes = {name[0].upper() + name[1:]: codes.get(name) for name in names}
    return {
        "Action": rule.get("action"),
        "OnExitCodes": codes,
        "OnPodConditions": patterns or None,
    }


_SHOWN = {"podFailurePolicy": _shown_failure, "successPolicy": _shown_success}
"""Fields that are told of as the Go types have them."""


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
    yield from _job_template(("spec", "jobTemplate", "spec"), spec.get("jobTemplate") or {})
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
