"""How PersistentVolumes, their claims and StorageClasses are stored.

Source: pkg/apis/core/validation and pkg/apis/storage/validation; the finalizers are those of the
admission plugin StorageObjectInUseProtection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.objects import elsewhere, fields, meta, storage, validate_claim
from netlab.objects.kinds.storage import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from netlab.objects.meta import Object
from netlab.objects.problems import Path, forbidden, not_supported, required
from netlab.objects.strategies.strategy import (
    Mapping,
    Problems,
    Strategy,
    fill,
    keeps,
    spec_of,
)

if TYPE_CHECKING:
    from fractions import Fraction

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"

_RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
_BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
_CLAIM_RULE = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
    "bound claims"
)


def default_claim_spec(spec: Mapping) -> None:
    """Fill what a claim's spec, or that of a template of claims, leaves out."""
    fill(spec, volumeMode="Filesystem")
    if spec.get("resources") is None:
        spec["resources"] = {}


def _claim(obj: Object) -> None:
    default_claim_spec(spec_of(obj))


def _protect_claim(obj: Object) -> None:
    _protect(obj, CLAIM_FINALIZER)


def _protect_volume(obj: Object) -> None:
    _protect(obj, VOLUME_FINALIZER)


def _protect(obj: Object, finalizer: str) -> None:
    held = obj["metadata"].setdefault("finalizers", [])
    if finalizer not in held:
        held.append(finalizer)


def _validate_claim(obj: Object) -> Problems:
    yield from validate_claim.claim_spec(("spec",), meta.spec(obj))


def _update_claim(new: Object, old: Object) -> Problems:
    before, after = dict(meta.spec(old)), dict(meta.spec(new))
    if not before.get("volumeName"):  # the binding is an update here
        before.pop("volumeName", None)
        after.pop("volumeName", None)
    if before.get("storageClassName") is None:  # given by default, later
        before.pop("storageClassName", None)
        after.pop("storageClassName", None)
    asked = _storage(before), _storage(after)
    if meta.status(old).get("phase") == "Bound":
        before.pop("resources", None)
        after.pop("resources", None)
    if before != after:
        yield forbidden(("spec",), _CLAIM_RULE)
    elif asked[1] < asked[0]:
        where: Path = ("spec", "resources", "requests", "storage")
        yield forbidden(where, "field can not be less than status.capacity")


def _storage(spec: Mapping) -> Fraction:
    return validate_claim.amount(
        ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    )


def _volume(obj: Object) -> None:
    spec = spec_of(obj)
    fill(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    elsewhere.complete(spec)
    if spec.get("hostPath"):
        spec["hostPath"].setdefault("type", "")
    if spec.get("claimRef"):
        fill(spec["claimRef"], kind="PersistentVolumeClaim", apiVersion="v1")


def _validate_volume(obj: Object) -> Problems:
    path: Path = ("spec",)
    spec = meta.spec(obj)
    yield from validate_claim.access_modes(path, spec)
    capacity = spec.get("capacity") or {}
    if not capacity:
        yield required((*path, "capacity"))
    elif set(capacity) != {"storage"}:
        yield not_supported((*path, "capacity"), capacity, ("storage",))
    else:
        yield from validate_claim.positive((*path, "capacity", "storage"), capacity["storage"])
    sources = sorted(set(spec) - storage.NOT_SOURCES)
    if not sources:
        yield required(path, "must specify a volume type")
    for other in sources[1:]:
        yield forbidden((*path, other), "may not specify more than 1 volume type")
    host_path = spec.get("hostPath")
    if host_path is not None:
        yield from fields.file_path((*path, "hostPath", "path"), host_path.get("path") or "")
    yield from _supported((*path, "persistentVolumeReclaimPolicy"), spec, _RECLAIM_POLICIES)
    yield from _supported((*path, "volumeMode"), spec, validate_claim.VOLUME_MODES)
    yield from validate_claim.class_name(path, spec)
    if spec.get("local") is not None and not spec.get("nodeAffinity"):
        yield required((*path, "nodeAffinity"), "Local volume requires node affinity")


def _supported(path: Path, holder: Mapping, values: tuple[str, ...]) -> Problems:
    found = holder.get(str(path[-1]))
    if found and found not in values:
        yield not_supported(path, found, values)


def _update_volume(new: Object, old: Object) -> Problems:
    sources = {*meta.spec(old), *meta.spec(new)} - storage.NOT_SOURCES
    if any(meta.spec(new).get(name) != meta.spec(old).get(name) for name in sources):
        yield forbidden(
            ("spec", "persistentvolumesource"),
            "spec.persistentvolumesource is immutable after creation",
        )
    yield from keeps("spec", "volumeMode")(new, old)


def _class(obj: Object) -> None:
    fill(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _validate_class(obj: Object) -> Problems:
    if not obj.get("provisioner"):
        yield required(("provisioner",))
    else:
        yield from fields.qualified_name(("provisioner",), obj["provisioner"].lower())
    yield from _supported(("reclaimPolicy",), obj, ("Delete", "Retain"))
    yield from _supported(("volumeBindingMode",), obj, _BINDING_MODES)


def _update_class(new: Object, old: Object) -> Problems:
    for field in ("parameters", "provisioner"):
        if (new.get(field) or None) != (old.get(field) or None):
            yield forbidden((field,), f"updates to {field} are forbidden.")
    for field in ("reclaimPolicy", "volumeBindingMode"):
        yield from keeps(field)(new, old)


STRATEGIES = {
    PERSISTENT_VOLUME: Strategy(
        default=_volume,
        prepare_create=_protect_volume,
        validate=_validate_volume,
        validate_update=_update_volume,
    ),
    PERSISTENT_VOLUME_CLAIM: Strategy(
        default=_claim,
        prepare_create=_protect_claim,
        validate=_validate_claim,
        validate_update=_update_claim,
    ),
    STORAGE_CLASS: Strategy(
        default=_class, validate=_validate_class, validate_update=_update_class
    ),
}
