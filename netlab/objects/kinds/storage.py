"""Where pods keep what is to outlive them."""

from __future__ import annotations

from netlab.objects.kinds.kind import Kind

PERSISTENT_VOLUME = Kind(
    "PersistentVolume",
    "persistentvolumes",
    namespaced=False,
    short_names=("pv",),
    subresources=("status",),
    first_status={"phase": "Pending"},
)
PERSISTENT_VOLUME_CLAIM = Kind(
    "PersistentVolumeClaim",
    "persistentvolumeclaims",
    short_names=("pvc",),
    subresources=("status",),
    first_status={"phase": "Pending"},
)
STORAGE_CLASS = Kind(
    "StorageClass", "storageclasses", "storage.k8s.io", namespaced=False, short_names=("sc",)
)

KINDS = (PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS)
