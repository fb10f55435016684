"""Which control groups there are to bound things by, from what the kernel says of them. Pure.

It goes by controller, not by version: a controller is either in a v1 hierarchy of its own or in
the v2 tree, and a machine may have both (the v2 tree then bounds only what is left to it).

Groups are made at the top of what is mounted, not below the group that we happen to be in: `up`
and `down` come from different sessions, whose groups end with them and are the system manager's,
and in v2 a group that has processes of its own cannot bound its children's. In a container the
top is the container's group, so its own bounds hold for labs as well.

Source: Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst; proc_pid_mountinfo(5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from netlab.kernel.mountinfo import Mounted

CONTROLLERS = ("memory", "pids", "cpu")


class HierarchyMount(Struct, frozen=True):
    """A mounted hierarchy: `words` are its options, among them v1's controllers.

    `root` is the group that lies at `top`, as seen from this process's own cgroup namespace.
    """

    top: Path
    version: int
    words: frozenset[str]
    device: tuple[int, int]
    root: str = "/"


class V2Controllers(Struct, frozen=True):
    """The top of a v2 tree: which controllers it has, and which of them its children have."""

    available: frozenset[str]
    handed_on: frozenset[str]


class GroupHome(Struct, frozen=True):
    """Where groups can be made that bound, or share out, what `controller` counts."""

    controller: str
    version: int
    top: Path

    def __str__(self) -> str:
        return f"the {self.controller} controller of cgroup v{self.version} at {self.top}"


class Lacking(Struct, frozen=True):
    """Why a controller bounds nothing here, and what would change that (empty: nothing known)."""

    controller: str
    reason: str
    fix: str = ""

    def __str__(self) -> str:
        return self.reason


Found = Mapping[str, GroupHome | Lacking]


def mounts(mounted: Iterable[Mounted]) -> list[HierarchyMount]:
    """The hierarchies among what is mounted, in its order."""
    return [
        HierarchyMount(one.point, _VERSIONS[one.kind], _words(one), one.device, one.root)
        for one in mounted
        if one.kind in _VERSIONS
    ]


_VERSIONS = {"cgroup": 1, "cgroup2": 2}


def _words(one: Mounted) -> frozenset[str]:
    return frozenset((*one.options.split(","), *one.own_options.split(",")))


def found(
    mounted: Sequence[HierarchyMount],
    tree: Callable[[Path], V2Controllers],
    writable: Callable[[Path], bool],
) -> Found:
    """Where each of `CONTROLLERS` can be had, or why not.

    `tree` reads the top of a v2 tree, `writable` says whether groups can be made in a directory.
    """
    return {name: _place(name, mounted, tree, writable) for name in CONTROLLERS}


def _place(
    name: str,
    mounted: Sequence[HierarchyMount],
    tree: Callable[[Path], V2Controllers],
    writable: Callable[[Path], bool],
) -> GroupHome | Lacking:
    lacking = Lacking(name, f"no mounted control groups have the {name} controller")
    for mount in mounted:
        if name not in (mount.words if mount.version == 1 else tree(mount.top).available):
            continue
        if "ro" in mount.words or not writable(mount.top):
            lacking = Lacking(name, f"{mount.top} cannot be written to", "mount it writable")
        elif mount.version == 2 and mount.root.startswith("/.."):
            reason = f"{mount.top} is above this process's cgroup namespace, which it may not leave"
            lacking = Lacking(name, reason, f"mount -t cgroup2 cgroup2 {mount.top}")
        elif mount.version == 2 and name not in tree(mount.top).handed_on:
            lacking = _not_handed_on(name, mount.top / "cgroup.subtree_control")
        else:
            return GroupHome(name, mount.version, mount.top)
    return lacking


def _not_handed_on(name: str, control: Path) -> Lacking:
    """Not ours to change: the group above a lab's is the system's."""
    reason = f"{control} does not hand the {name} controller on"
    return Lacking(name, reason, f"echo +{name} > {control}")
