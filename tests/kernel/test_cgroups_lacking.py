"""Where no control groups can be had, or not all: that is seen and said, and nothing is tried."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netlab.kernel import cgroups, preflight
from netlab.kernel.hierarchies import GroupHome

pytestmark = pytest.mark.root


def test_a_place_that_refuses_is_found_out(tmp_path):
    """A controller that is there by all looks, and where no group can be made after all."""
    place = GroupHome("memory", 2, tmp_path / "gone")
    assert "refuses a group" in cgroups.trial(place)
    finding, _ = preflight.bounds({"memory": place})
    assert (finding.ok, finding.required) == (False, False)
    assert "RLIMIT_DATA" in finding.detail


def test_a_labs_limits_leave_the_machine_something():
    limits = cgroups.lab_limits()
    available = cgroups._free_memory()
    assert 0 < limits.memory < available
    assert 0 < limits.pids <= int(Path("/proc/sys/kernel/pid_max").read_text()) // 2


LOOK = """
from netlab.kernel import cgroups
found = cgroups.detect()
print(*(type(each).__name__ for each in found.values()))
groups = cgroups.Groups("00000000-0000", found)
groups.ensure_lab(cgroups.lab_limits(found))
print(groups.ensure_pod("p", cgroups.Limits(1 << 26, 40)))
print(groups.members("p"), groups.events("p"), groups.usage("p"))
groups.remove_pod("p")
groups.remove()
"""


def look(prepare: str) -> list[str]:
    """What `LOOK` prints in a mount namespace where the control groups have been seen to."""
    script = f'{prepare}; exec "$0" -c "$1"'
    argv = ["unshare", "-m", "sh", "-ec", script, sys.executable, LOOK]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()


UNMOUNT = "! mountpoint -q /sys/fs/cgroup || umount -R /sys/fs/cgroup"
NOTHING = "[] Events(oom_kills=0, forks_refused=0) Usage(memory=None, pids=None)"


def test_without_control_groups_nothing_is_entered():
    assert look(UNMOUNT) == ["Lacking Lacking Lacking", "[]", NOTHING]


def test_read_only_control_groups_are_none():
    read_only = "for m in $(grep -o '/sys/fs/cgroup[^ ]*' /proc/self/mounts | sort -u)\n"
    read_only += "do mount -o remount,bind,ro $m; done"
    assert look(read_only) == ["Lacking Lacking Lacking", "[]", NOTHING]


def test_covered_control_groups_are_none():
    assert look("mount -t tmpfs none /sys/fs/cgroup") == ["Lacking Lacking Lacking", "[]", NOTHING]


def test_the_v2_tree_alone_bounds_what_it_has_been_given():
    """All of it where v2 has the controllers; nothing on a machine where v1 has them."""
    alone = f"{UNMOUNT}; mount -t cgroup2 none /sys/fs/cgroup"
    found = cgroups.detect()
    expected = [
        "Place" if isinstance(each, GroupHome) and each.version == 2 else "Lacking"
        for each in found.values()
    ]
    lines = look(alone)
    assert lines[0].split() == expected
    assert (lines[1] == "[]") == ("Place" not in expected)
