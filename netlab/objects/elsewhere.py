"""Volumes that are on a server, in a cloud or a driver's: no node of a lab can mount them. Pure.

A pod that has one waits for it, as in a cluster where that server or driver is not there, and is
told why in the words of whoever gives up there: the kubelet, or the controller that attaches disks.

Sources: pkg/volume/*/, pkg/kubelet/volumemanager, pkg/volume/csi/csi_attacher.go,
csi-translation-lib/plugins, pkg/api/pod/warnings.go, of 1.33.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from netlab.objects.meta import AnyObject
from netlab.objects.storage import PROVISIONER

Source = Mapping[str, Any]
Reason = Literal["FailedMount", "FailedAttachVolume"]


class Failure(NamedTuple):
    """The Event of a pod whose volume cannot be had: its reason, its message."""

    reason: Reason
    message: str


class Wanted(NamedTuple):
    """A volume as those see it who are to mount it: `name` is the PersistentVolume's, if it is one,
    and else `in_pod`, as the pod calls it."""

    name: str
    in_pod: str
    pod_uid: str
    source: Source
    options: Sequence[str] = ()


class Far(NamedTuple):
    """What becomes of one sort of volume; since when it is `gone` from Kubernetes, if it is."""

    failure: Callable[[Wanted], Failure]
    gone: str = ""


def _mount_failed(step: str, wanted: Wanted, why: str) -> Failure:
    return Failure("FailedMount", f'MountVolume.{step} failed for volume "{wanted.name}" : {why}')


def _nfs(wanted: Wanted) -> Failure:
    """As on a node that has no mount.nfs."""
    source = wanted.source
    place = f"/var/lib/kubelet/pods/{wanted.pod_uid}/volumes/kubernetes.io~nfs/{wanted.name}"
    options = [*(["ro"] if source.get("readOnly") else []), *wanted.options]
    said = f"-o {','.join(options)} " if options else ""
    why = (
        "mount failed: exit status 32\nMounting command: mount\n"
        f"Mounting arguments: -t nfs {said}{source.get('server')}:{source.get('path')} {place}\n"
        f"Output: mount: {place}: bad option; for several filesystems (e.g. nfs, cifs) you might "
        "need a /sbin/mount.<type> helper program.\n"
    )
    return _mount_failed("SetUp", wanted, why)


def _iscsi(wanted: Wanted) -> Failure:
    """As on a node that has no iscsiadm."""
    return _mount_failed("WaitForAttach", wanted, "executable file not found in $PATH")


def _fc(wanted: Wanted) -> Failure:
    return _mount_failed("WaitForAttach", wanted, "no fc disk found")


def _git(wanted: Wanted) -> Failure:
    why = (
        "git-repo volume plugin has been disabled; if necessary, it may be re-enabled by enabling "
        "the feature-gate `GitRepoVolumeDriver`"
    )
    return _mount_failed("NewMounter initialization", wanted, why)


def _csi(wanted: Wanted) -> Failure:
    """Of a PersistentVolume, nobody attaches it; one of the pod's own needs no attaching."""
    driver, handle = wanted.source.get("driver"), wanted.source.get("volumeHandle")
    if handle is not None:
        return _unattached(wanted, driver, handle)
    why = (
        f"kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name {driver} not "
        "found in the list of registered CSI drivers"
    )
    return _mount_failed("SetUp", wanted, why)


def _unattached(wanted: Wanted, driver: Any, handle: Any) -> Failure:
    why = (
        f"timed out waiting for external-attacher of {driver} CSI driver to attach volume {handle}"
    )
    message = f'AttachVolume.Attach failed for volume "{wanted.name}" : {why}'
    return Failure("FailedAttachVolume", message)


def _cloud(driver: str, field: str, form: str = "%s") -> Far:
    """A disk of a cloud's, which a driver has taken over."""
    return Far(lambda wanted: _unattached(wanted, driver, form % wanted.source.get(field)))


def _no_plugin(wanted: Wanted) -> Failure:
    message = (
        f"Unable to attach or mount volumes: unmounted volumes=[{wanted.in_pod}], unattached "
        f"volumes=[], failed to process volumes=[{wanted.in_pod}]: failed to get Plugin from "
        f'volumeSpec for volume "{wanted.name}" err=no volume plugin matched'
    )
    return Failure("FailedMount", message)


def _gone(deprecated: str, removed: str) -> Far:
    return Far(_no_plugin, f"deprecated in v{deprecated}, non-functional in v{removed}+")


FAR: Mapping[str, Far] = {
    "awsElasticBlockStore": _cloud("ebs.csi.aws.com", "volumeID"),
    "azureDisk": _cloud("disk.csi.azure.com", "diskURI"),
    "azureFile": _cloud("file.csi.azure.com", "shareName"),
    "cephfs": _gone("1.28", "1.31"),
    "cinder": _cloud("cinder.csi.openstack.org", "volumeID"),
    "csi": Far(_csi),
    "fc": Far(_fc),
    "flexVolume": Far(_no_plugin),
    "flocker": _gone("1.22", "1.25"),
    "gcePersistentDisk": _cloud(
        "pd.csi.storage.gke.io", "pdName", "projects/UNSPECIFIED/zones/UNSPECIFIED/disks/%s"
    ),
    "gitRepo": Far(_git, "deprecated in v1.11, and disabled by default in v1.33+"),
    "glusterfs": _gone("1.25", "1.26"),
    "iscsi": Far(_iscsi),
    "nfs": Far(_nfs),
    "photonPersistentDisk": _gone("1.11", "1.16"),
    "portworxVolume": _cloud("pxd.portworx.com", "volumeID"),
    "quobyte": _gone("1.22", "1.25"),
    "rbd": _gone("1.28", "1.31"),
    "scaleIO": _gone("1.16", "1.22"),
    "storageos": _gone("1.22", "1.25"),
    "vsphereVolume": _cloud("csi.vsphere.vmware.com", "volumePath"),
}
"""By their fields, in a pod's volume and in a PersistentVolume's spec."""


_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "azureDisk": {
        "cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False,
    },
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "scaleIO": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
}  # fmt: skip
"""What the API fills in of them: `kubectl describe` falls over without."""


def complete(spec: Mapping[str, Any]) -> None:
    """Fill in what a volume, or a PersistentVolume's spec, does not say of its source."""
    for name, values in _DEFAULTS.items():
        source: dict[str, Any] = spec.get(name) or {}
        for field, value in values.items():
            if source and source.get(field) in (None, ""):
                source[field] = value


def kind(spec: Mapping[str, Any]) -> str | None:
    """Which of these a volume, or a PersistentVolume's spec, is; None for one that can be had."""
    return next((name for name in FAR if spec.get(name) is not None), None)


def failure(spec: Mapping[str, Any], name: str, in_pod: str, pod_uid: str) -> Failure | None:
    """Why a pod cannot have a volume, if it cannot: arguments as `Wanted` has them, `spec` is the
    volume, or the PersistentVolume's spec."""
    if (source := kind(spec)) is None:
        return None
    options = spec.get("mountOptions") or ()
    return FAR[source].failure(Wanted(name, in_pod, pod_uid, spec[source], options))


def of_pod(volumes: Sequence[Mapping[str, Any]], path: str) -> Iterator[str]:
    """A line about each of a pod's volumes that it will wait for in vain, after the API server's
    own; `path` is that of the volumes."""
    found = [(index, each, name) for index, each in enumerate(volumes) if (name := kind(each))]
    for index, _, source in found:
        if FAR[source].gone:
            yield f"{path}[{index}].{source}: {FAR[source].gone}"
    for _, volume, source in found:
        yield f'volume types (volume "{volume.get("name")}" uses {source}): {_IN_VAIN}'


_IN_VAIN = (
    "a lab has nobody who serves such volumes, so the pod waits, as where the driver or server is "
    "not there"
)


def warnings(obj: AnyObject) -> list[str]:
    """A line about a PersistentVolume that pods will wait for in vain."""
    spec: Mapping[str, Any] = obj.get("spec") or {}
    if obj.get("kind") != "PersistentVolume" or (source := kind(spec)) is None:
        return []
    driver = f" of {spec[source].get('driver')}" if source == "csi" else ""
    gone = [f"spec.{source}: {FAR[source].gone}"] if FAR[source].gone else []
    instead = f"hostPath and local are there, and the StorageClass provisioner {PROVISIONER}"
    text = f"{source}{driver}: a lab has nobody who serves such volumes, so no pod can mount it"
    return [*gone, f"{text}: {instead}"]
