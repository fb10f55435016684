"""How PersistentVolumes, their claims and StorageClasses are stored.

Source: pkg/apis/core/validation and pkg/apis/storage/validation; the finalizers are those of the
admission plugin StorageObjectInUseProtection.
"""

from __future__ import annotations

import posixpath
from collections.abc import Container
from typing import TYPE_CHECKING

from msgspec.structs import replace

from netlab.objects import elsewhere, fields, meta, storage, validate_claim
from netlab.objects.kinds.storage import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from netlab.objects.meta import Object
from netlab.objects.problems import (
    Key,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from netlab.objects.strategies.strategy import (
    IMMUTABLE,
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
_PARAMETERS_MAX = 512
_PARAMETERS_BYTES = 256 * 1024
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
    if meta.status(old).get("phase") == "Bound":
        for spec in (before, after):
            spec.pop("volumeAttributesClassName", None)
            spec["resources"] = _but_size(spec.get("resources") or {})
    if before != after:
        yield forbidden(("spec",), _CLAIM_RULE)
    was, wanted = _storage(meta.spec(old)), _storage(meta.spec(new))
    if wanted < was and wanted <= _amount((meta.status(old).get("capacity") or {}).get("storage")):
        where: Path = ("spec", "resources", "requests", "storage")
        yield forbidden(where, "field can not be less than status.capacity")
    yield from _keeps_mode(new, old)


def _but_size(resources: Mapping) -> Mapping:
    """All of it but the size, which alone may change."""
    requests = {k: v for k, v in (resources.get("requests") or {}).items() if k != "storage"}
    return {**resources, "requests": requests}


def _keeps_mode(new: Object, old: Object) -> Problems:
    mode = meta.spec(new).get("volumeMode")
    if mode != meta.spec(old).get("volumeMode"):
        problem = invalid(("volumeMode",), mode, IMMUTABLE)
        yield replace(problem, written=("spec", "volumeMode"))


def _storage(spec: Mapping) -> Fraction:
    return _amount(((spec.get("resources") or {}).get("requests") or {}).get("storage"))


def _amount(text: object) -> Fraction:
    return validate_claim.amount(0 if text is None else text)


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
    if not spec.get("accessModes"):
        yield required((*path, "accessModes"))
    yield from validate_claim.access_modes(path, spec)
    yield from _capacity((*path, "capacity"), spec.get("capacity") or {})
    yield from _supported((*path, "persistentVolumeReclaimPolicy"), spec, _RECLAIM_POLICIES)
    yield from _node_affinity((*path, "nodeAffinity"), spec)
    yield from _volume_sources(path, spec)
    yield from validate_claim.class_name(path, spec)
    yield from _supported((*path, "volumeMode"), spec, validate_claim.VOLUME_MODES)


def _capacity(path: Path, capacity: Mapping) -> Problems:
    if not capacity:
        yield required(path)
    if set(capacity) != {"storage"}:
        yield not_supported(path, capacity or None, ("storage",))
    for resource, size in capacity.items():
        for problem in validate_claim.positive((*path, Key(resource)), size):
            yield replace(problem, written=(*path, resource))


def _node_affinity(path: Path, spec: Mapping) -> Problems:
    affinity = spec.get("nodeAffinity")
    if affinity is None:
        return
    wanted = affinity.get("required")
    if wanted is None:
        yield required((*path, "required"), "must specify required node constraints")
    elif not wanted.get("nodeSelectorTerms"):
        where = (*path, "required", "nodeSelectorTerms")
        yield required(where, "must have at least one node selector term")


def _volume_sources(path: Path, spec: Mapping) -> Problems:
    """Where the volume is: in one place."""
    sources = sorted(set(spec) - storage.NOT_SOURCES)
    for other in sources[1:]:
        yield forbidden((*path, other), "may not specify more than 1 volume type")
    for field in ("hostPath", "local"):
        if sources[:1] == [field]:
            yield from _file_path((*path, field, "path"), spec[field].get("path") or "")
    if sources[:1] == ["local"] and spec.get("nodeAffinity") is None:
        yield required((*path, "nodeAffinity"), "Local volume requires node affinity")
    if not sources:
        yield required(path, "must specify a volume type")
    recycled = spec.get("persistentVolumeReclaimPolicy") == "Recycle"
    if recycled and posixpath.normpath((spec.get("hostPath") or {}).get("path") or ".") == "/":
        words = "may not be 'recycle' for a hostPath mount of '/'"
        yield forbidden((*path, "persistentVolumeReclaimPolicy"), words)


def _file_path(path: Path, text: str) -> Problems:
    if not text:
        yield required(path)
    else:
        yield from fields.file_path(path, text)


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
    yield from _keeps_mode(new, old)
    where, kept = ("spec", "nodeAffinity"), meta.spec(old).get("nodeAffinity")
    wanted = meta.spec(new).get("nodeAffinity")
    if kept is not None and wanted != kept:
        words = f"{IMMUTABLE}, except for updating from beta label to GA"
        yield replace(invalid(("nodeAffinity",), wanted, words), written=where)


def _class(obj: Object) -> None:
    fill(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _validate_class(obj: Object) -> Problems:
    if not obj.get("provisioner"):
        yield required(("provisioner",))
    else:
        yield from fields.qualified_name(("provisioner",), obj["provisioner"].lower())
    yield from _parameters(("parameters",), obj.get("parameters") or {})
    yield from _supported(("reclaimPolicy",), obj, ("Delete", "Retain"))
    yield from _supported(("volumeBindingMode",), obj, _BINDING_MODES)
    yield from _topologies(obj.get("allowedTopologies") or [])


def _parameters(path: Path, parameters: Mapping) -> Problems:
    if len(parameters) > _PARAMETERS_MAX:
        yield too_long(path, _PARAMETERS_MAX)
        return
    if "" in parameters:
        yield invalid(path, "", "field can not be empty.")
    said = "".join((*parameters, *parameters.values()))
    if len(said.encode(errors="surrogatepass")) > _PARAMETERS_BYTES:
        yield too_long(path, _PARAMETERS_BYTES)


def _topologies(terms: list[Mapping]) -> Problems:
    """Where volumes of the class may be."""
    for index, term in enumerate(terms):
        path: Path = ("allowedTopologies", index, "matchLabelExpressions")
        keys: set[str] = set()
        for position, one in enumerate(term.get("matchLabelExpressions") or []):
            yield from _topology((*path, position), one, keys)
            keys.add(one.get("key") or "")
        if term in terms[:index]:
            yield duplicate(path, "")


def _topology(path: Path, one: Mapping, keys: Container[str]) -> Problems:
    key, values = one.get("key") or "", one.get("values") or []
    if not values:
        yield required((*path, "values"))
    for index, value in enumerate(values):
        if value in values[:index]:
            yield duplicate((*path, "values", index), value)
    yield from fields.qualified_name((*path, "key"), key)
    if key in keys:
        yield duplicate((*path, "key"), key)


def _update_class(new: Object, old: Object) -> Problems:
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if (new.get(field) or None) != (old.get(field) or None):
            yield forbidden((field,), f"updates to {field} are forbidden.")
    yield from keeps("volumeBindingMode")(new, old)


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
