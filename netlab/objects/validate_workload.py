"""What Deployments, ReplicaSets and the like may say, and their revisions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from netlab.objects import fields, meta, selectors, validate_pod
from netlab.objects.meta import Object
from netlab.objects.problems import (
    FieldProblem,
    Path,
    forbidden,
    invalid,
    not_supported,
    required,
)

Mapping = dict[str, Any]

_NOT_SELECTED = "`selector` does not match template `labels`"
_PERCENT = re.compile(r"[0-9]{1,9}%")
_PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)


def deployment(obj: Object) -> Iterator[FieldProblem]:
    """A Deployment."""
    spec: Mapping = obj.get("spec") or {}
    yield from _pods_of(spec, "deployment")
    for field in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        yield from fields.non_negative(("spec", field), spec.get(field))
    yield from _strategy(spec.get("strategy") or {})
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        yield invalid(
            ("spec", "progressDeadlineSeconds"), deadline, "must be greater than minReadySeconds"
        )


def replica_set(obj: Object) -> Iterator[FieldProblem]:
    """A ReplicaSet."""
    spec: Mapping = obj.get("spec") or {}
    yield from _pods_of(spec, "replicaset")
    for field in ("replicas", "minReadySeconds"):
        yield from fields.non_negative(("spec", field), spec.get(field))


def replication_controller(obj: Object) -> Iterator[FieldProblem]:
    """A ReplicationController, whose selector is pairs of labels."""
    spec: Mapping = obj.get("spec") or {}
    for field in ("replicas", "minReadySeconds"):
        yield from fields.non_negative(("spec", field), spec.get(field))
    selector, template = selectors.label_selector(obj), spec.get("template")
    if not selector:
        yield required(("spec", "selector"))
    if template is None:
        yield required(("spec", "template"))
    else:
        yield from _lasting_template(template, "ReplicationController")
        yield from selects({**(selector or {})}, template)


def pod_template(obj: Object) -> Iterator[FieldProblem]:
    """A PodTemplate, which nobody makes pods of."""
    yield from template_of_pods(("template",), obj.get("template") or {})


def stateful_set(obj: Object) -> Iterator[FieldProblem]:
    """A StatefulSet."""
    spec: Mapping = obj.get("spec") or {}
    yield from _pods_of(_with_claims(spec), "statefulset")
    for field in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        yield from fields.non_negative(("spec", field), spec.get(field))


def _with_claims(spec: Mapping) -> Mapping:
    """With a volume for each claim template: that is what containers mount."""
    template: Mapping = spec.get("template") or {}
    names = [meta.name(claim) for claim in spec.get("volumeClaimTemplates") or [] if claim]
    if not names or not template.get("spec"):
        return spec
    given = [one for one in template["spec"].get("volumes") or [] if one.get("name") not in names]
    claims = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names]
    pod = {**template["spec"], "volumes": [*given, *claims]}
    return {**spec, "template": {**template, "spec": pod}}


def daemon_set(obj: Object) -> Iterator[FieldProblem]:
    """A DaemonSet."""
    spec: Mapping = obj.get("spec") or {}
    yield from _pods_of(spec, "daemonset")
    yield from _rolling(("spec", "updateStrategy"), spec.get("updateStrategy") or {})


def controller_revision(obj: Object) -> Iterator[FieldProblem]:
    """A ControllerRevision: what it holds is opaque, but must be there."""
    if obj.get("data") is None:
        yield required(("data",), "data is mandatory")
    yield from fields.non_negative(("revision",), obj.get("revision"))


def _pods_of(spec: Mapping, kind: str) -> Iterator[FieldProblem]:
    """The selector, the template, and that the one selects the other."""
    selector, template = spec.get("selector"), spec.get("template")
    for field, value in (("selector", selector), ("template", template)):
        if value is None:
            yield required(("spec", field))
    if selector is not None:
        yield from _selector(("spec", "selector"), selector, kind)
    if template is not None:
        yield from _lasting_template(template)
    if template is not None and selector is None:
        labels = (template.get("metadata") or {}).get("labels") or {}
        yield invalid(("spec", "template", "metadata", "labels"), labels, _NOT_SELECTED)
    if selector and template is not None:
        yield from selects(selector, template)


def _selector(path: Path, selector: Mapping, kind: str) -> Iterator[FieldProblem]:
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield invalid(path, selector, f"empty selector is invalid for {kind}")
    yield from label_selector(path, selector)


def label_selector(path: Path, selector: Mapping) -> Iterator[FieldProblem]:
    """A LabelSelector's labels and expressions."""
    yield from fields.labels((*path, "matchLabels"), selector.get("matchLabels") or {})
    for index, expression in enumerate(selector.get("matchExpressions") or []):
        yield from _expression((*path, "matchExpressions", index), expression)


def _expression(path: Path, expression: Mapping) -> Iterator[FieldProblem]:
    operator, values = expression.get("operator"), expression.get("values") or []
    if expression.get("key"):
        yield from fields.qualified_name((*path, "key"), expression["key"])
    if operator in ("In", "NotIn") and not values:
        yield required((*path, "values"), "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        yield forbidden(
            (*path, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        )
    for index, value in enumerate(values):
        yield from fields.label_value((*path, "values", index), value)


def selects(selector: Mapping, template: Mapping) -> Iterator[FieldProblem]:
    """That an object's selector selects the pods of its template."""
    expressions = selector.get("matchExpressions") or []
    if not all(one.get("key") and one.get("operator") for one in expressions):
        return  # the schema has said so
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selectors.from_label_selector(selector).matches(labels):
        wanted = str(selectors.from_label_selector(selector))
        yield invalid(
            ("spec", "template", "metadata", "labels"),
            labels,
            _NOT_SELECTED,
            f"the selector asks for {wanted}: give the template these labels",
        )


def template_of_pods(path: Path, template: Mapping) -> Iterator[FieldProblem]:
    """A PodTemplateSpec."""
    metadata = template.get("metadata") or {}
    yield from fields.labels((*path, "metadata", "labels"), metadata.get("labels") or {})
    yield from validate_pod.pod_spec((*path, "spec"), template.get("spec") or {})
    if (template.get("spec") or {}).get("ephemeralContainers"):
        where: Path = (*path, "spec", "ephemeralContainers")
        yield forbidden(where, "ephemeral containers not allowed in pod template")


def _lasting_template(template: Mapping, kind: str = "ReplicaSet") -> Iterator[FieldProblem]:
    """The template of pods that are to run for ever."""
    path: Path = ("spec", "template")
    spec = template.get("spec") or {}
    yield from template_of_pods(path, template)
    policy = spec.get("restartPolicy", "Always")
    if policy != "Always":
        yield not_supported((*path, "spec", "restartPolicy"), policy, ["Always"])
    if spec.get("activeDeadlineSeconds") is not None:
        yield forbidden(
            (*path, "spec", "activeDeadlineSeconds"),
            f"activeDeadlineSeconds in {kind} is not Supported",
        )


def _strategy(strategy: Mapping) -> Iterator[FieldProblem]:
    type_ = strategy.get("type", "RollingUpdate")
    if type_ != "RollingUpdate" and strategy.get("rollingUpdate") is not None:
        yield forbidden(
            ("spec", "strategy", "rollingUpdate"),
            f"may not be specified when strategy `type` is '{type_}'",
        )
    else:
        yield from _rolling(("spec", "strategy"), strategy)


def _rolling(parent: Path, strategy: Mapping) -> Iterator[FieldProblem]:
    path: Path = (*parent, "rollingUpdate")
    rolling = strategy.get("rollingUpdate") or {}
    bad = list(_amounts(path, rolling))
    yield from bad
    stuck = _is_zero(rolling.get("maxSurge", 1)) and _is_zero(rolling.get("maxUnavailable", 1))
    if stuck and not bad:
        yield invalid(
            (*path, "maxUnavailable"),
            rolling["maxUnavailable"],
            "may not be 0 when `maxSurge` is 0",
        )


def _amounts(path: Path, rolling: Mapping) -> Iterator[FieldProblem]:
    for field in ("maxSurge", "maxUnavailable"):
        amount = rolling.get(field)
        if isinstance(amount, int):
            yield from fields.non_negative((*path, field), amount)
        elif isinstance(amount, str) and not _PERCENT.fullmatch(amount):
            yield invalid((*path, field), amount, _PERCENT_RULE)
        elif field == "maxUnavailable" and isinstance(amount, str) and int(amount[:-1]) > 100:
            yield invalid((*path, field), amount, "must not be greater than 100%")


def _is_zero(amount: int | str) -> bool:
    return amount in (0, "0%")
