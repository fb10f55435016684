"""Pure: of which objects the files in a pod's volumes are made."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.agents.changes import Source
from netlab.objects import meta, storage
from netlab.objects.types import (
    DownwardAPIProjection,
    DownwardAPIVolumeSource,
    Pod,
    Volume,
    VolumeProjection,
)

_ANY_VOLUME: Source = ("PersistentVolume", "", "")

_MAY_CHANGE = ("metadata.labels", "metadata.annotations")
"""What a pod that runs may have otherwise than when it started, of all that files tell of it."""


def sources(pod: Pod) -> frozenset[Source]:
    """The objects whose change may change what is in the pod's volumes."""
    return frozenset(one for each in meta.spec(pod).get("volumes") or () for one in _of(pod, each))


def _of(pod: Pod, volume: Volume) -> Iterator[Source]:
    space = meta.namespace(pod)
    if (name := storage.claim_name(pod, volume)) is not None:
        yield from (("PersistentVolumeClaim", space, name), _ANY_VOLUME)
    if (configured := volume.get("configMap")) is not None:
        yield "ConfigMap", space, configured.get("name") or ""
    if (secret := volume.get("secret")) is not None:
        yield "Secret", space, secret.get("secretName") or ""
    yield from _told(pod, volume.get("downwardAPI"))
    for source in volume.get("projected", {}).get("sources") or ():
        yield from _projected(pod, source)


def _projected(pod: Pod, source: VolumeProjection) -> Iterator[Source]:
    space = meta.namespace(pod)
    if (configured := source.get("configMap")) is not None:
        yield "ConfigMap", space, configured.get("name") or ""
    if (secret := source.get("secret")) is not None:
        yield "Secret", space, secret.get("name") or ""
    yield from _told(pod, source.get("downwardAPI"))


def _told(
    pod: Pod, wanted: DownwardAPIVolumeSource | DownwardAPIProjection | None
) -> Iterator[Source]:
    items = (wanted.get("items") or ()) if wanted is not None else ()
    fields = [field["fieldPath"] for item in items if (field := item.get("fieldRef"))]
    if any(field.startswith(_MAY_CHANGE) for field in fields):
        yield "Pod", meta.namespace(pod), meta.name(pod)
