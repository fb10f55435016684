"""Who lives in a lab's pods: found by the namespaces they are in, which they cannot leave.

What netlab starts carries its mark in the environment; a pod's processes have an environment of
their own, which is theirs to change. But each is in the user namespace that owns its pod's network
namespace, or in one below. Where the lab has no user namespaces, each is in one of its network
namespaces and in a PID namespace that is not the machine's: somebody who merely looks into the lab
with `ip netns exec` is neither.

A program that netlab runs in a pod may write over its environment, as nginx does to say what it is
doing. It is in the pod's network namespace, and can get no capability: nobody's shell is so.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from netlab.errors import KernelRefused
from netlab.kernel import netns, paths, process, userns

_NS_GET_PARENT = 0xB702
_DEPTH = 32  # so deep the kernel lets user namespaces be nested


def end(lab_dir: Path) -> None:
    """Kill everybody in a lab's pods, also what is started meanwhile."""
    end_in(_all(lab_dir))


def end_in(places: Sequence[Path]) -> None:
    """Kill everybody in pods with these network namespaces, none of which need be there.

    Without its namespace a pod's processes are found no more: so they go first.
    """
    lives_here = _membership(places)
    for _ in range(10):
        found = [pid for pid in process.ids() if lives_here(pid)]
        if not found:
            return
        process.kill(found, lives_here)
    raise KernelRefused(f"processes keep being started in {', '.join(map(str, places))}", 11)


def _membership(places: Sequence[Path]) -> Callable[[int], bool]:
    """Tells of a process's id whether it lives in one of these network namespaces."""
    users, nets = _namespaces(places)
    own_user, own_pid = _inode("self", "user"), _inode("self", "pid")

    def lives_here(pid: int) -> bool:
        try:
            net = _inode(pid, "net")  # one that has ended and is yet to be collected has none
            user = _inode(pid, "user")
            if user == own_user:
                return net in nets and (_inode(pid, "pid") != own_pid or process.is_confined(pid))
            return user in users or not users.isdisjoint(_ancestors(pid))
        except OSError:  # it has ended
            return False

    return lives_here if nets else lambda _: False


def _all(lab_dir: Path) -> list[Path]:
    try:
        return list(paths.namespaces(lab_dir).iterdir())
    except FileNotFoundError:
        return []


def _namespaces(places: Sequence[Path]) -> tuple[set[int], set[int]]:
    """The inodes of the user namespaces that own these network namespaces, and of themselves."""
    users, nets = set(), set()
    for place in places:
        if netns.exists(place):
            with netns.opened(place) as descriptor:
                nets.add(os.fstat(descriptor).st_ino)
                owner = userns.of_namespace(descriptor)
                users.add(os.fstat(owner).st_ino)
                os.close(owner)
    return users - {_inode("self", "user")}, nets


def _ancestors(pid: int) -> Iterator[int]:
    """The user namespaces above that of a process, as far as we may look."""
    descriptor = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for _ in range(_DEPTH):
            try:
                parent = fcntl.ioctl(descriptor, _NS_GET_PARENT)
            except OSError:
                return
            os.close(descriptor)
            descriptor = parent
            yield os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)


def _inode(pid: int | str, kind: str) -> int:
    return os.stat(f"/proc/{pid}/ns/{kind}").st_ino  # noqa: PTH116 - called for every process
