import base64

import pytest

from netlab.agents.podrun import new_run
from netlab.agents.volumes import VolumeLacks, Volumes, below, volume_files, write_files
from netlab.errors import NetlabError

OBJECTS = {
    ("ConfigMap", "conf"): {"data": {"a": "1", "b": "2"}, "binaryData": {"c": "AP8="}},
    ("Secret", "key"): {"data": {"token": base64.b64encode(b"s3cret").decode()}},
}


def lookup(kind, namespace, name):
    return OBJECTS.get((kind, name))


def run_of(volumes, directory=None, mounts=()):
    pod = {
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"b": "2", "a": "1"}},
        "spec": {
            "nodeName": "w1",
            "volumes": volumes,
            "containers": [{"name": "c", "image": "i", "volumeMounts": list(mounts)}],
        },
    }
    return new_run(pod, "w1", ("10.0.0.2",), None, directory)


def files(volume):
    return volume_files(run_of([]), volume, lookup)


def test_every_key_is_a_file():
    assert files({"configMap": {"name": "conf", "defaultMode": 0o600}}) == {
        "a": (b"1", 0o600), "b": (b"2", 0o600), "c": (b"\0\xff", 0o600),
    }  # fmt: skip
    assert files({"secret": {"secretName": "key"}}) == {"token": (b"s3cret", 0o644)}


def test_items_choose_and_rename():
    items = [{"key": "a", "path": "x/y", "mode": 0o400}]
    assert files({"configMap": {"name": "conf", "items": items}}) == {"x/y": (b"1", 0o400)}
    with pytest.raises(NetlabError, match="references non-existent configmap key: z"):
        files({"configMap": {"name": "conf", "items": [{"key": "z", "path": "z"}]}})


def test_what_is_optional_may_be_missing():
    assert files({"secret": {"secretName": "none", "optional": True}}) == {}
    with pytest.raises(NetlabError, match='secret "none" not found'):
        files({"secret": {"secretName": "none"}})


def test_the_downward_api_and_projections():
    info = {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}},
                      {"path": "ip", "fieldRef": {"fieldPath": "status.podIP"}}]}  # fmt: skip
    both = {"projected": {"sources": [{"downwardAPI": info}, {"secret": {"name": "key"}}]}}
    assert {path: content for path, (content, _) in files(both).items()} == {
        "l": b'a="1"\nb="2"', "ip": b"10.0.0.2", "token": b"s3cret",
    }  # fmt: skip


def test_pods_fill_the_others_themselves():
    assert files({"emptyDir": {}}) is None
    assert files({"hostPath": {"path": "/data"}}) is None


def test_files_follow_their_object(tmp_path):
    write_files(tmp_path, {"a": (b"1", 0o644), "x/y": (b"2", 0o400)})
    write_files(tmp_path, {"x/y": (b"3", 0o400)})
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "x/y").read_bytes() == b"3"
    assert (tmp_path / "x/y").stat().st_mode & 0o777 == 0o400


def test_a_missing_source_names_the_volume(tmp_path):
    run = run_of([{"name": "v", "configMap": {"name": "none"}}], tmp_path)
    with pytest.raises(VolumeLacks, match='failed for volume "v" : configmap "none" not found'):
        Volumes(tmp_path, lookup).prepare(run)


def test_a_host_path_is_the_nodes_own_and_a_claim_the_namespaces(tmp_path):
    volumes = [
        {"name": "h", "hostPath": {"path": "/var/data"}},
        {"name": "p", "persistentVolumeClaim": {"claimName": "db"}},
    ]
    mounts = [{"name": "h", "mountPath": "/h"}, {"name": "p", "mountPath": "/p", "readOnly": True}]
    run = run_of(volumes, tmp_path / "pod", mounts)
    made = Volumes(tmp_path / "disks", lookup)
    made.prepare(run)
    host, claim = made.mounts(run)["c"]
    assert (host.source, host.read_only) == (tmp_path / "disks/nodes/w1/var/data", False)
    assert (claim.source, claim.read_only) == (tmp_path / "disks/claims/n/db", True)
    assert host.source.is_dir()
    assert claim.source.is_dir()


@pytest.mark.parametrize("path", ["../x", "a/../../b", "/etc"])
def test_no_path_leads_out_of_a_volume(tmp_path, path):
    with pytest.raises(NetlabError, match="must be relative"):
        below(tmp_path, path)


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/srv", "../../srv", "a\0"])
def test_no_name_is_a_path(tmp_path, name):
    volumes = (
        {"name": name, "emptyDir": {}},
        {"name": "v", "persistentVolumeClaim": {"claimName": name}},
    )
    for volume in volumes:
        with pytest.raises(NetlabError, match="is no name of a volume's directory"):
            Volumes(tmp_path / "disks", lookup).prepare(run_of([volume], tmp_path / "pod"))
    assert not list(tmp_path.iterdir())


def test_no_link_that_a_pod_left_leads_out_of_a_volume(tmp_path):
    mount = {"name": "v", "mountPath": "/x", "subPath": "part"}
    run = run_of([{"name": "v", "emptyDir": {}}], tmp_path / "pod", [mount])
    volume = tmp_path / "pod" / "volumes" / "v"
    (volume / "inside").mkdir(parents=True)
    (volume / "part").symlink_to("inside")
    made = Volumes(tmp_path / "disks", lookup)
    assert made.mounts(run)["c"][0].source.resolve() == volume / "inside"
    for target in ("/etc", "../../..", "/no/such"):
        (volume / "part").unlink()
        (volume / "part").symlink_to(target)
        with pytest.raises(NetlabError, match="part: a link leads out of the volume"):
            made.mounts(run)
