"""How what keeps pods running is stored: Deployments, ReplicaSets …, and their revisions."""

from __future__ import annotations

from netlab.objects import fields, meta, validate_counts, validate_workload
from netlab.objects.kinds.workloads import (
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    POD_TEMPLATE,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
)
from netlab.objects.meta import Object
from netlab.objects.problems import forbidden
from netlab.objects.strategies.pods import default_pod_spec
from netlab.objects.strategies.storage import default_claim_spec
from netlab.objects.strategies.strategy import Mapping, Problems, Strategy, fill, keeps, spec_of

_STATEFUL_SET_FIELDS = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_STATEFUL_SET_RULE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
    "'minReadySeconds' are forbidden"
)


def _template(spec: Mapping) -> None:
    template = spec.get("template")
    if template:
        default_pod_spec(spec_of(template))


def _replicas(spec: Mapping) -> None:
    if spec.get("replicas") is None:
        spec["replicas"] = 1


def _replica_set(obj: Object) -> None:
    spec = spec_of(obj)
    _replicas(spec)
    _template(spec)


def _replication_controller(obj: Object) -> None:
    _replica_set(obj)
    labels = ((obj["spec"].get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        fill(obj["spec"], selector=dict(labels))
        fill(obj["metadata"], labels=dict(labels))


def _deployment(obj: Object) -> None:
    spec = spec_of(obj)
    _replicas(spec)
    _template(spec)
    fill(spec, strategy={})
    fill(spec["strategy"], type="RollingUpdate")
    if spec["strategy"]["type"] == "RollingUpdate":
        fill(spec["strategy"], rollingUpdate={})
        _amounts(spec["strategy"]["rollingUpdate"], maxSurge="25%", maxUnavailable="25%")
    fill(spec, revisionHistoryLimit=10, progressDeadlineSeconds=600)


def _amounts(rolling: Mapping, **defaults: int | str) -> None:
    """Set what is not there; an empty text is, and is none."""
    for name, value in defaults.items():
        if rolling.get(name) is None:
            rolling[name] = value


def _stateful_set(obj: Object) -> None:
    spec = spec_of(obj)
    _replicas(spec)
    _template(spec)
    fill(spec, podManagementPolicy="OrderedReady", updateStrategy={}, revisionHistoryLimit=10)
    fill(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        fill(spec["updateStrategy"], rollingUpdate={"partition": 0})
    # The feature is switched off in 1.33, which drops the field.
    (spec["updateStrategy"].get("rollingUpdate") or {}).pop("maxUnavailable", None)
    for claim in spec.get("volumeClaimTemplates") or []:
        default_claim_spec(spec_of(claim))
        fill(claim, status={"phase": "Pending"})
    fill(spec, persistentVolumeClaimRetentionPolicy={})
    fill(spec["persistentVolumeClaimRetentionPolicy"], whenDeleted="Retain", whenScaled="Retain")


def _stateful_set_update(new: Object, old: Object) -> Problems:
    was, wanted = meta.spec(old), meta.spec(new)
    fixed = {*wanted, *was}.difference(_STATEFUL_SET_FIELDS)
    if any(wanted.get(name) != was.get(name) for name in fixed):
        yield forbidden(("spec",), _STATEFUL_SET_RULE)


def _daemon_set(obj: Object) -> None:
    spec = spec_of(obj)
    _template(spec)
    fill(spec, updateStrategy={}, revisionHistoryLimit=10)
    fill(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        fill(spec["updateStrategy"], rollingUpdate={})
        _amounts(spec["updateStrategy"]["rollingUpdate"], maxSurge=0, maxUnavailable=1)


def _pod_template(obj: Object) -> None:
    _template(obj)


def _controller_revision(obj: Object) -> None:
    if obj.get("revision") is None:
        obj["revision"] = 0


STRATEGIES = {
    DEPLOYMENT: Strategy(
        default=_deployment,
        validate=validate_workload.deployment,
        validate_status_update=validate_counts.rule(validate_counts.DEPLOYMENT),
        validate_update=keeps("spec", "selector"),
    ),
    REPLICA_SET: Strategy(
        default=_replica_set,
        validate=validate_workload.replica_set,
        validate_status_update=validate_counts.rule(validate_counts.REPLICA_SET),
        validate_update=keeps("spec", "selector"),
    ),
    REPLICATION_CONTROLLER: Strategy(
        default=_replication_controller,
        validate=validate_workload.replication_controller,
        validate_status_update=validate_counts.rule(validate_counts.REPLICA_SET),
    ),
    POD_TEMPLATE: Strategy(
        default=_pod_template,
        validate=validate_workload.pod_template,
    ),
    STATEFUL_SET: Strategy(
        default=_stateful_set,
        validate=validate_workload.stateful_set,
        validate_status_update=validate_counts.rule(validate_counts.STATEFUL_SET),
        validate_name=fields.dns_label,
        validate_update=_stateful_set_update,
    ),
    DAEMON_SET: Strategy(
        default=_daemon_set,
        validate=validate_workload.daemon_set,
        validate_status_update=validate_counts.rule(validate_counts.DAEMON_SET),
        validate_update=keeps("spec", "selector"),
    ),
    CONTROLLER_REVISION: Strategy(
        default=_controller_revision,
        validate=validate_workload.controller_revision,
        validate_update=keeps("data"),
    ),
}
