"""What the API server itself sets in an object, whatever the client wrote there."""

from __future__ import annotations

import uuid
from typing import Any

from netlab.errors import BadRequest
from netlab.objects import meta, names
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object
from netlab.objects.schema import strip_nulls

# Names made from generateName end in this many random characters, and stay DNS labels.
SUFFIX_LENGTH = 5
_BASE_MAX = names.DNS_LABEL_MAX - SUFFIX_LENGTH

# Kinds whose metadata.generation counts changes of spec. Services and Nodes have none.
_GENERATION = frozenset(
    ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Ingress", "EndpointSlice", "Pod")
)
_FIRST_STATUS: dict[str, dict[str, Any]] = {
    "Namespace": {"phase": "Active"},
    "Service": {"loadBalancer": {}},
    "Ingress": {"loadBalancer": {}},
    "ReplicaSet": {"replicas": 0},
    "StatefulSet": {"replicas": 0},
    "DaemonSet": {
        "currentNumberScheduled": 0, "desiredNumberScheduled": 0,
        "numberMisscheduled": 0, "numberReady": 0,
    },
}  # fmt: skip
# What a client can neither set nor change.
_SYSTEM_FIELDS = (
    "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
)  # fmt: skip


def prepare_create(kind: Kind, obj: Object, now: str) -> None:
    """Fill name, uid, creationTimestamp and the first status of a new object, in place."""
    metadata = obj.setdefault("metadata", {})
    if metadata.get("resourceVersion"):
        raise BadRequest("resourceVersion should not be set on objects to be created")
    _check_scope(kind, metadata)
    for field in (*_SYSTEM_FIELDS, "resourceVersion", "selfLink", "managedFields"):
        metadata.pop(field, None)
    _name(metadata)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = now
    if kind.kind in _GENERATION:
        metadata["generation"] = 1
    _first_status(kind, obj)


def _check_scope(kind: Kind, metadata: dict[str, Any]) -> None:
    if kind.namespaced:
        metadata["namespace"] = metadata.get("namespace") or "default"
    elif metadata.pop("namespace", None):
        raise BadRequest(f"{kind.kind} is not namespaced: metadata.namespace must be empty")


def _name(metadata: dict[str, Any]) -> None:
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:_BASE_MAX] + names.random_suffix(SUFFIX_LENGTH)


def _first_status(kind: Kind, obj: Object) -> None:
    if kind.kind == "Pod":
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(meta.spec(obj))}
    elif kind.kind == "Node":
        obj.setdefault("status", {})  # a kubelet registers its node with a status
    elif "status" in kind.subresources:
        obj["status"] = strip_nulls(_FIRST_STATUS.get(kind.kind, {}))
    if kind.kind == "Namespace":
        obj.setdefault("spec", {})["finalizers"] = ["kubernetes"]
        labels = obj["metadata"].setdefault("labels", {})
        labels.setdefault("kubernetes.io/metadata.name", obj["metadata"].get("name"))


def qos_class(spec: dict[str, Any]) -> str:
    """`BestEffort`, `Burstable` or `Guaranteed`, by the containers' requests and limits."""
    resources = [c.get("resources") or {} for c in spec.get("containers") or []]
    if not any(one.get("requests") or one.get("limits") for one in resources):
        return "BestEffort"
    return "Guaranteed" if all(_is_guaranteed(one) for one in resources) else "Burstable"


def _is_guaranteed(resources: dict[str, Any]) -> bool:
    limits = resources.get("limits") or {}
    requests = resources.get("requests") or limits
    return all(
        limits.get(what) and limits[what] == requests.get(what) for what in ("cpu", "memory")
    )


def prepare_update(kind: Kind, new: Object, old: Object, subresource: str) -> None:
    """Take from `old`, in place, all that an update through this subresource cannot change."""
    if subresource:
        _keep_all_but(new, old, _SUBRESOURCES[subresource])
    elif "status" in kind.subresources:
        _keep(new, old, ("status",))
    if kind.kind == "Namespace" and subresource != "finalize":
        _keep(new, old, ("spec",))
    for field in ("selfLink", "managedFields"):
        new["metadata"].pop(field, None)
    _keep(new["metadata"], old["metadata"], (*_SYSTEM_FIELDS, "resourceVersion"))


# The one field that each subresource may change.
_SUBRESOURCES: dict[str, tuple[str, ...]] = {
    "status": ("status",),
    "scale": ("spec", "replicas"),
    "binding": ("spec", "nodeName"),
    "finalize": ("spec", "finalizers"),
}


def _keep(new: dict[str, Any], old: dict[str, Any], fields: tuple[str, ...]) -> None:
    for field in fields:
        new.pop(field, None)
        if field in old:
            new[field] = strip_nulls(old[field])


def _keep_all_but(new: Object, old: Object, path: tuple[str, ...]) -> None:
    wanted: Any = new
    for part in path:
        wanted = wanted.get(part) if isinstance(wanted, dict) else None
    new.clear()
    new.update(strip_nulls(old))
    parent = new
    for part in path[:-1]:
        parent = parent.setdefault(part, {})
    if wanted is None:
        parent.pop(path[-1], None)
    else:
        parent[path[-1]] = wanted


def count_generation(kind: Kind, new: Object, old: Object, subresource: str) -> None:
    """Bump metadata.generation when the desired state changed.

    That is anything but metadata and status; binding a pod is not meant either.
    """
    if kind.kind in _GENERATION and subresource != "binding" and _desired(new) != _desired(old):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def _desired(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}
