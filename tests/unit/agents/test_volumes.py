import base64
import os

import pytest

from netlab.agents.podrun import new_run
from netlab.agents.volume_files import volume_files
from netlab.agents.volumes import (
    Owner,
    VolumeLacks,
    Volumes,
    expanded,
    write_files,
)
from netlab.errors import NetlabError
from netlab.kernel.userns import IdRange
from netlab.workload.bounds import DISK, Tmpfs
from netlab.workload.sandbox import IDLE
from netlab.workload.volume import Part

OBJECTS = {
    ("ConfigMap", "conf"): {"data": {"a": "1", "b": "2"}, "binaryData": {"c": "AP8="}},
    ("Secret", "key"): {"data": {"token": base64.b64encode(b"s3cret").decode()}},
}


def lookup(kind, namespace, name):
    found = OBJECTS.get((kind, name))
    return {"kind": kind, **found} if found is not None else None


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


US = Owner(os.getuid(), os.getgid(), shared=False)


def mode_of(path):
    return path.stat().st_mode & 0o777


def test_files_follow_their_object(tmp_path):
    write_files(tmp_path / "v", {"a": (b"1", 0o644), "x/y": (b"2", 0o400)}, US)
    write_files(tmp_path / "v", {"x/y": (b"3", 0o400)}, US)
    assert not (tmp_path / "v/a").exists()
    assert (tmp_path / "v/x/y").read_bytes() == b"3"
    assert mode_of(tmp_path / "v/x/y") == 0o400
    assert mode_of(tmp_path / "v/x") == mode_of(tmp_path / "v") == 0o755


def test_an_fs_group_may_read_whatever_the_mode(tmp_path):
    write_files(tmp_path, {"a": (b"1", 0o400), "b": (b"2", 0o644)}, US._replace(shared=True))
    assert (mode_of(tmp_path / "a"), mode_of(tmp_path / "b")) == (0o440, 0o644)


@pytest.mark.parametrize("path", ["../x", "a/../../b", "/etc", "a//b", "", ".", "a/.", "a\0b"])
def test_no_path_leads_out_of_a_volume(tmp_path, path):
    with pytest.raises(NetlabError, match="is no name of a volume's directory"):
        write_files(tmp_path / "v", {path: (b"", 0o644)}, US)
    assert [entry for entry in tmp_path.rglob("*") if entry.is_file()] == []
    assert {entry.name for entry in tmp_path.iterdir()} == {"v"}


# -- which directory is a volume's -----------------------------------------------------------------

IDS = IdRange(os.getuid())
"""Ids of which the first is ours, so that giving files away needs no privilege."""


def volumes_of(lab):
    return Volumes(lab, lookup, IDS)


def pod_directory(lab):
    return lab / "pods" / "u"


def test_a_missing_source_names_the_volume(tmp_path):
    run = run_of([{"name": "v", "configMap": {"name": "none"}}], pod_directory(tmp_path))
    with pytest.raises(VolumeLacks, match='failed for volume "v" : configmap "none" not found'):
        volumes_of(tmp_path).prepare(run)


def copies(key, count, depth=0):
    """A source of one key's content in `count` files, below `depth` directories."""
    items = [{"key": key, "path": f"{'d/' * depth}{number}"} for number in range(count)]
    return {"configMap": {"name": "big", "items": items}}


def named(*sources):
    return [{"name": f"v{number}", **source} for number, source in enumerate(sources)]


# A mebibyte takes 257 pages with its name, of 8192.
FULL = [
    ([copies("long", 31)], copies("long", 1)),
    ([copies("long", 1)] * 31, copies("long", 1)),
    ([copies("short", 4096)], copies("short", 1)),
    ([copies("short", 1638, depth=3)], copies("short", 1, depth=3)),
]


@pytest.mark.parametrize(("fit", "more"), FULL)
def test_the_volumes_of_a_pod_have_room_for_so_much(tmp_path, monkeypatch, fit, more):
    monkeypatch.setitem(
        OBJECTS, ("ConfigMap", "big"), {"data": {"long": "x" * 2**20, "short": "x"}}
    )
    fits = run_of(named(*fit), tmp_path / "pods/fits")
    volumes_of(tmp_path).prepare(fits)
    over = run_of(named(*fit, more), tmp_path / "pods/over")
    with pytest.raises(VolumeLacks, match=rf'"v{len(fit)}" : .* may take 32 MiB of memory in all'):
        volumes_of(tmp_path).prepare(over)
    assert not over.directory.exists(), "nothing is half made"
    everything = [copies("long", 31), copies("short", 300, depth=1)]
    with pytest.raises(VolumeLacks, match=r'"v0" : .* may take 32 MiB'):
        volumes_of(tmp_path).prepare(
            run_of(named({"projected": {"sources": everything}}), over.directory)
        )


@pytest.mark.parametrize("path", ["/".join(["d" * 200] * 30), "a/b"])
def test_what_the_disk_refuses_is_a_fault_of_its_volume(tmp_path, path):
    items = [{"key": "a", "path": "a"}, {"key": "b", "path": path}]
    run = run_of(named({"configMap": {"name": "conf", "items": items}}), pod_directory(tmp_path))
    with pytest.raises(VolumeLacks, match=r'"v0" : (File name too long|Not a directory)'):
        volumes_of(tmp_path).prepare(run)


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing(tmp_path):
    (tmp_path / "v/a/b").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_files(tmp_path / "v", {"a": (b"1", 0o644)}, US)
    assert [entry for entry in tmp_path.rglob("*") if entry.is_file()] == []


def test_a_name_may_be_as_long_as_any(tmp_path):
    write_files(tmp_path / "v", {"a" * 255: (b"1", 0o644)}, US)
    assert (tmp_path / "v" / ("a" * 255)).read_bytes() == b"1"


def test_a_path_that_leads_away_is_a_fault_of_its_volume(tmp_path):
    items = [{"key": "a", "path": "../../../a"}]
    run = run_of(
        [{"name": "v", "configMap": {"name": "conf", "items": items}}], tmp_path / "pods/u"
    )
    with pytest.raises(NetlabError, match="is no name of a volume's"):
        volumes_of(tmp_path).prepare(run)
    assert not (tmp_path / "a").exists()


def volume_of(namespace, name, **spec):
    notes = {} if spec else {"pv.kubernetes.io/provisioned-by": "netlab.io/directory"}
    source = spec or {"hostPath": {"path": "/var/lib/x"}}
    return {"metadata": {"name": f"pv-{namespace}-{name}", "annotations": notes}, "spec": source}


@pytest.mark.parametrize(
    ("spec", "source", "parts"),
    [
        ({"hostPath": {"path": "/x"}}, "disks/nodes/w1", (Part("/x"),)),
        ({"local": {"path": "/x"}}, "disks/nodes/w1", (Part("/x", ""),)),
    ],
)
def test_a_claim_is_what_its_volume_is(tmp_path, spec, source, parts):
    volumes = [{"name": "p", "persistentVolumeClaim": {"claimName": "db", "readOnly": True}}]
    run = run_of(volumes, pod_directory(tmp_path), [{"name": "p", "mountPath": "/p"}])
    made = Volumes(tmp_path, lookup, IdRange(os.getuid()), lambda *of: volume_of(*of, **spec))
    made.prepare(run)
    (mount,) = made.mounts(run)["c"]
    assert (mount.source, mount.parts, mount.read_only) == (source, parts, True)


ATTACH = "timed out waiting for external-attacher of {} CSI driver to attach volume {}"


@pytest.mark.parametrize(
    ("spec", "reason", "why"),
    [
        ({"nfs": {"server": "s", "path": "/x"}}, "FailedMount", "Mounting arguments: -t nfs s:/x "),
        ({"iscsi": {}}, "FailedMount", "executable file not found in $PATH"),
        (
            {"csi": {"driver": "d", "volumeHandle": "h"}},
            "FailedAttachVolume",
            'AttachVolume.Attach failed for volume "pv" : ' + ATTACH.format("d", "h"),
        ),
        (
            {"awsElasticBlockStore": {"volumeID": "vol-1"}},
            "FailedAttachVolume",
            ATTACH.format("ebs.csi.aws.com", "vol-1"),
        ),
        (
            {"glusterfs": {"path": "p"}},
            "FailedMount",
            'failed to get Plugin from volumeSpec for volume "pv" err=no volume plugin matched',
        ),
    ],
)
def test_a_volume_that_is_elsewhere_is_what_a_pod_lacks(tmp_path, spec, reason, why):
    mounts = [{"name": "p", "mountPath": "/p"}]
    claim, inline = {"persistentVolumeClaim": {"claimName": "db"}}, spec
    for source, name in ((claim, "pv"), (inline, "p")):
        run = run_of([{"name": "p", **source}], pod_directory(tmp_path), mounts)
        pv = {"metadata": {"name": "pv"}, "spec": spec}
        made = Volumes(tmp_path, lookup, IdRange(os.getuid()), lambda *_, pv=pv: pv)
        for for_servers in (False, True):
            with pytest.raises(VolumeLacks) as error:
                made.prepare(run, for_servers=for_servers)
            failure = error.value.failure
            assert failure.reason == reason
            assert why.replace('"pv"', f'"{name}"') in failure.message
            assert f'volume "{name}"' in failure.message


def test_a_driver_of_a_pod_s_own_volume_is_not_registered(tmp_path):
    run = run_of([{"name": "p", "csi": {"driver": "d"}}], pod_directory(tmp_path))
    with pytest.raises(VolumeLacks) as error:
        volumes_of(tmp_path).prepare(run)
    assert error.value.failure == (
        "FailedMount",
        'MountVolume.SetUp failed for volume "p" : kubernetes.io/csi: mounter.SetUpAt failed to '
        "get CSI client: driver name d not found in the list of registered CSI drivers",
    )


def test_a_claim_that_is_not_bound_is_what_a_pod_lacks(tmp_path):
    volumes = [{"name": "p", "persistentVolumeClaim": {"claimName": "db"}}]
    run = run_of(volumes, pod_directory(tmp_path))
    with pytest.raises(VolumeLacks, match='volume "p" : persistentvolumeclaim "db" not found'):
        volumes_of(tmp_path).prepare(run)


def test_a_host_path_is_the_nodes_own_and_a_claim_the_volumes(tmp_path):
    volumes = [
        {"name": "h", "hostPath": {"path": "/var/data"}},
        {"name": "p", "persistentVolumeClaim": {"claimName": "db"}},
    ]
    mounts = [{"name": "h", "mountPath": "/h"}, {"name": "p", "mountPath": "/p", "readOnly": True}]
    run = run_of(volumes, pod_directory(tmp_path), mounts)
    made = Volumes(tmp_path, lookup, IdRange(os.getuid()), lambda *of: volume_of(*of))
    made.prepare(run)
    host, claim = made.mounts(run)["c"]
    assert (host.source, host.target, host.read_only) == ("disks/nodes/w1", "/h", False)
    assert host.parts == (Part("/var/data"),), "looked for inside the disk: pods write there"
    assert (claim.source, claim.target, claim.read_only) == ("disks/volumes/pv-n-db", "/p", True)
    for mount in (host, claim):
        assert mode_of(tmp_path / mount.source) == 0o777, "whoever the pod's users are"
        assert mount.scratch == ""
    assert claim.parts == ()


def test_a_nodes_disk_has_its_hosts_file_and_a_claims_nothing(tmp_path):
    volumes = [
        {"name": "h", "hostPath": {"path": "/etc/hosts", "type": "File"}},
        {"name": "p", "persistentVolumeClaim": {"claimName": "db"}},
    ]
    run = run_of(volumes, pod_directory(tmp_path))
    Volumes(tmp_path, lookup, IdRange(os.getuid()), lambda *of: volume_of(*of)).prepare(run)
    hosts = tmp_path / "disks/nodes/w1/etc/hosts"
    assert hosts.read_text().startswith("127.0.0.1\tlocalhost\n")
    assert (mode_of(hosts), mode_of(hosts.parent)) == (0o644, 0o755)
    assert list((tmp_path / "disks/volumes/pv-n-db").iterdir()) == []
    assert [one.name for one in (tmp_path / "disks/nodes/w1").iterdir()] == ["etc"]
    hosts.unlink()
    volumes_of(tmp_path).prepare(run_of(volumes[:1], pod_directory(tmp_path)))
    assert not hosts.exists(), "as whoever writes there left it"


def test_what_outlives_pods_is_left_as_it_is(tmp_path):
    run = run_of([{"name": "h", "hostPath": {"path": "/data"}}], pod_directory(tmp_path))
    disk = tmp_path / "disks/nodes/w1"
    volumes_of(tmp_path).prepare(run)
    disk.chmod(0o700)
    (disk / "kept").touch()
    volumes_of(tmp_path).prepare(run)
    assert mode_of(disk) == 0o700
    assert (disk / "kept").exists()


def test_made_of_objects_is_read_only_and_an_empty_one_a_file_system_of_its_own(tmp_path):
    volumes = [{"name": "e", "emptyDir": {}}, {"name": "c", "configMap": {"name": "conf"}}]
    mounts = [
        {"name": "e", "mountPath": "/e", "subPath": "a/b"},
        {"name": "c", "mountPath": "/c/a", "subPath": "a"},
    ]
    run = run_of(volumes, pod_directory(tmp_path), mounts)
    made = volumes_of(tmp_path)
    made.prepare(run)
    empty, conf = made.mounts(run)["c"]
    assert (empty.source, empty.parts) == ("pods/u/volumes/e", (Part("a/b"),))
    assert (empty.scratch, empty.read_only) == (Tmpfs(DISK).options, False)
    run.pod["spec"]["securityContext"] = {"fsGroup": 2000}
    assert made.mounts(run)["c"][0].scratch == f"{Tmpfs(DISK).options},mode=2777,gid=2000"
    del run.pod["spec"]["securityContext"]
    assert not (tmp_path / empty.source).exists(), "the runtime makes it"
    assert (conf.source, conf.parts) == ("pods/u/volumes/c", (Part("a"),))
    assert (conf.scratch, conf.read_only) == ("", True)
    assert (tmp_path / conf.source / "a").read_text() == "1"
    assert made.mounts(run)[IDLE] == (empty, conf)


@pytest.mark.parametrize(
    "volume",
    [
        {"name": "../../x", "configMap": {"name": "conf"}},
        {"name": "..", "secret": {"secretName": "key"}},
    ],
)
def test_no_name_of_a_volume_leads_out_of_the_labs_directory(tmp_path, volume):
    mount = {"name": volume["name"], "mountPath": "/m"}
    run = run_of([volume], pod_directory(tmp_path), [mount])
    made = volumes_of(tmp_path)
    for act in (made.prepare, made.mounts):
        with pytest.raises(NetlabError, match="is no name of a volume's directory"):
            act(run)
    assert list(tmp_path.iterdir()) == []


def test_an_owner_is_told_by_the_machines_ids(tmp_path):
    run = run_of([], pod_directory(tmp_path))
    made = Volumes(tmp_path, lookup, IdRange(0x7000_0000))
    assert made._owner(run) == Owner(0x7000_0000, 0x7000_0000, shared=False)
    run.pod["spec"]["securityContext"] = {"fsGroup": 2000}
    assert made._owner(run) == Owner(0x7000_0000, 0x7000_0000 + 2000, shared=True)
    run.pod["spec"]["securityContext"] = {"fsGroup": 70_000}
    assert made._owner(run).group == 0x7000_0000 + 0x2_0000 + 70_000 - 0x1_0000
    assert Volumes(tmp_path, lookup, None)._owner(run) == Owner(0, 70_000, shared=True)


def test_a_sub_path_may_name_variables(tmp_path):
    mount = {"name": "e", "mountPath": "/e", "subPathExpr": "logs/$(POD)"}
    run = run_of([{"name": "e", "emptyDir": {}}], pod_directory(tmp_path), [mount])
    (made,) = volumes_of(tmp_path).mounts(run, lambda *_: {"POD": "p-0"})["c"]
    assert made.parts == (Part("logs/p-0"),)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("$(NONE)", 'missing value for "NONE"'),
        ("$(UP)/x", "must not contain"),
        ("$(TOP)", "must not be an absolute path"),
    ],
)
def test_a_sub_path_leads_nowhere_else(pattern, words):
    with pytest.raises(NetlabError, match=words):
        expanded(pattern, {"UP": "..", "TOP": "/etc"})
    assert expanded("$$(A)", {"A": "1"}) == "$(A)"
