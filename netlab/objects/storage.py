"""What is known of volumes, claims and classes by everybody who deals with them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.objects import meta
from netlab.objects.meta import AnyObject
from netlab.objects.types import PersistentVolumeClaim, Pod, Volume

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
"""The annotation of the class that claims have which name none."""

PROVISIONER = "netlab.io/directory"
"""Who makes volumes in a lab: each is a directory of its own."""

PROVISIONERS = (PROVISIONER, "rancher.io/local-path", "k8s.io/minikube-hostpath")
"""Whom it stands in for besides: the default classes of kind and of minikube."""

SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""The annotation by which the scheduler says where the first consumer of a claim will be."""

NOT_SOURCES = frozenset((
    "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity",
    "persistentVolumeReclaimPolicy", "storageClassName", "volumeAttributesClassName", "volumeMode",
))  # fmt: skip
"""What a PersistentVolume's spec says besides where the volume is."""

_SHORT = {
    "ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}  # fmt: skip


def is_default(storage_class: AnyObject) -> bool:
    """Whether it is the class of claims that name none."""
    return meta.annotations(storage_class).get(DEFAULT_CLASS) == "true"


def access_modes(modes: Sequence[str] | None) -> str:
    """`RWO,RWX`: each once, in the order of the API's own list."""
    return ",".join(short for mode, short in _SHORT.items() if mode in (modes or ()))


def claims(pod: Pod) -> Iterator[str]:
    """The names of the claims that a pod's volumes are; a generic ephemeral one has the pod's."""
    for volume in meta.spec(pod).get("volumes") or ():
        if (name := claim_name(pod, volume)) is not None:
            yield name


def claim_name(pod: Pod, volume: Volume) -> str | None:
    """The claim that a pod's volume is, its own or one that others have; None if it is none."""
    if volume.get("ephemeral") is not None:
        return f"{meta.name(pod)}-{volume['name']}"
    claim = volume.get("persistentVolumeClaim")
    return None if claim is None else claim["claimName"]


def ephemeral_volumes(pod: Pod) -> Iterator[Volume]:
    """The volumes whose claims come and go with the pod."""
    for volume in meta.spec(pod).get("volumes") or ():
        if volume.get("ephemeral") is not None:
            yield volume


def is_for(pod: Pod, claim: PersistentVolumeClaim) -> bool:
    """Whether a claim was made for a volume of the pod's."""
    return meta.controller_uid(claim) == meta.uid(pod)


def not_for(pod: Pod, name: str) -> str:
    """What is said of a claim that has the name of a pod's own, and is somebody else's."""
    space = meta.namespace(pod)
    was = f"PVC {space}/{name} was not created for pod {meta.key(pod)}"
    return f"{was} (pod is not owner)"
