"""Labs that run here and lie elsewhere: in another mount namespace than ours.

A lab is a file system of its own, which who has come by `unshare --mount`, or with a container's
mounts, may not see. Its processes are the machine's all the same: each carries its lab's mark, and
shows by its own root where the lab lies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from netlab.errors import NetlabError
from netlab.kernel import netns, paths, process
from netlab.kernel.finding import Finding

_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_PATH | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST = 100


class Elsewhere(Struct, frozen=True):
    """A lab, and one of its processes, which sees it."""

    name: str
    pid: int

    @property
    def error(self) -> NetlabError:
        """For who would have done something with it."""
        return NetlabError(f"{self}, and is not touched from here", hint=self.way_in)

    @property
    def way_in(self) -> str:
        """The command that takes it down from where it lies."""
        return f"sudo nsenter --target {self.pid} --mount netlab down {self.name}"

    def __str__(self) -> str:
        return f"lab {self.name} lies in another mount namespace, that of its process {self.pid}"


def labs() -> list[Elsewhere]:
    """All of them that have their directories where ours would be, each once, by name."""
    found: dict[str, Elsewhere] = {}
    for pid, mark in process.marks().items():
        if mark not in found and _is_of_another_mount_namespace(pid):
            for name in _of_mark(pid, mark):
                found[mark] = Elsewhere(name, pid)
    return sorted(found.values(), key=lambda one: one.name)


def require_here(directory: Path) -> None:
    """`NetlabError` where a lab of that name is not seen from here, and is somewhere else."""
    if netns.owner(directory) is None:
        for one in labs():
            if one.name == directory.name:
                raise one.error


def findings() -> list[Finding]:
    """A note for each."""
    return [Finding("elsewhere", False, str(one), one.way_in, required=False) for one in labs()]


def _is_of_another_mount_namespace(pid: int) -> bool:
    """Never of a pod's processes: their roots are theirs to fill."""
    try:
        return _same(pid, "user") and _same(pid, "pid") and not _same(pid, "mnt")
    except OSError:  # it has ended
        return False


def _same(pid: int, kind: str) -> bool:
    there, here = Path(f"/proc/{pid}/ns/{kind}"), Path(f"/proc/self/ns/{kind}")
    return there.stat().st_ino == here.stat().st_ino


def _of_mark(pid: int, mark: str) -> Iterator[str]:
    """The name of the lab that has a mark, as that process sees it."""
    try:
        base = _opened(pid, paths.run_dir().parts[1:])
    except OSError:  # one that is confined sees nothing
        return
    try:
        for name in os.listdir(f"/proc/self/fd/{base}"):  # noqa: PTH208
            if _owner(base, name) == mark:
                yield name
    finally:
        os.close(base)


def _opened(pid: int, parts: Sequence[str]) -> int:
    """A directory below a process's root, by way of no link."""
    here = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in parts:
        try:
            there = os.open(part, _DIRECTORY, dir_fd=here)
        finally:
            os.close(here)
        here = there
    return here


def _owner(base: int, name: str) -> str:
    try:
        file = os.open(paths.owner(Path(name)), _FILE, dir_fd=base)
    except OSError:
        return ""
    with open(file, "rb") as opened:  # noqa: PTH123  # by its descriptor
        return opened.read(_LONGEST).decode(errors="replace").strip()
