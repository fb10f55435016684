"""What Deployments, ReplicaSets and the like may say, and their revisions; each of them field by
field in the order in which an API server looks at it.

Source: pkg/apis/apps/validation, and of ReplicationControllers pkg/apis/core/validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netlab.objects import fields, selectors, validate_rollout
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, invalid, not_supported, required
from netlab.objects.validate_template import (
    is_selector,
    label_selector,
    lasting,
    selects,
    template_of_pods,
)

Mapping = dict[str, Any]
Problems = Iterator[FieldProblem]

_SPEC: Path = ("spec",)
_SELECTOR: Path = ("spec", "selector")
_TEMPLATE: Path = ("spec", "template")
_KEPT = ("Retain", "Delete")


def deployment(obj: Object) -> Problems:
    """A Deployment."""
    spec: Mapping = obj.get("spec") or {}
    yield from _counts(spec, "replicas")
    yield from _selector_and_template(spec)
    yield from validate_rollout.deployment((*_SPEC, "strategy"), spec.get("strategy") or {})
    yield from _counts(spec, "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        where = (*_SPEC, "progressDeadlineSeconds")
        yield invalid(where, deadline, "must be greater than minReadySeconds")


def replica_set(obj: Object) -> Problems:
    """A ReplicaSet."""
    spec: Mapping = obj.get("spec") or {}
    yield from _counts(spec, "replicas", "minReadySeconds")
    yield from _selector_and_template(spec)


def _selector_and_template(spec: Mapping) -> Problems:
    """Those of a Deployment or a ReplicaSet, which are told of as if it were a Deployment."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    yield from _selector(selector, "deployment")
    if selector is not None and not is_selector(selector):
        yield invalid(_SELECTOR, selector, "invalid label selector")
        return
    yield from selects(_TEMPLATE, selector, template)
    yield from template_of_pods(_TEMPLATE, template)
    yield from lasting(_TEMPLATE, template, "ReplicaSet")


def _selector(selector: Mapping | None, kind: str) -> Problems:
    if selector is None:
        yield required(_SELECTOR)
        return
    yield from label_selector(_SELECTOR, selector)
    yield from _not_empty(selector, kind)


def _not_empty(selector: Mapping, kind: str) -> Problems:
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield invalid(_SELECTOR, selector, f"empty selector is invalid for {kind}")


def replication_controller(obj: Object) -> Problems:
    """A ReplicationController, whose selector is pairs of labels."""
    spec: Mapping = obj.get("spec") or {}
    yield from _counts(spec, "minReadySeconds")
    selector, template = selectors.label_selector(obj), spec.get("template")
    if not selector:
        yield required(_SELECTOR)
    yield from _counts(spec, "replicas")
    if template is None:
        yield required(_TEMPLATE)
        return
    yield from selects(_TEMPLATE, {**(selector or {})}, template)
    yield from template_of_pods(_TEMPLATE, template)
    yield from lasting(_TEMPLATE, template, "ReplicationController")


def pod_template(obj: Object) -> Problems:
    """A PodTemplate, which nobody makes pods of."""
    yield from template_of_pods(("template",), obj.get("template") or {})


def stateful_set(obj: Object) -> Problems:
    """A StatefulSet; unlike an API server this refuses a negative revisionHistoryLimit, which its
    controller could not keep to."""
    spec: Mapping = obj.get("spec") or {}
    yield from validate_rollout.stateful_set(
        (*_SPEC, "updateStrategy"), spec.get("updateStrategy") or {}
    )
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled"):
        if retention.get(field, "Retain") not in _KEPT:
            where = (*_SPEC, "persistentVolumeClaimRetentionPolicy", field)
            yield not_supported(where, retention[field], _KEPT)
    yield from _counts(spec, "replicas", "minReadySeconds", "revisionHistoryLimit")
    start = (spec.get("ordinals") or {}).get("start")
    yield from fields.non_negative((*_SPEC, "ordinals", "start"), start)
    yield from _stateful_pods(spec)


def _stateful_pods(spec: Mapping) -> Problems:
    selector, template = spec.get("selector"), _with_claims(spec)
    yield from _selector(selector, "statefulset")
    if selector is not None and not is_selector(selector):
        yield invalid(_SELECTOR, selector, "")
    else:
        yield from selects(_TEMPLATE, selector, template)
        yield from template_of_pods(_TEMPLATE, template)
    yield from lasting(_TEMPLATE, template, "StatefulSet")


def _with_claims(spec: Mapping) -> Mapping:
    """The template with a volume for each claim template, as containers mount it, and without
    the names that each pod gets of its own."""
    template: Mapping = spec.get("template") or {}
    pod = {
        field: value
        for field, value in (template.get("spec") or {}).items()
        if field not in ("hostname", "subdomain")
    }
    claims = [(one.get("metadata") or {}).get("name") for one in _claim_templates(spec)]
    if claims:
        own = [one for one in pod.get("volumes") or [] if one.get("name") not in claims]
        pod["volumes"] = [*map(_claimed, claims), *own]
    return {**template, "spec": pod}


def _claim_templates(spec: Mapping) -> list[Mapping]:
    return [one for one in spec.get("volumeClaimTemplates") or [] if one]


def _claimed(name: str | None) -> Mapping:
    return {"name": name or "", "persistentVolumeClaim": {"claimName": name or ""}}


def daemon_set(obj: Object) -> Problems:
    """A DaemonSet."""
    spec: Mapping = obj.get("spec") or {}
    selector, template = spec.get("selector"), spec.get("template") or {}
    if selector is not None:
        yield from label_selector(_SELECTOR, selector)
    if selector is None or is_selector(selector):
        yield from selects(_TEMPLATE, selector, template)
    if selector is not None:
        yield from _not_empty(selector, "daemonset")
    yield from template_of_pods(_TEMPLATE, template)
    yield from lasting(_TEMPLATE, template, "DaemonSet")
    yield from _counts(spec, "minReadySeconds")
    strategy = spec.get("updateStrategy") or {}
    yield from validate_rollout.daemon_set((*_SPEC, "updateStrategy"), strategy)
    yield from _counts(spec, "revisionHistoryLimit")


def controller_revision(obj: Object) -> Problems:
    """A ControllerRevision: what it holds is opaque, but must be there."""
    yield from fields.non_negative(("revision",), obj.get("revision"))
    if obj.get("data") is None:
        yield required(("data",), "data is mandatory")


def _counts(spec: Mapping, *names: str) -> Problems:
    for name in names:
        yield from fields.non_negative((*_SPEC, name), spec.get(name))
