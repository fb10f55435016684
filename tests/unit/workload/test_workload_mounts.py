import os
import shutil

import pytest
from netlab.workload.mounts import Mount, bind_entries, overlay_entries, plan

from netlab.errors import NetlabError
from netlab.workload import rootfs


@pytest.fixture
def volume(tmp_path):
    directory = tmp_path / "volume"
    directory.mkdir()
    return directory


def planned(tmp_path, *mounts):
    return plan(mounts, {"/run": tmp_path / "run"}, ["/tmp"], tmp_path / "skeletons")


def test_what_exists_is_bound_over(tmp_path, volume):
    made = planned(tmp_path, Mount(volume, "/usr"))
    assert made.overlays == ()
    assert list(bind_entries(made, "/base")) == [(str(volume), "/base/usr", "none", "bind")]


def test_a_missing_place_comes_from_an_overlay_of_what_exists(tmp_path, volume):
    made = planned(tmp_path, Mount(volume, "/usr/no/such", read_only=True), Mount(volume, "/none"))
    assert list(overlay_entries(made, "/base")) == [
        ("overlay", "/base", "overlay", f"ro,lowerdir={tmp_path}/skeletons/0:/"),
        ("overlay", "/base/usr", "overlay", f"ro,lowerdir={tmp_path}/skeletons/1:/usr"),
    ]
    assert (tmp_path / "skeletons/0/none").is_dir()
    assert (tmp_path / "skeletons/1/no/such").is_dir()
    assert {options for *_, options in bind_entries(made, "/base")} == {"bind", "bind,ro"}


def test_a_file_has_a_file_to_be_bound_over(tmp_path, volume):
    file = volume / "motd"
    file.touch()
    planned(tmp_path, Mount(file, "/usr/no/motd"))
    assert (tmp_path / "skeletons/0/no/motd").is_file()


def test_places_in_the_containers_own_directories_are_made_there(tmp_path, volume):
    made = planned(tmp_path, Mount(volume, "/run/a"), Mount(volume, "/tmp/b"))
    assert (tmp_path / "run/a").is_dir()
    assert made.overlays == ()
    options = {target: options for _, target, _, options in bind_entries(made, "")}
    assert options == {"/run/a": "bind", "/tmp/b": "bind,X-mount.mkdir"}


def test_a_link_in_a_volume_leads_nowhere(tmp_path, volume):
    other = tmp_path / "other"
    other.mkdir()
    (volume / "part").symlink_to(other)
    with pytest.raises(NetlabError, match="a link leads away"):
        planned(tmp_path, Mount(volume, "/usr"), Mount(volume, "/usr/part/deeper"))
    assert list(other.iterdir()) == []


def test_what_a_container_wrote_is_gone_with_it(tmp_path):
    root = rootfs.prepare(tmp_path / "c", tmp_path)
    away = tmp_path / "away"
    away.mkdir()
    shutil.rmtree(root.run)
    root.run.mkdir()
    (root.run / "lock").symlink_to(away)
    rootfs.prepare(tmp_path / "c", tmp_path)
    assert [entry.is_symlink() for entry in root.run.iterdir() if entry.name == "lock"] == [False]
    assert away.is_dir()


def test_a_volume_in_a_volume(tmp_path, volume):
    inner = tmp_path / "inner"
    inner.mkdir()
    made = planned(tmp_path, Mount(inner, "/no/such/inner"), Mount(volume, "/no/such"))
    assert (volume / "inner").is_dir()
    assert [bind.target for bind in made.binds] == ["/no/such", "/no/such/inner"]


@pytest.mark.parametrize("target", ["/", "/proc/sys", "/sys"])
def test_some_places_are_refused(tmp_path, volume, target):
    with pytest.raises(NetlabError, match="cannot be mounted"):
        planned(tmp_path, Mount(volume, target))


def test_an_overlay_of_the_root_does_not_cover_the_machines_other_disks(
    tmp_path, volume, monkeypatch
):
    monkeypatch.setattr(os.path, "ismount", lambda path: path == "/usr")
    root = rootfs.prepare(tmp_path / "c", tmp_path, [Mount(volume, "/no-such-place/here")])
    lines = [line.split()[:3] for line in root.fstab.read_text().splitlines()]
    base = str(root.mount_point)
    overlay = lines.index(["overlay", base, "overlay"])
    assert overlay < lines.index(["/usr", f"{base}/usr", "none"])
