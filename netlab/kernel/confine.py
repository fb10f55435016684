"""Taking from a process all that it does not need, before it talks to anybody.

What is done here the calling thread does to itself, and what it starts inherits it. There is no way
back: it is for a process of one thread, or for a thread that only starts a program
(`process.spawn`). First `see_only`, then `drop_privileges`, then `become`.

Root is then a directory below that of the mount namespace: to whom that is so the kernel gives no
user namespace, in which there would be capabilities again.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from netlab.kernel import mounts, syscalls

_CLONE_NEWIPC = 0x8000000

_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 4, 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION = 0x20080522

# Every machine has it, and it is covered only in a mount namespace of our own.
_STAGE = Path("/tmp")
_ROOT = "root"

# Where programs have their libraries, and what most of them want besides.
_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/nix", "/gnu")
_BESIDES = ("/etc/ld.so.cache", "/dev/null", "/dev/urandom")

_libc = ctypes.CDLL(None, use_errno=True)


class View(Struct, frozen=True):
    """What is seen of the machine's files, each at its own place, if it is there at all.

    `read` cannot be written, `write` can by whom the owners of the files let; `empty` are
    directories with nothing in them. `scratch` is one in memory, for it alone, which holds as much
    as `bounds` say (options of a tmpfs).
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    empty: tuple[Path, ...] = ()
    scratch: Path | None = None
    bounds: str = "size=1m,nr_inodes=16"


class Confinement(Struct, frozen=True):
    """How a program is run: as whom, and what it sees. It has no capability, nor ever gets one.

    It is put into control groups, by their `cgroup.procs`; no file that it writes gets larger than
    `largest_file` bytes (0: as large as may be), where it is told that there is no more room.
    """

    uid: int
    view: View
    groups: tuple[Path, ...] = ()
    largest_file: int = 0

    def enter(self) -> None:
        """Let the calling thread, and what it starts, be confined; yet it is still root."""
        see_only(self.view)
        drop_privileges()


def view_of(
    program: str,
    read: Sequence[Path] = (),
    write: Sequence[Path] = (),
    empty: Sequence[Path] = (),
) -> View:
    """What a program sees that is linked against the machine's libraries, and what it is given."""
    machines = (program, *_LIBRARIES, *_BESIDES)
    return View((*map(Path, machines), *read), tuple(write), tuple(empty))


def see_only(view: View) -> None:
    """Leave the machine's mounts for a root in which nothing is but what `view` names.

    And its shared memory and queues, for there being none.
    """
    syscalls.unshare(_CLONE_NEWIPC)
    mounts.leave_machines_mounts()
    os.umask(0o022)  # root, working directory and umask are this thread's own by now
    syscalls.mount("", Path("/"), flags=syscalls.MS_PRIVATE | syscalls.MS_REC)
    links = {path: path.readlink() for path in view.read if path.is_symlink() and path.is_dir()}
    read = [path for path in view.read if path.exists() and path not in links]
    with contextlib.ExitStack() as stack:
        trees = {}
        for paths, options in ((read, ("ro", "nosuid")), (view.write, ("nosuid", "nodev"))):
            for path in paths:
                place = stack.enter_context(mounts.opened(path))
                tree = stack.enter_context(mounts.taken(place, *options))
                trees[path] = (tree, mounts.is_directory(place))
        syscalls.mount("tmpfs", _STAGE, "tmpfs", syscalls.MS_NOSUID, "mode=0755,nr_inodes=1k")
        _inside(Path("/")).mkdir()
        for path in view.empty:
            _inside(path).mkdir(parents=True)
        for path, target in links.items():
            _inside(path.parent).mkdir(parents=True, exist_ok=True)
            _inside(path).symlink_to(target)
        for path in sorted(trees):
            _attach(*trees[path], _inside(path))
    if view.scratch is not None:
        _inside(view.scratch).mkdir(parents=True)
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount("tmpfs", _inside(view.scratch), "tmpfs", flags, f"mode=1777,{view.bounds}")
    _move_in()


def _inside(path: Path) -> Path:
    return _STAGE / _ROOT / path.relative_to("/")


def _attach(tree: int, is_directory: bool, target: Path) -> None:
    if is_directory:
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    with mounts.opened(target) as place:
        mounts.attach(tree, place)


def _move_in() -> None:
    """Let what was prepared be the root, and let go of everything else."""
    with mounts.opened(_STAGE) as place:
        mounts.make_read_only(place)
    os.chdir(_STAGE)
    if _libc.pivot_root(b".", b".") != 0:
        raise syscalls.refused("change the root", ctypes.get_errno())
    syscalls.unmount(Path())  # the machine's, which now lies on top
    os.chroot(f"/{_ROOT}")
    os.chdir("/")


def drop_privileges() -> None:
    """See to it that no program that is run has a capability any more, set-uid or not.

    A root who calls this has his own until he becomes somebody else (`become`, or whoever runs the
    program).
    """
    for number in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0) != 0:
            if ctypes.get_errno() == errno.EINVAL:  # the kernel has no more of them
                break
            raise syscalls.refused("give up capabilities", ctypes.get_errno())
    _limit_capabilities(permitted=True)
    syscalls.control_process(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    syscalls.control_process(_PR_SET_NO_NEW_PRIVS, 1)


def become(uid: int) -> None:
    """Be somebody who has no capabilities, no groups, and whose memory nobody else may read."""
    if uid != os.geteuid():  # else there is nobody else to be, see `userns.daemon_id`
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    _limit_capabilities(permitted=False)
    syscalls.control_process(_PR_SET_DUMPABLE, 0)


def _limit_capabilities(*, permitted: bool) -> None:
    """Have none that a program would inherit; and, unless they stay `permitted`, none at all."""
    header, sets = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    if permitted and _libc.capget(header, sets) != 0:
        raise syscalls.refused("see what this process may do", ctypes.get_errno())
    sets[2] = sets[5] = 0  # (effective, permitted, inheritable), of the first 32 and of the others
    if _libc.capset(header, sets) != 0:
        raise syscalls.refused("give up capabilities", ctypes.get_errno())
