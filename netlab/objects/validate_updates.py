"""What may not change once an object is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, forbidden, invalid

Mapping = dict[str, Any]
_Rules = Callable[[Object, Object], Iterator[FieldProblem]]

IMMUTABLE = "field is immutable"
_POD_RULE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
    "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
    "(allow it to be set to 1 if it was previously negative)"
)
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


def update(new: Object, old: Object) -> Iterator[FieldProblem]:
    """Every immutable field that an update would change."""
    for field in ("name", "namespace", "uid", "creationTimestamp"):
        was, wanted = _metadata(old).get(field), _metadata(new).get(field)
        if wanted is not None and was is not None and wanted != was:
            yield invalid(("metadata", field), wanted, IMMUTABLE)
    rules = _BY_KIND.get(str(old.get("kind")))
    if rules is not None:
        yield from rules(new, old)


def _metadata(obj: Object) -> Mapping:
    return obj.get("metadata") or {}


def _spec(obj: Object) -> Mapping:
    return obj.get("spec") or {}


def _at(obj: Object, path: Path) -> Any:
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _keeps(*path: str) -> _Rules:
    """A rule: what stands at this path stays as it was."""

    def rule(new: Object, old: Object) -> Iterator[FieldProblem]:
        wanted = _at(new, path)
        if wanted != _at(old, path):
            yield invalid(path, wanted, IMMUTABLE)

    return rule


def _pod(new: Object, old: Object) -> Iterator[FieldProblem]:
    before, after = _mutable_apart(_spec(old)), _mutable_apart(_spec(new))
    if not before.get("nodeName"):  # the binding is an update here
        before.pop("nodeName", None)
        after.pop("nodeName", None)
    if before != after:
        yield forbidden(
            ("spec",), _POD_RULE, f"changed: {', '.join(_changed(before, after))}; delete the pod "
            "and create it anew"
        )  # fmt: skip
        return
    kept = _spec(new).get("tolerations") or []
    if any(one not in kept for one in _spec(old).get("tolerations") or []):
        yield forbidden(("spec", "tolerations"), "existing toleration can not be modified except "
                        "its tolerationSeconds")  # fmt: skip


def _mutable_apart(spec: Mapping) -> Mapping:
    """The spec without what an update may change."""
    left = dict(spec)
    for field in ("activeDeadlineSeconds", "tolerations", "ephemeralContainers"):
        left.pop(field, None)
    if (left.get("terminationGracePeriodSeconds") or 0) < 0:
        left["terminationGracePeriodSeconds"] = 1
    for field in ("containers", "initContainers"):
        if left.get(field):
            left[field] = [{**container, "image": ""} for container in left[field]]
    return left


def _changed(before: Mapping, after: Mapping) -> list[str]:
    return sorted(
        f"spec.{name}" for name in {*before, *after} if before.get(name) != after.get(name)
    )


def _service(new: Object, old: Object) -> Iterator[FieldProblem]:
    was, wanted = _spec(old), _spec(new)
    lasting = was.get("type") == wanted.get("type") == "LoadBalancer"
    if lasting and wanted.get("loadBalancerClass") != was.get("loadBalancerClass"):
        path = ("spec", "loadBalancerClass")
        yield invalid(path, wanted.get("loadBalancerClass"), "may not change once set")
    if "ExternalName" in (was.get("type"), wanted.get("type")):
        return  # such a Service has no address to keep
    before, after = _addresses(was), _addresses(wanted)
    for index, address in enumerate(before):
        if index < len(after) and after[index] != address:
            yield invalid(("spec", "clusterIPs", index), after, "may not change once set")
    families = wanted.get("ipFamilies") or []
    if families and families[:1] != (was.get("ipFamilies") or families)[:1]:
        yield invalid(("spec", "ipFamilies", 0), families[0], "may not change once set")


def _addresses(spec: Mapping) -> list[str]:
    written = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return [address for address in written if address]


def _stateful_set(new: Object, old: Object) -> Iterator[FieldProblem]:
    fixed = {name for name in {*_spec(new), *_spec(old)} if name not in _STATEFUL_SET_FIELDS}
    if any(_spec(new).get(name) != _spec(old).get(name) for name in fixed):
        yield forbidden(("spec",), _STATEFUL_SET_RULE)


def _config(new: Object, old: Object) -> Iterator[FieldProblem]:
    if old.get("immutable"):
        for field in ("immutable", "data", "binaryData"):
            if (new.get(field) or {}) != (old.get(field) or {}):
                yield forbidden((field,), "field is immutable when `immutable` is set")


def _secret(new: Object, old: Object) -> Iterator[FieldProblem]:
    yield from _config(new, old)
    yield from _keeps("type")(new, old)


def _node(new: Object, old: Object) -> Iterator[FieldProblem]:
    was = _spec(old).get("podCIDRs")
    if was and _spec(new).get("podCIDRs") != was:
        yield forbidden(
            ("spec", "podCIDRs"), 'node updates may not change podCIDR except from "" to valid'
        )


_BY_KIND: dict[str, _Rules] = {
    "ConfigMap": _config,
    "ControllerRevision": _keeps("data"),
    "DaemonSet": _keeps("spec", "selector"),
    "Deployment": _keeps("spec", "selector"),
    "EndpointSlice": _keeps("addressType"),
    "IngressClass": _keeps("spec", "controller"),
    "Node": _node,
    "Pod": _pod,
    "ReplicaSet": _keeps("spec", "selector"),
    "Secret": _secret,
    "Service": _service,
    "ServiceCIDR": _keeps("spec", "cidrs"),
    "StatefulSet": _stateful_set,
}
