"""A container's root: a small file system of its own, with this machine's programs in it.

A pod has no image to unpack. Its root is an empty tmpfs, in which only what is named here of the
machine appears: programs, libraries, their settings. So neither /run (labs, sockets) nor /home,
/var, other disks or whatever else lies at the top are there. The rest is private places to write,
the pod's files under /etc, and its volumes.

All of it can be written to, as a container's layer can, and what is written goes with the
container: over each directory of the machine's lies an overlay, whose upper part is on the
container's own tmpfs, beside its root and not in it:

    DIRECTORY/disk         the tmpfs, as large as the container's bounds allow
    DIRECTORY/disk/root    what is bound to DIRECTORY/root, the container's `/`
    DIRECTORY/disk/upper   what was written into /etc, /usr … ; /work, what overlayfs needs for that
    DIRECTORY/disk/message what is bound to where the container writes why it ends

A file of the machine's belongs to nobody in the pod: it can be replaced, and not be opened for
writing. For that its directories are the pod's (`skeleton`). What a pod may not read, it cannot
have copied up in a form that it may read: owner and mode stay. The overlays are mounted by root, so
it is `trusted` attributes that steer them, which nobody in a pod can set.

All of it is mounted by descriptor in the runtime's own mount namespace (`kernel.mounts`), before
anything of the pod runs in it; what pods have written into volumes is never resolved outside the
root that is being made. /proc, /sys and /dev/pts belong to namespaces that are yet to be, so crun
mounts them (`oci`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct, field

from netlab.errors import KernelRefused, NetlabError
from netlab.kernel import files, mounts, syscalls
from netlab.kernel.userns import IdRange
from netlab.workload import masked_paths
from netlab.workload.etc_files import POD_FILES
from netlab.workload.oci import DEVICES

# What of the machine's `/` a pod shares, where it is there: a link stays a link.
_SHARED = (
    "bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "opt", "nix", "gnu",
)  # fmt: skip
# Mount points of the machine that belong to its programs, if they are such.
_SHARED_MOUNTS = ("usr/local",)

_PRIVATE = {
    "dev": 0o755, "dev/pts": 0o755, "dev/shm": 0o1777, "dev/mqueue": 0o755, "home": 0o755,
    "media": 0o755, "mnt": 0o755, "proc": 0o555, "root": 0o700, "run": 0o755, "run/lock": 0o1777,
    "srv": 0o755, "sys": 0o555, "tmp": 0o1777, "var": 0o755, "var/cache": 0o755, "var/lib": 0o755,
    "var/local": 0o755, "var/log": 0o755, "var/mail": 0o755, "var/opt": 0o755,
    "var/spool": 0o755, "var/tmp": 0o1777,
}  # fmt: skip
_LINKS = {
    "dev/ptmx": "pts/ptmx", "dev/fd": "/proc/self/fd", "dev/stdin": "/proc/self/fd/0",
    "dev/stdout": "/proc/self/fd/1", "dev/stderr": "/proc/self/fd/2", "dev/core": "/proc/kcore",
    "var/run": "/run", "var/lock": "/run/lock",
}  # fmt: skip

_OVERLAY = "redirect_dir=off,metacopy=off,index=off"
"""What is written stays what it is: no directory by another's name, no file half the machine's."""

_READ_ONLY = ("ro", "nosuid", "nodev")


class Root(Struct, frozen=True):
    """What a container's root is made of.

    `directory` is where its parts lie (the runtime's own, empty), `pod` the directory with the
    pod's files; `ids` is who the pod's users are, None for the machine's own; `limits` are
    options of a tmpfs for what the container writes outside of volumes, unless it is `read_only`.
    `skeleton` has the machine's directories as the pod owns them, None if they are its own. `pages`
    are files that the image has, by their paths, `links` what its links lead to.
    `termination_log` is where the container writes why it ends (`last_words`), "" for nowhere.
    """

    directory: Path
    pod: Path
    ids: IdRange | None
    limits: str
    read_only: bool = False
    skeleton: Path | None = None
    pages: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    termination_log: str = ""

    @property
    def mount_point(self) -> Path:
        """Becomes `/`."""
        return self.directory / "root"

    @property
    def disk(self) -> Path:
        """All that the container may fill."""
        return self.directory / "disk"

    @property
    def message(self) -> Path:
        """The file that is bound to `termination_log`."""
        return self.disk / "message"

    @property
    def owner(self) -> int:
        """The machine's id of the pod's root."""
        return self.ids.first if self.ids else 0


class Source(Struct, frozen=True):
    """A volume's directory or file, opened, and where it goes."""

    place: int
    target: str
    read_only: bool


def build(root: Root, sources: Sequence[Source]) -> None:
    """Mount it all at `root.mount_point`; the volumes last, the outer before the inner.

    `NetlabError` says what cannot be mounted; whoever called takes away what was (`discard`).
    """
    for place in (root.mount_point, root.disk):
        place.mkdir(parents=True)
    with mounts.opened(root.disk) as bare:
        mounts.mount("tmpfs", bare, f"mode=0755,{root.limits}")
    for name in ("root", "upper", "work"):
        (root.disk / name).mkdir(mode=0o755)
    os.chown(root.disk / "root", root.owner, root.owner)
    with mounts.opened(root.disk / "root") as own, mounts.opened(root.mount_point) as bare:
        mounts.bind(own, bare)
    with mounts.opened(root.mount_point) as top, _message(root) as message:
        _make_places(root, top)
        shared = _share_programs(root, top)
        _show_devices(root, top)
        ordered = sorted([*sources, *message], key=lambda each: len(_parts(each.target)))
        _write_pages(root, top)
        _write_links(root, top)
        _make_room(root, top, ordered)
        _show_pod_files(root, top)
        if root.ids is None:
            _hide_secrets(top)
        if root.read_only:
            _forbid_writing(top, shared)
        for source in ordered:
            _mount_volume(top, source, root.owner)


@contextlib.contextmanager
def _message(root: Root) -> Iterator[Sequence[Source]]:
    """A file for why the container ends, whoever it runs as."""
    if not root.termination_log:
        yield ()
        return
    root.message.touch()
    root.message.chmod(0o666)
    os.chown(root.message, root.owner, root.owner)
    with mounts.opened(root.message) as place:
        yield (Source(place, root.termination_log, read_only=False),)


def discard(root: Root) -> None:
    """Let go of what was mounted, and of the directory: who has copies of the mounts keeps them.

    What cannot be let go of is left, for the log to tell: the container has started or has not.
    """
    try:
        for mount_point in (root.mount_point, root.disk):
            if os.path.ismount(mount_point):
                syscalls.unmount(mount_point)
        shutil.rmtree(root.directory)
    except (OSError, NetlabError) as error:
        print(f"{root.directory} is left: {error}", file=sys.stderr)


def owned(ids: IdRange | None) -> str:
    """The options by which a tmpfs belongs to the pod's root."""
    return f"uid={ids.first},gid={ids.first}," if ids else ""


def _make_places(root: Root, top: int) -> None:
    for path, mode in _PRIVATE.items():
        os.mkdir(path, dir_fd=top)
        os.chmod(path, mode, dir_fd=top)  # not what our umask leaves of it
        os.chown(path, root.owner, root.owner, dir_fd=top)
    for path, target in _LINKS.items():
        os.symlink(target, path, dir_fd=top)


def _share_programs(root: Root, top: int) -> list[str]:
    """Show them; the names of those that have mounts of their own."""
    shared = []
    for name in _SHARED:
        machine = Path("/", name)
        if machine.is_symlink():
            os.symlink(machine.readlink(), name, dir_fd=top)
        elif machine.is_dir():
            os.mkdir(name, dir_fd=top)
            _lay_over(root, top, name)
            shared.append(name)
    for name in _shared_mounts():
        _share(top, Path("/", name))
        shared.append(name)
    return shared


def _lay_over(root: Root, top: int, name: str) -> None:
    """Show a directory of the machine's with room above it for what the container writes."""
    upper, work = root.disk / "upper" / name, root.disk / "work" / name
    for place in (upper, work):
        place.mkdir(mode=0o755)
    os.chown(upper, root.owner, root.owner)
    if name == "etc":
        _write_pod_files(root, upper)
    lower = [f"/{name}"]
    if root.skeleton is not None and (root.skeleton / name).is_dir():
        lower.insert(0, str(root.skeleton / name))
    options = f"lowerdir={':'.join(lower)},upperdir={upper},workdir={work},{_OVERLAY}"
    with mounts.resolved(top, name) as target:
        try:
            mounts.mount("overlay", target, options, syscalls.MS_NOSUID | syscalls.MS_NODEV)
        except KernelRefused:  # without overlayfs, or on two of them: then it is as it is there
            _share(top, Path("/", name))


def _shared_mounts() -> list[str]:
    return [name for name in _SHARED_MOUNTS if os.path.ismount(f"/{name}")]


def _share(top: int, machine: Path) -> None:
    with mounts.opened(machine) as source, mounts.resolved(top, str(machine)) as target:
        mounts.bind(source, target, *_READ_ONLY)


def _show_devices(root: Root, top: int) -> None:
    if root.read_only:  # as in containers: what is below /dev can be written to all the same
        with mounts.resolved(top, "dev") as place:
            mounts.bind(place, place)
    for name in DEVICES:
        with mounts.opened(f"/dev/{name}") as device:
            target = mounts.ensure_file(top, f"dev/{name}")
            try:
                # A device can be written to all the same, but not be given to others or changed.
                mounts.bind(device, target, "ro", "nosuid", "noexec")
            finally:
                os.close(target)


# -- room for what is to be mounted where the machine has no such place -----------------------


def _make_room(root: Root, top: int, sources: Sequence[Source]) -> None:
    """Make the places of volumes, the pod's root's. Those in other volumes are made when these are
    mounted."""
    for source in _outermost(sources):
        with _mounting(source):
            _ensure(top, source.target, mounts.is_directory(source.place), root.owner)


def _forbid_writing(top: int, shared: Iterable[str]) -> None:
    """Let nobody write outside of volumes and /dev any more."""
    for name in shared:
        with mounts.resolved(top, name) as place:
            mounts.make_read_only(place)
    mounts.make_read_only(top)


def _outermost(sources: Iterable[Source]) -> Iterator[Source]:
    """Those whose targets are not in, or the same as, another's: in order, it is just before."""
    last: list[str] | None = None
    for source in sorted(sources, key=lambda each: _parts(each.target)):
        parts = _parts(source.target)
        if last is None or parts[: len(last)] != last:
            last = parts
            yield source


def _ensure(top: int, path: str, is_directory: bool, owner: int) -> None:
    make = mounts.ensure_directory if is_directory else mounts.ensure_file
    os.close(make(top, path, owner))


# -- files and volumes ------------------------------------------------------------------------


def _write_pod_files(root: Root, etc: Path) -> None:
    """The container's own copies, as it may write them, and an /etc/shadow without passwords."""
    texts = {name: (root.pod / name).read_text() for name in POD_FILES}
    texts["shadow"] = masked_paths.shadow(Path("/etc/passwd").read_text())
    for name, text in texts.items():
        (etc / name).write_text(text)
        (etc / name).chmod(0o640 if name == "shadow" else 0o644)
        os.chown(etc / name, root.owner, root.owner)


def _write_pages(root: Root, top: int) -> None:
    """The image's own files."""
    for path, text in root.pages.items():
        _put(root, top, path, partial(_write_page, root.owner, text))


def _write_links(root: Root, top: int) -> None:
    """The image's own links."""
    for path, target in root.links.items():
        _put(root, top, path, partial(_write_link, root.owner, target))


def _write_page(owner: int, text: str, place: int, name: str) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o644, dir_fd=place), "w") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)
        os.fchown(file.fileno(), owner, owner)


def _write_link(owner: int, target: str, place: int, name: str) -> None:
    os.symlink(target, name, dir_fd=place)
    os.chown(name, owner, owner, dir_fd=place, follow_symlinks=False)


def _put(root: Root, top: int, path: str, write: Callable[[int, str], None]) -> None:
    """Have something of the image's own written, by its directory and its name there, in place of
    what the machine has; nothing of the pod's is there yet.

    Where nothing lies over the machine's directories there is no room for it, and it is left out.
    """
    directory, _, name = path.rpartition("/")
    with contextlib.suppress(OSError, NetlabError):
        place = mounts.ensure_directory(top, directory, root.owner)
        with files.closing(place):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=place)
            write(place, name)


def _show_pod_files(root: Root, top: int) -> None:
    """Where nothing lies over /etc: over what the machine has."""
    with mounts.resolved(top, "etc") as etc:
        if not mounts.is_read_only(etc):
            return
    for name in (*POD_FILES, "shadow"):
        # Where /etc/resolv.conf is a link into /run, as with systemd, the pod's own is there.
        target = mounts.ensure_file(top, f"etc/{name}")
        with files.closing(target), mounts.opened(root.disk / "upper/etc" / name) as source:
            mounts.bind(source, target, "nosuid", "nodev", "noexec")


def _hide_secrets(top: int) -> None:
    """Without a user namespace the pod's root is the machine's, whom no file mode holds back."""
    with mounts.opened("/dev/null") as nothing:
        for path in masked_paths.secrets([Path("/", name) for name in ("etc", "opt", "usr/local")]):
            if path == Path("/etc/shadow"):
                continue
            with mounts.resolved(top, str(path)) as target:
                if mounts.is_directory(target):
                    mounts.mount("tmpfs", target, "ro,mode=0555,size=4k")
                else:
                    mounts.bind(nothing, target, "ro", "nosuid", "noexec")


def _mount_volume(top: int, source: Source, owner: int) -> None:
    with _mounting(source):
        _ensure(top, source.target, mounts.is_directory(source.place), owner)
        with mounts.resolved(top, source.target) as target:
            there, volume = (
                "a directory" if mounts.is_directory(place) else "a file"
                for place in (target, source.place)
            )
            if there != volume:
                raise NetlabError(f"that is {there} there, and the volume is {volume}")
            options = ("ro",) if source.read_only else ()
            mounts.bind(source.place, target, "nosuid", "nodev", *options)


@contextlib.contextmanager
def _mounting(source: Source) -> Iterator[None]:
    """What goes wrong is told of the volume."""
    try:
        yield
    except (NetlabError, OSError) as error:
        reason = error.message if isinstance(error, NetlabError) else error.strerror
        raise NetlabError(f"a volume cannot be mounted at {source.target}: {reason}") from error


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
