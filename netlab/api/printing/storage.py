"""How PersistentVolumes, their claims and StorageClasses print."""

from __future__ import annotations

from netlab.api.printing.cells import AGE, NAME, UNSET, Cell, Column, Printer, age, wide
from netlab.objects import meta
from netlab.objects.kinds.storage import (
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    STORAGE_CLASS,
)
from netlab.objects.meta import name, spec, status
from netlab.objects.storage import access_modes, is_default
from netlab.objects.types import (
    AnyKind,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
)


def phase(obj: AnyKind, said: str | None) -> str:
    """The phase, or that it is going."""
    return "Terminating" if meta.is_terminating(obj) else said or ""


def claim_of(reference: ObjectReference | None) -> str:
    """`namespace/name` of a volume's claim."""
    return f"{reference.get('namespace', '')}/{reference.get('name', '')}" if reference else ""


def volume_cells(volume: PersistentVolume) -> list[Cell]:
    """NAME CAPACITY ACCESS-MODES RECLAIM-POLICY STATUS CLAIM STORAGECLASS …, and its mode."""
    wanted = spec(volume)
    return [
        name(volume),
        str((wanted.get("capacity") or {}).get("storage", "0")),
        access_modes(wanted.get("accessModes")),
        wanted.get("persistentVolumeReclaimPolicy") or "",
        phase(volume, status(volume).get("phase")),
        claim_of(wanted.get("claimRef")),
        wanted.get("storageClassName") or "",
        wanted.get("volumeAttributesClassName") or UNSET,
        status(volume).get("reason") or "",
        age(volume),
        wanted.get("volumeMode") or UNSET,
    ]


def claim_cells(claim: PersistentVolumeClaim) -> list[Cell]:
    """NAME STATUS VOLUME CAPACITY ACCESS-MODES STORAGECLASS …, and its mode."""
    wanted, known = spec(claim), status(claim)
    volume = wanted.get("volumeName") or ""
    return [
        name(claim),
        phase(claim, known.get("phase")),
        volume,
        str((known.get("capacity") or {}).get("storage", "0")) if volume else "",
        access_modes(known.get("accessModes")) if volume else "",
        wanted.get("storageClassName") or "",
        wanted.get("volumeAttributesClassName") or UNSET,
        age(claim),
        wanted.get("volumeMode") or UNSET,
    ]


def class_cells(obj: StorageClass) -> list[Cell]:
    """NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE."""
    return [
        f"{name(obj)} (default)" if is_default(obj) else name(obj),
        obj.get("provisioner") or "",
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        "true" if obj.get("allowVolumeExpansion") else "false",
        age(obj),
    ]


PRINTERS = {
    PERSISTENT_VOLUME: Printer(
        (
            NAME, Column("Capacity"), Column("Access Modes"), Column("Reclaim Policy"),
            Column("Status"), Column("Claim"), Column("StorageClass"),
            Column("VolumeAttributesClass"), Column("Reason"), AGE, wide("VolumeMode"),
        ),
        volume_cells,
    ),
    PERSISTENT_VOLUME_CLAIM: Printer(
        (
            NAME, Column("Status"), Column("Volume"), Column("Capacity"), Column("Access Modes"),
            Column("StorageClass"), Column("VolumeAttributesClass"), AGE, wide("VolumeMode"),
        ),
        claim_cells,
    ),
    STORAGE_CLASS: Printer(
        (
            NAME, Column("Provisioner"), Column("ReclaimPolicy"), Column("VolumeBindingMode"),
            Column("AllowVolumeExpansion"), AGE,
        ),
        class_cells,
    ),
}  # fmt: skip
