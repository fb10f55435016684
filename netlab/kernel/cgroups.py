"""Control groups, which bound what a lab's pods use: one group a lab, one in it for each pod.

    <top>/netlab-<the lab's uid>/pod<the pod's uid>

The lab's uid in the name is the mark of ownership: teardown looks for exactly that name, at the
top of each mounted hierarchy. Nobody else's group is changed, and no process is ever moved: a
process of a pod enters by itself, writing "0" into `cgroup.procs` before it begins its program.
So whatever is found in a lab's groups is the lab's, and is ended with them.

Memory and processes are limited. Of the processors each pod gets an equal share when they are
short, and the lab's pods together one: without, what does nothing but start processes leaves
nobody else the time to end it.

A pod that runs nothing of its own needs no group. Making one takes about 0.3 ms.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from netlab.errors import KernelRefused
from netlab.kernel import files, groupfiles, hierarchies, mountinfo
from netlab.kernel.hierarchies import Found, GroupHome, HierarchyMount, Lacking, V2Controllers

# A name that is one word: neither a way out of the directory nor a file of the kernel's.
_WORD = re.compile(r"[A-Za-z0-9-]{1,200}")
_PREFIX = "netlab-"
_LEAST_MEMORY = 64 << 20
_MOST_PROCESSES = 16384


class Limits(Struct, frozen=True):
    """What a group and all in it may have: bytes of memory, swap included, and processes."""

    memory: int
    pids: int

    def of(self, place: GroupHome) -> int | None:
        """The limit that this controller holds; None: it shares out."""
        return {"memory": self.memory, "pids": self.pids}.get(place.controller)


class Events(Struct, frozen=True):
    """What the limits of a pod have done so far.

    `oom_kills` counts processes killed for want of memory, `forks_refused` those not started.
    """

    oom_kills: int = 0
    forks_refused: int = 0


class Usage(Struct, frozen=True):
    """Bytes of memory and processes that a pod has now; None where no controller counts them."""

    memory: int | None = None
    pids: int | None = None


def detect() -> Found:
    """Where each controller can be had on this machine, or why not; changes nothing."""
    return hierarchies.found(_mounts(), _tree, lambda top: os.access(top, os.W_OK))


def _mounts() -> list[HierarchyMount]:
    """The hierarchies that can be seen: what another mount covers is left out."""
    return [mount for mount in hierarchies.mounts(mountinfo.here()) if _is_seen(mount)]


def _is_seen(mount: HierarchyMount) -> bool:
    try:
        return mount.top.stat().st_dev == os.makedev(*mount.device)
    except OSError:
        return False


def _tree(top: Path) -> V2Controllers:
    texts = (groupfiles.read(top / f"cgroup.{name}") for name in ("controllers", "subtree_control"))
    available, handed_on = (frozenset((text or "").split()) for text in texts)
    return V2Controllers(available, handed_on)


class Groups:
    """The groups of the lab `owner` (its uid)."""

    def __init__(self, owner: str, found: Found | None = None) -> None:
        """`found`: where to make them; by default wherever `detect` says."""
        self._owner = _word(owner)
        self._found = dict(detect() if found is None else found)

    @property
    def found(self) -> Found:
        """Which controllers bound this lab, and why the others do not."""
        return self._found

    @property
    def held(self) -> frozenset[str]:
        """The controllers in force, by name; the others' place is for limits of processes."""
        return frozenset(place.controller for place in self._places())

    def ensure_lab(self, limits: Limits) -> None:
        """Make the lab's group and limit it, once: a lab that is adopted keeps its limits.

        A controller that is refused here, whatever it looked like, bounds nothing from then on:
        `found` says so.
        """
        for place in self._places():
            try:
                self._ensure_lab(place, limits)
            except OSError as error:
                reason = f"{place} refuses a group: {error.strerror}"
                self._found[place.controller] = Lacking(place.controller, reason)

    def _ensure_lab(self, place: GroupHome, limits: Limits) -> None:
        group = _lab(place.top, self._owner)
        group.mkdir(exist_ok=True)
        hierarchical = group / "memory.use_hierarchy"
        if place.version == 2:
            files.tell(group / "cgroup.subtree_control", f"+{place.controller}")
        elif place.controller == "memory" and hierarchical.exists():
            files.tell(hierarchical, "1")  # before Linux 5.11 a group's need not be
        if groupfiles.limit(place, group) >= groupfiles.UNLIMITED:
            self._limit(place, group, limits)

    def ensure_pod(self, uid: str, limits: Limits) -> list[Path]:
        """Make a pod's group, or limit the one it has anew; `ensure_lab` must have come before.

        Returns the `cgroup.procs` that each process of the pod must write "0" into before it
        drops its rights and begins its program: one for each hierarchy in use, none where no
        controller bounds anything. Raises `KernelRefused`: the pod must not run then.
        """
        for place in self._places():
            group = self._pod(place, uid)
            try:
                group.mkdir(exist_ok=True)
                self._limit(place, group, limits)
            except OSError as error:
                what = f"cannot bound pod {uid} by {place}: {error.strerror}"
                raise KernelRefused(what, error.errno or 0) from error
        return [group / "cgroup.procs" for group in self._of_pod(uid)]

    def _limit(self, place: GroupHome, group: Path, limits: Limits) -> None:
        value = limits.of(place)
        if value is not None:
            groupfiles.set_limit(place, group, value)

    def remove_pod(self, uid: str) -> None:
        """End what still runs in a pod's group, and remove it; fine when there is none.

        Raises `KernelRefused` for what does not go.
        """
        for group in self._of_pod(uid):
            groupfiles.remove(group)

    def remove(self) -> None:
        """`remove_pod` for every pod, then the lab's own group; from any half-made state."""
        for group in lab_groups(self._owner):
            groupfiles.remove(group)

    def members(self, uid: str) -> list[int]:
        """The ids of a pod's processes; nothing where no controller is in use."""
        return sorted({pid for group in self._of_pod(uid) for pid in groupfiles.members(group)})

    def events(self, uid: str) -> Events:
        """What a pod's limits have done since its group was made; zeros when it has none."""
        counts = {
            place.controller: groupfiles.events(place, self._pod(place, uid))
            for place in self._places()
        }
        return Events(counts.get("memory", 0), counts.get("pids", 0))

    def usage(self, uid: str) -> Usage:
        """What a pod has now; its tmpfs pages count as memory."""
        now = {
            place.controller: groupfiles.usage(place, self._pod(place, uid))
            for place in self._places()
        }
        return Usage(now.get("memory"), now.get("pids"))

    def _places(self) -> list[GroupHome]:
        """The processes' first: what starts more and more is stopped there, and then ended."""
        places = [place for place in self._found.values() if isinstance(place, GroupHome)]
        return sorted(places, key=lambda place: place.controller != "pids")

    def _of_pod(self, uid: str) -> list[Path]:
        return list(dict.fromkeys(self._pod(place, uid) for place in self._places()))

    def _pod(self, place: GroupHome, uid: str) -> Path:
        return _lab(place.top, self._owner) / f"pod{_word(uid)}"


def lab_limits(found: Found | None = None) -> Limits:
    """What all pods of a lab together may have here.

    Three quarters of the memory that is free, so that the machine and the lab's own processes
    stay alive, and a quarter of the processes there can be. A container's own limits count.
    """
    memory, pids = _free_memory(), _possible_processes()
    for place in (detect() if found is None else found).values():
        if isinstance(place, GroupHome):
            left = groupfiles.limit(place, place.top) - (groupfiles.usage(place, place.top) or 0)
            memory = min(memory, left) if place.controller == "memory" else memory
            pids = min(pids, left) if place.controller == "pids" else pids
    return Limits(max(memory * 3 // 4, _LEAST_MEMORY), min(pids // 4, _MOST_PROCESSES))


def _free_memory() -> int:
    return groupfiles.fields(Path("/proc/meminfo"))["MemAvailable:"] * 1024


def _possible_processes() -> int:
    names = ("pid_max", "threads-max")
    return min(int(Path("/proc/sys/kernel", name).read_text()) for name in names)


def trial(place: GroupHome) -> str:
    """Try a group of its own with a process in it, and remove both; why it fails, or nothing."""
    groups = Groups(str(uuid.uuid4()), {place.controller: place})
    limits = Limits(memory=64 << 20, pids=16)
    try:
        groups.ensure_lab(limits)
        (refusal,) = groups.found.values()
        if isinstance(refusal, Lacking):
            return refusal.reason
        (procs,) = groups.ensure_pod("trial", limits)
        argv = ["sh", "-c", 'echo 0 > "$1"', "sh", str(procs)]
        entered = subprocess.run(argv, capture_output=True, check=False)
        return "" if entered.returncode == 0 else f"{place} lets no process into a group"
    except KernelRefused as error:
        return error.message
    finally:
        groups.remove()


def lab_groups(owner: str) -> list[Path]:
    """The groups that carry the mark of the lab `owner`, whatever state they are in."""
    if not _WORD.fullmatch(owner):
        return []
    groups = [_lab(top, owner) for top in _tops()]
    return [group for group in groups if group.is_dir()]


def crowded_groups(owner: str) -> list[Path]:
    """Those of the lab `owner`, its own or its pods', with over half the processes they may have.

    What starts processes without end is among them.
    """
    found = []
    for group in lab_groups(owner):
        place = GroupHome("pids", 2, group)  # its files have the same names in v1
        pods = [entry for entry in sorted(group.iterdir()) if entry.is_dir()]
        found += [
            each
            for each in (group, *pods)
            if (groupfiles.usage(place, each) or 0) * 2 > groupfiles.limit(place, each)
        ]
    return found


def all_groups() -> Iterator[Path]:
    """The directories of every lab's groups, whosever it is: to look at, not to act upon."""
    for top in _tops():
        for group in sorted(top.glob(f"{_PREFIX}*")):
            yield from (Path(root) for root, _, _ in os.walk(group))


def processes() -> dict[int, str]:
    """The processes in every lab's groups, with the lab's uid, by process id."""
    return {pid: owner_of(group) for group in all_groups() for pid in groupfiles.members(group)}


def owner_of(group: Path) -> str:
    """The uid of the lab that one of `all_groups` belongs to."""
    return next(part for part in group.parts if part.startswith(_PREFIX)).removeprefix(_PREFIX)


def _tops() -> list[Path]:
    """Where groups of ours may be, whether or not any could be made there now; pids' first."""
    names = set(hierarchies.CONTROLLERS)
    mounts = [mount for mount in _mounts() if mount.version == 2 or names & mount.words]
    return [mount.top for mount in sorted(mounts, key=lambda mount: "pids" not in mount.words)]


def _lab(top: Path, owner: str) -> Path:
    return top / f"{_PREFIX}{_word(owner)}"


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise KernelRefused(f"{text!r} cannot be the name of a control group", errno.EINVAL)
    return text
