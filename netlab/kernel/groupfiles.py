"""The files of one control group: its limits, what they did, its processes, and its end.

The same things have other names in v1 and in v2.
Source: Documentation/admin-guide/cgroup-v1/{memory,pids}.rst and cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from pathlib import Path

from netlab.errors import KernelRefused
from netlab.kernel import files
from netlab.kernel.hierarchies import GroupHome

UNLIMITED = 1 << 62
"""This or more stands for no limit."""

# How long the kernel may take over processes that were killed.
_PATIENCE = 5.0

_LIMITS = {
    ("memory", 1): "memory.limit_in_bytes", ("memory", 2): "memory.max",
    ("pids", 1): "pids.max", ("pids", 2): "pids.max",
}  # fmt: skip
_USAGE = {
    ("memory", 1): "memory.usage_in_bytes", ("memory", 2): "memory.current",
    ("pids", 1): "pids.current", ("pids", 2): "pids.current",
}  # fmt: skip
_EVENTS = {
    ("memory", 1): ("memory.oom_control", "oom_kill"), ("memory", 2): ("memory.events", "oom_kill"),
    ("pids", 1): ("pids.events", "max"), ("pids", 2): ("pids.events", "max"),
}  # fmt: skip


def limit(place: GroupHome, group: Path) -> int:
    """What a group may have; `UNLIMITED` or more when nobody has said."""
    file = _LIMITS.get((place.controller, place.version))
    text = read(group / file) if file else None
    return UNLIMITED if text is None or text == "max" else int(text)


def set_limit(place: GroupHome, group: Path, value: int) -> None:
    """Limit a group, and what it may swap out along with it; raises `OSError`.

    In v1 the buffers of TCP connections are counted by themselves, and only where they are limited.
    """
    buffers = group / "memory.kmem.tcp.limit_in_bytes"
    if place.controller == "memory" and buffers.exists():
        files.tell(buffers, str(value))
    file = group / _LIMITS[place.controller, place.version]
    with_swap = group / "memory.memsw.limit_in_bytes"  # there only where swap is counted
    swap_alone = group / "memory.swap.max"
    if with_swap.exists():
        with contextlib.suppress(OSError):  # it may never be below the other: one goes first
            files.tell(with_swap, str(value))
        files.tell(file, str(value))
        files.tell(with_swap, str(value))
        return
    files.tell(file, str(value))
    if place.controller == "memory" and swap_alone.exists():
        files.tell(swap_alone, "0")


def usage(place: GroupHome, group: Path) -> int | None:
    """What a group has now; None where nothing counts it."""
    file = _USAGE.get((place.controller, place.version))
    text = read(group / file) if file else None
    return int(text) if text else None


def events(place: GroupHome, group: Path) -> int:
    """How often the group's processes were killed, or not started, for a limit."""
    file, key = _EVENTS.get((place.controller, place.version), ("", ""))
    return fields(group / file).get(key, 0)


def members(group: Path) -> list[int]:
    """The processes in a group; those of PID namespaces that we do not see are left out."""
    return [pid for pid in map(int, (read(group / "cgroup.procs") or "").split()) if pid]


def remove(group: Path) -> None:
    """End what is in a group, remove it and the groups in it; fine when there is none.

    Raises `KernelRefused` for what does not go.
    """
    deadline = time.monotonic() + _PATIENCE
    stuck = [each for each in _deepest_first(group) if not _ended_and_removed(each, deadline)]
    if stuck:
        what = f"{stuck[0]} still has processes: {members(stuck[0])}"
        raise KernelRefused(what, errno.EBUSY, hint="see their /proc/ID/stack")


def _ended_and_removed(directory: Path, deadline: float) -> bool:
    while not _removed(directory):
        _kill(directory)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def _deepest_first(group: Path) -> list[Path]:
    return [Path(root) for root, _, _ in os.walk(group, topdown=False)]


def _removed(directory: Path) -> bool:
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno == errno.EBUSY:  # it has processes, or had them a moment ago
            return False
        raise
    return True


def _kill(group: Path) -> None:
    """Kill what is in a group, which may be starting more and more."""
    with contextlib.suppress(OSError):
        files.tell(group / "cgroup.kill", "1")  # v2, since Linux 5.14
        return
    with contextlib.suppress(OSError):
        files.tell(group / "pids.max", "0")
    opened = {pid: found for pid in members(group) if (found := _open(pid)) is not None}
    try:
        for pid in opened.keys() & set(members(group)):  # ids of others by now are left out
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(opened[pid], signal.SIGKILL)
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def _open(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.pidfd_open(pid)
    return None


def fields(file: Path) -> dict[str, int]:
    """A file of lines that each say a name and a number; {} when there is none."""
    lines = (line.split() for line in (read(file) or "").splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


def read(file: Path) -> str | None:
    """A file's text; None when it is not there or not for us: gone, or an older kernel's."""
    try:
        return file.read_text().strip()
    except OSError:
        return None
