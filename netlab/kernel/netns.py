"""Network namespaces: make, open, enter, name; and the mount that holds all of a lab.

Namespaces belong to threads. Everything here works on the calling thread and leaves it where
it was, so it may be called from any thread; but a thread *started* while inside is born there.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from netlab.errors import KernelRefused
from netlab.kernel import basedir, files, lock, mountinfo, paths, syscalls, userns
from netlab.kernel.userns import Holders, IdRange

_THREAD_NAMESPACE = "/proc/thread-self/ns/net"


def open_(path: Path) -> int:
    """A descriptor of the namespace mounted at `path`; the caller closes it."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelRefused(
            f"no network namespace at {path}: {error.strerror}", error.errno or 0
        ) from error


def current() -> int:
    """A descriptor of the calling thread's namespace; the caller closes it."""
    return os.open(_THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def entered(netns: int | Path | None) -> Iterator[None]:
    """Run the body in a namespace (descriptor or path; None stays); 2-4 µs for a descriptor.

    The way home is a saved descriptor: /proc/1 may be in another namespace than we are.
    """
    if netns is None:
        yield
        return
    with _descriptor(netns) as target, files.closing(current()) as home:
        syscalls.setns(target)
        try:
            yield
        finally:
            syscalls.setns(home)


@contextlib.contextmanager
def travelling() -> Iterator[Callable[[int | Path], None]]:
    """Go from one namespace to the next, and home in the end: half of what entering each costs."""

    def go(netns: int | Path) -> None:
        with _descriptor(netns) as target:
            syscalls.setns(target)

    with files.closing(current()) as home:
        try:
            yield go
        finally:
            syscalls.setns(home)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """`open_`, closed when the body ends."""
    with files.closing(open_(path)) as descriptor:
        yield descriptor


@contextlib.contextmanager
def _descriptor(netns: int | Path) -> Iterator[int]:
    if isinstance(netns, int):
        yield netns
    else:
        with opened(netns) as descriptor:
            yield descriptor


@contextlib.contextmanager
def created(
    path: Path, ids: IdRange | None = None, holders: Holders | None = None
) -> Iterator[int]:
    """Make a namespace, kept alive by a bind mount at `path`, and run the body inside.

    With `ids` it is owned by a new user namespace that has them; who makes many of them brings
    the `holders` to do it with. Yields a descriptor of it, which
    the caller closes unless the body fails. `path` must not be a namespace already. A failure
    leaves neither mount nor file.
    """
    path.touch(mode=0o444, exist_ok=True)
    try:
        descriptor = _made_at(path) if ids is None else _made_for(ids, path, holders)
        try:
            with entered(descriptor):
                yield descriptor
        except BaseException:
            os.close(descriptor)
            raise
    except BaseException:
        remove(path)
        raise


def _made_at(path: Path) -> int:
    with files.closing(current()) as home:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        try:
            syscalls.mount(_THREAD_NAMESPACE, path, flags=syscalls.MS_BIND)
            return current()
        finally:
            syscalls.setns(home)


def _made_for(ids: IdRange, path: Path, holders: Holders | None) -> int:
    one = holders.one if holders else userns.holder
    with one(ids, syscalls.CLONE_NEWNET) as pid:
        descriptor = open_(Path(f"/proc/{pid}/ns/net"))
    try:  # on a busy machine a mount can wait longer than the process lives
        syscalls.mount(f"/proc/thread-self/fd/{descriptor}", path, flags=syscalls.MS_BIND)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def create(path: Path, ids: IdRange | None = None) -> int:
    """`created` with nothing to do inside: a descriptor of the new namespace."""
    with created(path, ids) as descriptor:
        return descriptor


def exists(path: Path) -> bool:
    """True when a namespace is mounted at `path`, not merely a file left by a half-made one."""
    try:
        return path.stat().st_dev == Path(_THREAD_NAMESPACE).stat().st_dev
    except FileNotFoundError:
        return False


def is_at(path: Path, namespace: int) -> bool:
    """True when this namespace (a descriptor of it) is the one mounted at `path`."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    wanted = os.fstat(namespace)
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)


def identity(path: Path) -> tuple[int, int] | None:
    """Which namespace, or what else, is there; None for none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def remove(path: Path) -> None:
    """Let go of the namespace at `path`, mounted or half-made; no error if there is none.

    The kernel takes it and its links apart once the last descriptor and process is gone.
    """
    while exists(path):
        syscalls.unmount(path)
    path.unlink(missing_ok=True)


def mount_again(path: Path, namespace: int) -> None:
    """Give a namespace that still lives (a descriptor of it) the mount back that it had."""
    path.touch(mode=0o444, exist_ok=True)
    syscalls.mount(f"/proc/thread-self/fd/{namespace}", path, flags=syscalls.MS_BIND)


def link_name(name: str, path: Path) -> None:
    """Let `ip netns` know `path` as `name`; replaces a link only if it is ours or leads nowhere."""
    link = paths.netns_link(name)
    try:
        link.symlink_to(path)
    except FileExistsError:
        _replace_own_link(link, path)


def _replace_own_link(link: Path, path: Path) -> None:
    if link.is_symlink() and (link.readlink() == path or not link.exists()):
        link.unlink()
        link.symlink_to(path)
        return
    raise KernelRefused(
        f"{link} exists and is somebody else's",
        17,
        hint=f"see `ip netns pids {link.name}`; if it is a leftover: ip netns delete {link.name}",
    )


def unlink_name(name: str, path: Path) -> None:
    """Take back `link_name`; leaves a link alone that leads elsewhere."""
    link = paths.netns_link(name)
    with contextlib.suppress(OSError):  # there is none, or it is no link
        if link.readlink() == path:
            link.unlink()


def links_into(directory: Path) -> list[Path]:
    """The links of `ip netns` that lead into a lab's directory: by that mark they are its own."""
    try:
        entries = sorted(paths.netns_dir().iterdir())
    except FileNotFoundError:
        return []
    inside = paths.namespaces(directory)
    return [entry for entry in entries if entry.is_symlink() and entry.readlink().parent == inside]


class LabMount(Struct, frozen=True):
    """The tmpfs at `directory` that holds everything a lab owns.

    Its mounts are private, so what is mounted inside stays invisible to other mount namespaces
    and one lazy unmount takes it all.
    """

    directory: Path

    def ensure(self, *, uid: str | None = None, tell: lock.Tell | None = None) -> str:
        """Mount it unless it is mounted; returns the lab's uid (`NETLAB_OWNER`), old or new.

        Idempotent: a running lab is adopted with everything in it. A new one has the `uid` given,
        or one made up. `tell` hears of a wait for other labs that come and go.
        """
        with basedir.locked(self.directory.parent, tell):
            if not self.directory.is_mount():
                self._mount()
                self._mount_disks()
            files.directory(self.directory, files.PASSABLE)
            for part in paths.private(self.directory):
                files.directory(part, files.PRIVATE)
            # Names and addresses, no more; who reads them for the lab need not be root.
            files.directory(paths.dns(self.directory), files.PUBLIC)
        return self._ensure_owner(uid or str(uuid.uuid4()))

    def _mount(self) -> None:
        basedir.make_lab(self.directory)
        options = f"mode={files.PASSABLE:o},nr_inodes=1000000"
        flags = syscalls.MS_NOSUID
        syscalls.mount(basedir.SOURCE, self.directory, "tmpfs", flags, options)
        syscalls.mount("", self.directory, flags=syscalls.MS_PRIVATE | syscalls.MS_REC)

    def _mount_disks(self) -> None:
        """What pods may fill, by what they say or write, is not where the lab's own state is."""
        for part in (paths.pods(self.directory), paths.disks(self.directory)):
            files.directory(part, files.PRIVATE)
            flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
            options = "mode=0700,size=25%,nr_inodes=1000000"
            syscalls.mount(basedir.SOURCE, part, "tmpfs", flags, options)

    def _ensure_owner(self, new: str) -> str:
        uid = owner(self.directory) or new
        files.write(paths.owner(self.directory), f"{uid}\n")
        return uid

    def teardown(self) -> None:
        """Unmount and remove it, from any state; the last lab takes the base directories along."""
        with basedir.locked(self.directory.parent):
            while self.directory.is_mount():
                syscalls.unmount(self.directory)
            for mounted in mounts_beneath(self.directory):
                syscalls.unmount(mounted)
            _remove_tree(self.directory)
            basedir.forget_lab(self.directory)
            basedir.remove_if_unused(self.directory.parent)


def owner(directory: Path) -> str | None:
    """The uid that marks a lab's processes; None when the lab never got that far."""
    try:
        return paths.owner(directory).read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def file_systems(directory: Path) -> list[Path]:
    """The mount points that a lab has of its own: where it is, and what pods may fill."""
    return [directory, paths.pods(directory), paths.disks(directory)]


def mounts_beneath(directory: Path) -> list[Path]:
    """Mount points at or below `directory`, deepest first."""
    prefix = f"{directory}/"
    found = [one.point for one in mountinfo.here() if f"{one.point}/".startswith(prefix)]
    return found[::-1]


def _remove_tree(directory: Path) -> None:
    if not directory.is_dir():
        return
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            _remove_tree(entry)
        else:
            entry.unlink()
    directory.rmdir()
