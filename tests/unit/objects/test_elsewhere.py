"""Volumes that no node of a lab can mount, and what is said of them."""

import pytest

from netlab.objects import elsewhere, schema


def fields(definition):
    return schema.definitions()["$defs"][definition]["properties"]


def test_whatever_a_volume_can_be_is_here_or_elsewhere():
    """A source that Kubernetes learns has to be decided about."""
    here = {
        "configMap", "downwardAPI", "emptyDir", "ephemeral", "hostPath", "image", "name",
        "persistentVolumeClaim", "projected", "secret",
    }  # fmt: skip
    assert {*fields("Volume")} == here | {*elsewhere.FAR}
    assert {*elsewhere.FAR} - {*fields("PersistentVolumeSpec")} == {"gitRepo"}


def test_nfs_is_mounted_as_it_is_asked_for():
    spec = {"nfs": {"server": "s", "path": "/x", "readOnly": True}, "mountOptions": ["nfsvers=4.1"]}
    found = elsewhere.failure(spec, "pv", "v", "u1")
    place = "/var/lib/kubelet/pods/u1/volumes/kubernetes.io~nfs/pv"
    assert found is not None and found.reason == "FailedMount"
    assert found.message.splitlines() == [
        'MountVolume.SetUp failed for volume "pv" : mount failed: exit status 32',
        "Mounting command: mount",
        f"Mounting arguments: -t nfs -o ro,nfsvers=4.1 s:/x {place}",
        f"Output: mount: {place}: bad option; for several filesystems (e.g. nfs, cifs) you might "
        "need a /sbin/mount.<type> helper program.",
    ]


@pytest.mark.parametrize("source", sorted(elsewhere.FAR))
def test_every_failure_names_the_volume(source):
    found = elsewhere.failure({source: {}}, "pv", "v", "u1")
    assert found is not None and '"pv"' in found.message
    assert found.reason in ("FailedMount", "FailedAttachVolume")


def test_what_is_here_does_not_fail():
    for spec in ({"name": "v", "emptyDir": {}}, {"hostPath": {"path": "/"}, "capacity": {}}):
        assert elsewhere.failure(spec, "pv", "v", "u1") is None
        assert elsewhere.warnings({"kind": "PersistentVolume", "spec": spec}) == []


def test_persistent_volumes_are_warned_of():
    volume = {"kind": "PersistentVolume", "spec": {"rbd": {"image": "i", "monitors": []}}}
    gone, line = elsewhere.warnings(volume)
    assert gone == "spec.rbd: deprecated in v1.28, non-functional in v1.31+"
    assert line.startswith("rbd: a lab has nobody who serves such volumes, so no pod can mount it")
    driver = {"kind": "PersistentVolume", "spec": {"csi": {"driver": "d"}}}
    assert elsewhere.warnings(driver)[0].startswith("csi of d: a lab has nobody")


def test_the_api_fills_in_what_kubectl_cannot_do_without():
    spec = {"azureDisk": {"diskName": "d", "diskURI": "u", "kind": "Managed"}, "iscsi": {"lun": 1}}
    elsewhere.complete(spec)
    assert spec["azureDisk"] == {
        "diskName": "d", "diskURI": "u", "kind": "Managed", "cachingMode": "ReadWrite",
        "fsType": "ext4", "readOnly": False,
    }  # fmt: skip
    assert spec["iscsi"] == {"lun": 1, "iscsiInterface": "default"}
    assert "rbd" not in spec
