"""Namespaces that are let go of together."""

from __future__ import annotations

import os

import pytest

from netlab.errors import KernelRefused
from netlab.kernel import leaving, netns, paths, syscalls
from netlab.kernel.leaving import Leaving

pytestmark = pytest.mark.root


@pytest.fixture
def places(lab_dir):
    made = [paths.namespace(lab_dir, f"t.{n}") for n in range(3)]
    for path in made:
        os.close(netns.create(path))
    return made


def mounted(lab_dir):
    """The inodes of the namespaces that something of the lab keeps alive."""
    points = netns.mounts_beneath(lab_dir)
    return {point.stat().st_ino for point in points if netns.exists(point)}


def test_their_places_are_free_and_they_stay_until_they_are_let_go_of(lab_dir, places):
    inodes = {path.stat().st_ino for path in places}
    those = Leaving(lab_dir)
    those.add(places[:2])
    those.add(places[1:])
    assert not any(path.exists() for path in places)
    assert mounted(lab_dir) == inodes
    those.let_go()
    those.let_go()
    assert mounted(lab_dir) == set()
    assert list(lab_dir.glob("leaving-*")) == []


def test_a_half_made_one_and_none_at_all_are_removed_too(lab_dir, places):
    netns.remove(places[0])
    places[0].touch()
    netns.remove(places[1])
    with leaving.leaving(lab_dir) as those:
        those.add(places)
    assert not any(path.exists() for path in places)
    assert mounted(lab_dir) == set()


def test_one_on_top_of_another_goes_with_it(lab_dir, places):
    syscalls.mount(str(places[1]), places[0], flags=syscalls.MS_BIND)
    with leaving.leaving(lab_dir) as those:
        those.add(places)
    assert not any(path.exists() for path in places)
    assert mounted(lab_dir) == set()


def test_out_of_a_shared_mount_they_go_one_by_one(lab_dir, places):
    syscalls.mount("", lab_dir, flags=1 << 20)  # MS_SHARED
    those = Leaving(lab_dir)
    those.add(places)
    assert not any(path.exists() for path in places)
    assert mounted(lab_dir) == set()
    those.let_go()
    assert list(lab_dir.glob("leaving-*")) == []


def test_what_a_killed_process_has_left_is_let_go_of(lab_dir, places):
    Leaving(lab_dir).add(places)
    another = Leaving(lab_dir)
    os.close(netns.create(places[0]))
    another.add(places[:1])
    leaving.sweep(lab_dir)
    assert mounted(lab_dir) == set()
    assert list(lab_dir.glob("leaving-*")) == []
    another.let_go()


def test_where_nothing_can_be_mounted_they_go_one_by_one(lab_dir, places, monkeypatch):
    def refuse(*_, **__):
        raise KernelRefused("no room", 28)

    monkeypatch.setattr(syscalls, "mount", refuse)
    Leaving(lab_dir).add(places)
    assert mounted(lab_dir) == set()
    assert list(lab_dir.glob("leaving-*")) == []


def test_only_what_was_left_is_let_go_of(lab_dir, tmp_path):
    """Not what has such a name by chance, or by somebody's intent."""
    (lab_dir / "leaving-file").write_text("a")
    (lab_dir / "leaving-full").mkdir()
    (lab_dir / "leaving-full" / "one").touch()
    (lab_dir / "leaving-link").symlink_to(tmp_path)
    (lab_dir / "leaving-other").mkdir()
    syscalls.mount("other", lab_dir / "leaving-other", "tmpfs")
    kept = sorted(lab_dir.glob("leaving-*"))
    (lab_dir / "leaving-empty").mkdir()
    those = Leaving(lab_dir)
    path = paths.namespace(lab_dir, "t.one")
    os.close(netns.create(path))
    those.add([path])
    leaving.sweep(lab_dir)
    assert mounted(lab_dir) == set()
    assert sorted(lab_dir.glob("leaving-*")) == kept
    assert (lab_dir / "leaving-other").is_mount()
