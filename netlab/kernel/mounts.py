"""Mounts by descriptor: places are opened once, and what happens to their names later is no matter.

Paths below a root that others write to are resolved by openat2(2) inside that root, without the
magic links of /proc; what is mounted and where is told by descriptors (open_tree(2),
mount_setattr(2), move_mount(2); Linux 5.12). So no link that is swapped in can lead away.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from netlab.errors import KernelRefused
from netlab.kernel import files, syscalls

# The same numbers on every architecture: these calls are younger than the unified table.
_FSOPEN, _FSCONFIG, _FSMOUNT, _OPENAT2 = 430, 431, 432, 437

_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_FSCONFIG_CREATE = 6
_MOVE_MOUNT_EMPTY_PATHS = 0x4 | 0x40
_MOUNT_ATTR = {"ro": 0x1, "nosuid": 0x2, "nodev": 0x4, "noexec": 0x8}
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x2, 0x10
# A `..` is refused (EAGAIN) if anything is renamed or mounted meanwhile, wherever: so often it is
# tried again, which is seldom needed twice unless somebody does nothing else.
_RESOLVE_TRIES = 128
_BUSY_TRIES = 1000
"""A millisecond apart."""

CLONE_NEWNS = 0x20000
_MS_SLAVE = 0x80000

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


@contextlib.contextmanager
def opened(path: Path | str) -> Iterator[int]:
    """A descriptor that only names a place of the machine (O_PATH), links followed."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def resolved(root: int, path: str) -> Iterator[int]:
    """The place that `path` names for somebody whose `/` is the directory `root` (O_PATH).

    Links are followed inside, `..` and absolute links do not lead out. `OSError` as open(2).
    """
    descriptor = resolve(root, path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def resolve(root: int, path: str) -> int:
    """`resolved`, the descriptor being the caller's to close."""
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_NO_MAGICLINKS | _RESOLVE_IN_ROOT)
    for _ in range(_RESOLVE_TRIES):
        descriptor, code = _openat2(root, path, how)
        if code != errno.EAGAIN:
            break
    if code:
        raise OSError(code, os.strerror(code), path)
    return descriptor


def _openat2(root: int, path: str, how: _OpenHow) -> tuple[int, int]:
    """A descriptor and 0, or -1 and why there is none."""
    size = ctypes.c_size_t(ctypes.sizeof(how))
    descriptor: int = _libc.syscall(_OPENAT2, root, os.fsencode(path), ctypes.byref(how), size)
    return descriptor, ctypes.get_errno() if descriptor < 0 else 0


def ensure_directory(root: int, path: str, owner: int | None = None, mode: int = 0o755) -> int:
    """The directory `path` inside `root`, made with all its parents (`mode`) where it is missing.

    What is made is `owner`'s, but for the group where the mode hands that down. Returns a
    descriptor of it; the caller closes it.
    """
    current = os.dup(root)
    walked = ""
    for name in (part for part in path.split("/") if part not in ("", ".")):
        walked = f"{walked}/{name}"
        if name != "..":
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=current)
                if owner is not None:
                    group = -1 if mode & stat.S_ISGID else owner  # it has the one above it
                    os.chown(name, owner, group, dir_fd=current, follow_symlinks=False)
                if mode != 0o755:  # whatever the umask is
                    _change_mode(current, name, mode)
        os.close(current)
        current = resolve(root, walked)
    return current


def _change_mode(above: int, name: str, mode: int) -> None:
    """Of a directory, and of nothing that somebody has put in its place."""
    with contextlib.suppress(OSError):
        made = os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        try:
            os.fchmod(made, mode)
        finally:
            os.close(made)


def ensure_file(root: int, path: str, owner: int | None = None) -> int:
    """The file `path` inside `root`, made where it is missing; the caller closes the descriptor.

    What is made is `owner`'s.
    """
    try:
        return resolve(root, path)
    except FileNotFoundError:
        above = os.path.dirname(path)  # noqa: PTH120 - text, as resolved
        parent = ensure_directory(root, above, owner)
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            made = os.open(os.path.basename(path), flags, 0o644, dir_fd=parent)  # noqa: PTH119
            if owner is not None:
                os.fchown(made, owner, owner)
            os.close(made)
        finally:
            os.close(parent)
    return resolve(root, path)


def is_directory(place: int) -> bool:
    """True when a descriptor names a directory."""
    return stat.S_ISDIR(os.fstat(place).st_mode)


def is_read_only(place: int) -> bool:
    """True when nothing can be written there, by anybody."""
    return bool(os.fstatvfs(place).f_flag & os.ST_RDONLY)


def bind(place: int, target: int, *options: str) -> None:
    """Let what a descriptor names appear at another too, with the options `ro`, `nosuid` …

    What is mounted beneath does not.
    """
    with taken(place, *options) as tree:
        attach(tree, target)


@contextlib.contextmanager
def taken(place: int, *options: str, recursive: bool = False) -> Iterator[int]:
    """A copy of what a descriptor names, not attached anywhere yet (`attach`).

    With `recursive` also of what is mounted beneath.
    """
    tree = _clone(place, recursive)
    try:
        _restrict(tree, options, recursive)
        yield tree
    finally:
        os.close(tree)


def attach(tree: int, target: int) -> None:
    """Let what was `taken` appear at the place that a descriptor names."""
    if _libc.move_mount(tree, b"", target, b"", ctypes.c_uint(_MOVE_MOUNT_EMPTY_PATHS)) != 0:
        raise syscalls.refused("attach a mount", ctypes.get_errno())


@contextlib.contextmanager
def fresh(kind: str) -> Iterator[int]:
    """A new file system of a kind, with nothing to execute, attached nowhere: its root."""
    with files.closing(_call(_FSOPEN, os.fsencode(kind), _FSOPEN_CLOEXEC)) as descriptor:
        _call(_FSCONFIG, descriptor, _FSCONFIG_CREATE, None, None, 0)
        restrictions = _MOUNT_ATTR["nosuid"] | _MOUNT_ATTR["nodev"] | _MOUNT_ATTR["noexec"]
        root = _call(_FSMOUNT, descriptor, _FSMOUNT_CLOEXEC, restrictions)
    with files.closing(root):
        yield root


def _call(number: int, *arguments: int | bytes | None) -> int:
    outcome: int = _libc.syscall(number, *arguments)
    if outcome < 0:
        raise syscalls.refused("make a file system", ctypes.get_errno())
    return outcome


def mount(kind: str, target: int, options: str, flags: int = 0) -> None:
    """Mount a new file system on the place that a descriptor names."""
    syscalls.mount(kind, Path(name_of(target)), kind, flags, options)


def name_of(descriptor: int) -> str:
    """A path by which the kernel finds what a descriptor of ours names, whatever it is called."""
    return f"/proc/self/fd/{descriptor}"


def _clone(place: int, recursive: bool) -> int:
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | (_AT_RECURSIVE * recursive)
    tree: int = _libc.open_tree(place, b"", ctypes.c_uint(flags))
    if tree < 0:
        raise syscalls.refused("take a mount's tree", ctypes.get_errno())
    return tree


def _restrict(tree: int, options: tuple[str, ...], recursive: bool) -> None:
    if not options:
        return
    attributes = _MountAttr(set=sum(_MOUNT_ATTR[option] for option in options))
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE * recursive)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    if _libc.mount_setattr(tree, b"", ctypes.c_uint(flags), ctypes.byref(attributes), size) != 0:
        raise syscalls.refused(f"make a mount {','.join(options)}", ctypes.get_errno())


def leave_machines_mounts() -> None:
    """Give this process a mount namespace of its own: what it mounts from now on, nobody else sees.

    What the machine unmounts goes from here as well. If we are in a chroot, that becomes the root
    of the namespace too: whoever enters it later comes to its root, which would be the machine's.
    For a process of one thread, or a thread that ends; its working directory is / afterwards.
    """
    syscalls.unshare(CLONE_NEWNS)
    with opened("/") as ours:
        space = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(space, CLONE_NEWNS)  # leads to the namespace's root
        finally:
            os.close(space)
        syscalls.mount("", Path("/"), flags=_MS_SLAVE | syscalls.MS_REC)
        with opened("/") as root:
            is_chroot = _identity(ours) != _identity(root)
        if is_chroot:
            _make_root(ours)


def _identity(place: int) -> tuple[str, int]:
    """Which directory of which mount a descriptor names: one may be mounted in two places."""
    text = Path(f"/proc/thread-self/fdinfo/{place}").read_text()
    return text.partition("mnt_id:")[2].split()[0], os.fstat(place).st_ino


def _make_root(place: int) -> None:
    """Let a directory be the root of this mount namespace, and let go of everything else."""
    with taken(place, recursive=True) as tree:
        attach(tree, place)
        os.fchdir(tree)
        if _libc.pivot_root(b".", b".") != 0:
            raise syscalls.refused("change the root", ctypes.get_errno())
        syscalls.unmount(Path())  # the former one, which now lies on top
        os.chdir("/")


def make_read_only(place: int) -> None:
    """Let nobody write any more by the mount that a descriptor names.

    It is busy as long as a process that another thread forks meanwhile has not yet let go of the
    files that were open then: until it has become its program.
    """
    for left in reversed(range(_BUSY_TRIES)):
        try:
            _restrict(place, ("ro",), recursive=False)
            return
        except KernelRefused as error:
            if error.errno != errno.EBUSY or not left:
                raise
            time.sleep(0.001)


def make_private(target: Path) -> None:
    """Neither send nor take mounts at this mount point any more."""
    syscalls.mount("", target, flags=syscalls.MS_PRIVATE)
