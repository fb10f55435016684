"""Pod templates, and the selectors by which their makers know the pods.

Source: ValidatePodTemplateSpec (pkg/apis/core/validation), ValidateLabelSelector (apimachinery).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netlab.objects import fields, selectors, validate_pod
from netlab.objects.problems import (
    FieldProblem,
    Path,
    forbidden,
    invalid,
    not_supported,
    required,
)

Mapping = dict[str, Any]
Problems = Iterator[FieldProblem]

_NOT_SELECTED = "`selector` does not match template `labels`"


def label_selector(path: Path, selector: Mapping) -> Problems:
    """A LabelSelector's labels and expressions."""
    yield from fields.labels((*path, "matchLabels"), selector.get("matchLabels") or {})
    for index, expression in enumerate(selector.get("matchExpressions") or []):
        yield from _expression((*path, "matchExpressions", index), expression)


def _expression(path: Path, expression: Mapping) -> Problems:
    operator, values = expression.get("operator"), expression.get("values") or []
    if operator in ("In", "NotIn") and not values:
        yield required((*path, "values"), "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        yield forbidden(
            (*path, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        )
    if expression.get("key") is not None:
        yield from fields.qualified_name((*path, "key"), expression["key"])
    for index, value in enumerate(values):
        yield from fields.label_value((*path, "values", index), value)


def is_selector(selector: Mapping) -> bool:
    """Whether it can be asked which labels it selects."""
    expressions = selector.get("matchExpressions") or []
    if not all(one.get("key") and one.get("operator") for one in expressions):
        return False
    return not any(label_selector((), selector))


def selects(path: Path, selector: Mapping | None, template: Mapping) -> Problems:
    """That a selector selects the pods of the template at `path`; None selects nothing."""
    given = (template.get("metadata") or {}).get("labels")
    hint = None
    if selector is not None:
        asked = selectors.from_label_selector(selector)
        if asked.matches(given or {}):
            return
        hint = f"the selector asks for {asked}: give the template these labels"
    yield invalid((*path, "metadata", "labels"), given, _NOT_SELECTED, hint)


def template_of_pods(path: Path, template: Mapping) -> Problems:
    """A PodTemplateSpec."""
    metadata = template.get("metadata") or {}
    yield from fields.labels((*path, "labels"), metadata.get("labels") or {})
    yield from fields.annotation_pairs((*path, "annotations"), metadata.get("annotations") or {})
    yield from validate_pod.pod_spec((*path, "spec"), template.get("spec") or {})
    if (template.get("spec") or {}).get("ephemeralContainers"):
        where: Path = (*path, "spec", "ephemeralContainers")
        yield forbidden(where, "ephemeral containers not allowed in pod template")


def lasting(path: Path, template: Mapping, kind: str) -> Problems:
    """What the template of pods that are to run for ever must not say."""
    spec = template.get("spec") or {}
    policy = spec.get("restartPolicy") or "Always"
    if policy != "Always":
        yield not_supported((*path, "spec", "restartPolicy"), policy, ["Always"])
    if spec.get("activeDeadlineSeconds") is not None:
        yield forbidden(
            (*path, "spec", "activeDeadlineSeconds"),
            f"activeDeadlineSeconds in {kind} is not Supported",
        )
