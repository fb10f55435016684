"""What the API server itself sets in an object, whatever the client wrote there."""

from __future__ import annotations

import copy
import os
from sys import intern
from typing import Any

from netlab.errors import BadRequest
from netlab.objects import names, strategies
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object
from netlab.objects.schema import strip_nulls

# Names made from generateName end in this many random characters, and stay DNS labels.
SUFFIX_LENGTH = 5
_BASE_MAX = names.DNS_LABEL_MAX - SUFFIX_LENGTH

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
    metadata["uid"] = _uid()
    metadata["creationTimestamp"] = intern(now)  # of many in a second
    if kind.counts_generation:
        metadata["generation"] = 1
    _first_status(kind, obj)
    strategies.of(obj).prepare_create(obj)


def _uid() -> str:
    """A random UUID: version 4, variant 10. The standard library takes twice as long for one."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _check_scope(kind: Kind, metadata: dict[str, Any]) -> None:
    if kind.namespaced:
        metadata["namespace"] = intern(metadata.get("namespace") or "default")
    elif metadata.pop("namespace", None):
        raise BadRequest(f"{kind.kind} is not namespaced: metadata.namespace must be empty")


def _name(metadata: dict[str, Any]) -> None:
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:_BASE_MAX] + names.random_suffix(SUFFIX_LENGTH)


def _first_status(kind: Kind, obj: Object) -> None:
    if "status" not in kind.subresources:
        return
    if kind.first_status is None:
        obj.setdefault("status", {})
    else:
        obj["status"] = copy.deepcopy(dict(kind.first_status))


def share(kind: Kind, obj: Object) -> None:
    """Have a new object, in place, share what it has as all new ones of its kind have it. To be
    called last: nobody changes it then."""
    if obj.get("status") == kind.first_status is not None:
        obj["status"] = kind.first_status


def prepare_update(kind: Kind, new: Object, old: Object, subresource: str) -> None:
    """Take from `old`, in place, all that an update through this subresource cannot change."""
    if subresource == "status":
        _keep_all_but_status(kind, new, old)
    elif subresource:
        _keep_all_but(new, old, _SUBRESOURCES[subresource])
    elif "status" in kind.subresources:
        _keep(new, old, ("status",))
    if "finalize" in kind.subresources and subresource != "finalize":
        _keep(new, old, ("spec",))
    for field in ("selfLink", "managedFields"):
        new["metadata"].pop(field, None)
    _keep(new["metadata"], old["metadata"], (*_SYSTEM_FIELDS, "resourceVersion"))


def _keep_all_but_status(kind: Kind, new: Object, old: Object) -> None:
    """Who writes a status may write labels and annotations with it, and most of the rest."""
    metadata, status = new["metadata"], new.get("status")
    _keep(metadata, old["metadata"], kind.fixed_in_status)
    new.clear()
    # Nobody changes what is stored, nor, of a status that is written, anything else.
    new.update({field: value for field, value in old.items() if field != "status"})
    new["metadata"] = metadata
    if status is not None:
        new["status"] = status


# The one field that each other subresource may change.
_SUBRESOURCES: dict[str, tuple[str, ...]] = {
    "scale": ("spec", "replicas"),
    "binding": ("spec", "nodeName"),
    "ephemeralcontainers": ("spec", "ephemeralContainers"),
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
    if kind.counts_generation and subresource != "binding" and _desired(new) != _desired(old):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def _desired(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}
