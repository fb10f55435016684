"""Whether an object is allowed, in the API server's own words and with its field paths.

`validate` is for defaulted objects (see `defaults`), `validate_update` compares with what is
stored. Both return every problem; neither raises, whatever JSON it is given.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from netlab.objects import (
    fields,
    validate_network,
    validate_pod,
    validate_service,
    validate_updates,
    validate_workload,
)
from netlab.objects.examination import Examination, examine
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, forbidden, invalid, required

_Rules = Callable[[Object], Iterator[FieldProblem]]

# Structure that the API server checks after decoding: 422, not 400.
_CHECKED_HERE = ("FieldValueNotSupported", "FieldValueRequired")
_ANNOTATIONS_MAX = 256 * 1024
_CONFIG_MAX = 1024 * 1024
_NO_LINE_BREAKS = str.maketrans("", "", "\r\n")


def validate(obj: Object) -> list[FieldProblem]:
    """Everything wrong with an object's values: names, labels, ports, enums, required fields."""
    found = examine(obj)
    structural = [one for one in found.problems if one.reason in _CHECKED_HERE]
    return unique([one for one in structural + rule_problems(found) if not _in_status(one)])


def _in_status(problem: FieldProblem) -> bool:
    """What controllers and kubelets leave out of a status hinders nobody's update."""
    return problem.path[:1] == ("status",)


def rule_problems(found: Examination) -> list[FieldProblem]:
    """What the rules of its kind say about an examined object's sound copy."""
    return [one for one in _rules(found.sound) if not found.concerns_lost(one.path)]


def validate_update(new: Object, old: Object) -> list[FieldProblem]:
    """What may not change: immutable fields of `new` that differ from the stored `old`."""
    return unique(validate_updates.update(new, old))


def unique(problems: Iterable[FieldProblem]) -> list[FieldProblem]:
    """The problems in order, one of each field: the first said is the plainest."""
    seen: dict[tuple[Path, str], FieldProblem] = {}
    for problem in problems:
        seen.setdefault((problem.path, problem.reason), problem)
    return list(seen.values())


def _rules(obj: Object) -> Iterator[FieldProblem]:
    kind = str(obj.get("kind"))
    yield from _metadata(kind, obj.get("metadata") or {})
    rules = _BY_KIND.get(kind)
    if rules is not None:
        yield from rules(obj)


def _metadata(kind: str, metadata: dict[str, Any]) -> Iterator[FieldProblem]:
    path: Path = ("metadata",)
    name = metadata.get("name") or ""
    if not name and not metadata.get("generateName"):
        yield required((*path, "name"), "name or generateName is required")
    elif name:
        yield from _NAME_RULES.get(kind, fields.dns_subdomain)((*path, "name"), name)
    yield from _namespace(kind, metadata.get("namespace") or "")
    yield from fields.labels((*path, "labels"), metadata.get("labels") or {})
    yield from _annotations((*path, "annotations"), metadata.get("annotations") or {})
    for index, finalizer in enumerate(metadata.get("finalizers") or []):
        yield from fields.qualified_name((*path, "finalizers", index), finalizer)
    yield from _one_controller((*path, "ownerReferences"), metadata.get("ownerReferences") or [])


def _namespace(kind: str, namespace: str) -> Iterator[FieldProblem]:
    path: Path = ("metadata", "namespace")
    known = BY_KIND.get(kind)
    if namespace and known is not None and not known.namespaced:
        yield forbidden(path, "not allowed on this type")
    elif namespace:
        yield from fields.dns_label(path, namespace)


def _annotations(path: Path, annotations: dict[str, str]) -> Iterator[FieldProblem]:
    for key in annotations:
        yield from fields.qualified_name(path, key.lower())
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_MAX:
        text = f"Too long: may not be more than {_ANNOTATIONS_MAX} bytes"
        yield FieldProblem(path, text, None, "FieldValueTooLong")


def _one_controller(path: Path, references: list[dict[str, Any]]) -> Iterator[FieldProblem]:
    found = [f"{one.get('kind')}/{one.get('name')}" for one in references if one.get("controller")]
    for other in found[1:]:
        yield invalid(
            path,
            references,
            "Only one reference can have Controller set to true. "
            f'Found "true" in references for {found[0]} and {other}',
        )


def _node(obj: Object) -> Iterator[FieldProblem]:
    spec = obj.get("spec") or {}
    if spec.get("podCIDR"):
        yield from fields.cidr(("spec", "podCIDR"), spec["podCIDR"])
    for index, text in enumerate(spec.get("podCIDRs") or []):
        yield from fields.cidr(("spec", "podCIDRs", index), text)
    for index, taint in enumerate(spec.get("taints") or []):
        path: Path = ("spec", "taints", index)
        yield from fields.qualified_name((*path, "key"), taint.get("key") or "key")
        yield from fields.label_value((*path, "value"), taint.get("value") or "")


def _config(obj: Object) -> Iterator[FieldProblem]:
    """Keys of a ConfigMap or Secret, which become file names, and the size of it all."""
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            size += len(value.encode())
            yield from fields.config_key((field, key), key)
            if field == "binaryData" or obj["kind"] == "Secret":
                yield from _base64((field, key), value)
    for key in (obj.get("data") or {}).keys() & (obj.get("binaryData") or {}).keys():
        yield invalid(("data", key), key, "duplicate of key present in binaryData")
    if size > _CONFIG_MAX:
        text = f"Too long: may not be more than {_CONFIG_MAX} bytes"
        yield FieldProblem(("data",), text, None, "FieldValueTooLong")


def _base64(path: Path, text: str) -> Iterator[FieldProblem]:
    """Bytes as JSON has them; line breaks may stand anywhere in them."""
    try:
        base64.b64decode(text.translate(_NO_LINE_BREAKS), validate=True)
    except ValueError:
        hint = "write plain text in stringData" if path[0] == "data" else None
        yield invalid(path, text, "illegal base64 data", hint)


_NAME_RULES: dict[str, Callable[[Path, str], Iterator[FieldProblem]]] = {
    "Namespace": fields.dns_label,
    "Service": fields.dns_1035_label,
}

_BY_KIND: dict[str, _Rules] = {
    "ConfigMap": _config,
    "ControllerRevision": validate_workload.controller_revision,
    "DaemonSet": validate_workload.daemon_set,
    "Deployment": validate_workload.deployment,
    "EndpointSlice": validate_network.endpoint_slice,
    "Endpoints": validate_network.endpoints,
    "Ingress": validate_network.ingress,
    "Node": _node,
    "Pod": validate_pod.pod,
    "ReplicaSet": validate_workload.replica_set,
    "Secret": _config,
    "Service": validate_service.service,
    "ServiceCIDR": validate_network.service_cidr,
    "StatefulSet": validate_workload.stateful_set,
}
