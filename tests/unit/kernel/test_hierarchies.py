"""Which controllers can be had, from what the kernels of several kinds of machine say."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.kernel import hierarchies
from netlab.kernel.hierarchies import GroupHome, Lacking, V2Controllers
from netlab.kernel.mountinfo import parsed

TOP = Path("/sys/fs/cgroup")
ALL = "cpuset cpu io memory hugetlb pids rdma misc"

# v1 for each controller, and a v2 tree that is left with hugetlb.
SPLIT = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
# Debian 12, Ubuntu 24.04 and GitHub's runners, which are such an Ubuntu: systemd, v2 alone.
DEBIAN = """\
24 31 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 \
rw,nsdelegate,memory_recursiveprot
31 24 0:27 / /sys/fs/pstore rw,nosuid,nodev,noexec,relatime shared:10 - pstore pstore rw
"""
# docker run --privileged on such a machine; the container's processes are in its top group.
PRIVILEGED = """\
1480 1479 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup \
rw,nsdelegate,memory_recursiveprot
"""
# docker run without, on v2, and on a machine with v1, whose groups are seen with their paths.
# The machine's tree bound into a container that has a cgroup namespace of its own.
BOUND_IN = PRIVILEGED.replace(" / /sys", " /../.. /sys")
READ_ONLY = PRIVILEGED.replace(" rw,nosuid", " ro,nosuid", 1)
V1_CONTAINER = """\
700 699 0:50 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
704 700 0:30 /docker/6b1e /sys/fs/cgroup/memory {rw},nosuid,nodev - cgroup cgroup rw,memory
703 700 0:29 /docker/6b1e /sys/fs/cgroup/cpu {rw},nosuid,nodev - cgroup cgroup rw,cpu
705 700 0:31 /docker/6b1e /sys/fs/cgroup/pids {rw},nosuid,nodev,noexec - cgroup cgroup rw,pids
"""
# Ubuntu's earlier hybrid form; memory and pids mounted together, as some distributions had them.
TOGETHER = """\
40 30 0:35 / /cg\\040roups/both rw - cgroup cgroup rw,memory,pids,cpu
"""
TWO = Path("/cg roups/both")


def found(mountinfo: str, available: str = "", handed_on: str = "", writable: bool = True):
    tree = V2Controllers(frozenset(available.split()), frozenset(handed_on.split()))
    mounts = hierarchies.mounts(parsed(mountinfo))
    return hierarchies.found(mounts, lambda _: tree, lambda _: writable)


def places(version: int, **tops: Path) -> dict[str, GroupHome]:
    return {name: GroupHome(name, version, top) for name, top in tops.items()}


V2 = places(2, memory=TOP, pids=TOP, cpu=TOP)
APART = places(1, memory=TOP / "memory", pids=TOP / "pids", cpu=TOP / "cpu")


@pytest.mark.parametrize(
    ("mountinfo", "available", "handed_on", "where"),
    [
        (SPLIT, "hugetlb", "", APART),
        (DEBIAN, ALL, "cpu io memory pids", V2),
        (DEBIAN, ALL, ALL, V2),
        (PRIVILEGED, ALL, ALL, V2),
        (V1_CONTAINER.format(rw="rw"), "", "", APART),
        (TOGETHER, "", "", places(1, memory=TWO, pids=TWO, cpu=TWO)),
    ],
    ids=["split", "debian", "ubuntu", "prepared container", "v1 container", "together"],
)
def test_where_controllers_are(mountinfo, available, handed_on, where):
    assert found(mountinfo, available, handed_on) == where


@pytest.mark.parametrize(
    ("mountinfo", "available", "handed_on", "reason", "fix"),
    [
        (PRIVILEGED, ALL, "", "does not hand the memory controller on", "echo +memory > "),
        (DEBIAN, ALL, "cpu io", "does not hand the memory controller on", "echo +memory > "),
        (BOUND_IN, ALL, ALL, "is above this process's cgroup namespace", "mount -t cgroup2 "),
        (READ_ONLY, ALL, "", "cannot be written to", "mount it writable"),
        (READ_ONLY, ALL, ALL, "cannot be written to", "mount it writable"),
        (V1_CONTAINER.format(rw="ro"), "", "", "cannot be written to", "mount it writable"),
        (SPLIT.splitlines()[-1], "hugetlb", "hugetlb", "no mounted control groups have", ""),
        ("", "", "", "no mounted control groups have the memory controller", ""),
    ],
    ids=["container", "not delegated", "bound in", "read-only", "read-only and delegated",
         "read-only v1", "v2 without", "nothing"],
)  # fmt: skip
def test_where_controllers_are_lacking_and_why(mountinfo, available, handed_on, reason, fix):
    lacking = found(mountinfo, available, handed_on)["memory"]
    assert isinstance(lacking, Lacking)
    assert reason in lacking.reason
    assert lacking.fix.startswith(fix)
    assert bool(lacking.fix) == bool(fix)


def test_one_controller_may_be_had_without_the_other():
    mixed = found(DEBIAN, ALL, "pids")
    assert mixed["pids"] == GroupHome("pids", 2, TOP)
    assert isinstance(mixed["memory"], Lacking)
    assert isinstance(mixed["cpu"], Lacking)


def test_one_in_each_version():
    """A kernel started with cgroup_no_v1=memory, say."""
    lines = [line for line in SPLIT.splitlines() if "/memory " not in line]
    where = found("\n".join(lines), "memory hugetlb", "memory")
    assert where["memory"] == GroupHome("memory", 2, TOP / "unified")
    assert where["pids"] == GroupHome("pids", 1, TOP / "pids")


def test_a_directory_that_refuses_writing_is_no_place():
    """A user namespace sees everything mounted writable, and may make nothing in it."""
    refused = found(SPLIT, writable=False)
    assert [type(each) for each in refused.values()] == [Lacking, Lacking, Lacking]


def test_a_second_mount_of_the_same_hierarchy_is_tried_too():
    again = SPLIT.replace("memory rw,relatime", "memory ro,relatime") + SPLIT.replace(
        "/sys/fs/cgroup", "/mnt/groups"
    )
    assert found(again)["memory"] == GroupHome("memory", 1, Path("/mnt/groups/memory"))
