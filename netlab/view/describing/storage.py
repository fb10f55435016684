"""PersistentVolumes, their claims and StorageClasses as `kubectl describe` shows them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netlab.objects import meta, storage
from netlab.objects.kinds.pods import POD
from netlab.objects.kinds.storage import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from netlab.objects.types import AnyKind, PersistentVolume, PersistentVolumeClaim, StorageClass
from netlab.view.describing import described
from netlab.view.describing.containers import volume_source
from netlab.view.describing.described import Belonging, Description, Lines, Related


def volume(obj: PersistentVolume, related: Related) -> Lines:
    """A PersistentVolume: what it holds, whose it is, and what is behind it."""
    spec, claim = meta.spec(obj), meta.spec(obj).get("claimRef")
    yield f"Name:\t{meta.name(obj)}"
    yield from described.label_lines(obj)
    yield from described.annotation_lines(obj)
    yield _finalizers(obj)
    yield f"StorageClass:\t{spec.get('storageClassName', '')}"
    yield _status(obj, meta.status(obj).get("phase"), related)
    yield f"Claim:\t{claim.get('namespace')}/{claim.get('name')}" if claim else "Claim:\t"
    yield f"Reclaim Policy:\t{spec.get('persistentVolumeReclaimPolicy')}"
    yield f"Access Modes:\t{storage.access_modes(spec.get('accessModes'))}"
    if spec.get("volumeMode"):
        yield f"VolumeMode:\t{spec['volumeMode']}"
    yield f"Capacity:\t{(spec.get('capacity') or {}).get('storage', '0')}"
    yield from _node_affinity(spec.get("nodeAffinity") or {})
    yield f"Message:\t{meta.status(obj).get('message', '')}"
    yield "Source:"
    yield from volume_source({**spec}, "    ")
    yield from described.events(related)


def claim(obj: PersistentVolumeClaim, related: Related) -> Lines:
    """A PersistentVolumeClaim: what it has got, and who uses it."""
    spec, status = meta.spec(obj), meta.status(obj)
    yield from described.name_lines(obj)
    yield f"StorageClass:\t{spec.get('storageClassName', '')}"
    yield _status(obj, status.get("phase"), related)
    yield f"Volume:\t{spec.get('volumeName', '')}"
    yield from described.label_lines(obj)
    yield from described.annotation_lines(obj)
    yield _finalizers(obj)
    bound = bool(spec.get("volumeName"))
    capacity = (status.get("capacity") or {}).get("storage", "0") if bound else ""
    yield f"Capacity:\t{capacity}"
    modes = storage.access_modes(status.get("accessModes")) if bound else ""
    yield f"Access Modes:\t{modes}"
    if spec.get("volumeMode"):
        yield f"VolumeMode:\t{spec['volumeMode']}"
    pods = described.of_kind(POD, related)
    using = [meta.name(pod) for pod in pods if meta.name(obj) in storage.claims(pod)]
    yield from described.listed("Used By", using)
    yield from described.events(related)


def storage_class(obj: StorageClass, related: Related) -> Lines:
    """A StorageClass: who makes its volumes, and how."""
    yield f"Name:\t{meta.name(obj)}"
    yield f"IsDefaultClass:\t{'Yes' if storage.is_default(obj) else 'No'}"
    yield from f"Annotations:\t{described.comma_pairs(meta.annotations(obj))}".split("\n")
    yield f"Provisioner:\t{obj['provisioner']}"
    yield f"Parameters:\t{described.comma_pairs(obj.get('parameters') or {})}"
    expands = obj.get("allowVolumeExpansion")
    yield f"AllowVolumeExpansion:\t{'<unset>' if expands is None else str(expands)}"
    options = obj.get("mountOptions") or []
    if options:
        yield "MountOptions:"
        yield from (f"  {option}" for option in options)
    else:
        yield "MountOptions:\t<none>"
    yield f"ReclaimPolicy:\t{obj.get('reclaimPolicy')}"
    yield f"VolumeBindingMode:\t{obj.get('volumeBindingMode')}"
    yield from described.events(related)


def _finalizers(obj: AnyKind) -> str:
    return f"Finalizers:\t[{' '.join(obj['metadata'].get('finalizers') or [])}]"


def _status(obj: AnyKind, phase: str | None, related: Related) -> str:
    if not meta.is_terminating(obj):
        return f"Status:\t{phase or ''}"
    lasts = described.age(obj["metadata"]["deletionTimestamp"], related.now)
    return f"Status:\tTerminating (lasts {lasts})"


def _node_affinity(affinity: Mapping[str, Any]) -> Lines:
    terms = (affinity.get("required") or {}).get("nodeSelectorTerms") or []
    if not affinity.get("required"):
        yield "Node Affinity:\t<none>"
        return
    yield "Node Affinity:\t"
    if not terms:
        yield "  Required Terms:\t<none>"
        return
    yield "  Required Terms:\t"
    for number, term in enumerate(terms):
        texts = [_expression(one) for one in term.get("matchExpressions") or []]
        yield f"    Term {number}:\t{texts[0] if texts else '<none>'}"
        yield from (f"\t{text}" for text in texts[1:])


def _expression(one: Mapping[str, Any]) -> str:
    text = f"{one.get('key')} {str(one.get('operator')).lower()}"
    return f"{text} [{', '.join(one['values'])}]" if one.get("values") else text


def _using(obj: PersistentVolumeClaim) -> tuple[Belonging, ...]:
    return (Belonging(POD, meta.namespace(obj)),)


DESCRIPTIONS = {
    PERSISTENT_VOLUME: Description(volume),
    PERSISTENT_VOLUME_CLAIM: Description(claim, _using),
    STORAGE_CLASS: Description(storage_class),
}
