"""A container's root: a small file system of its own, with this machine's programs in it.

A pod has no image to unpack. Its root is an empty tmpfs, in which only what is named here of the
machine appears, read-only: programs, libraries, their settings. So neither /run (labs, sockets) nor
/home, /var, other disks or whatever else lies at the top are there. The rest is private places to
write, the pod's files under /etc, and its volumes.

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
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from netlab.errors import NetlabError
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

_READ_ONLY = ("ro", "nosuid", "nodev")


class Root(Struct, frozen=True):
    """What a container's root is made of.

    `directory` is where its parts lie (the runtime's own, empty), `pod` the directory with the
    pod's files; `ids` is who the pod's users are, None for the machine's own; `limits` are
    options of a tmpfs for what the container writes outside of volumes.
    """

    directory: Path
    pod: Path
    ids: IdRange | None
    limits: str

    @property
    def mount_point(self) -> Path:
        """Becomes `/`."""
        return self.directory / "root"

    @property
    def skeletons(self) -> Path:
        """Where there is a mount, what overlays show: they go on reading it when that is gone."""
        return self.directory / "skeletons"

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
    root.mount_point.mkdir(parents=True)
    with mounts.opened(root.mount_point) as bare:
        mounts.mount("tmpfs", bare, f"mode=0755,{owned(root.ids)}{root.limits}")
    with mounts.opened(root.mount_point) as top:
        _make_places(root, top)
        _share_programs(top)
        _show_devices(top)
        ordered = sorted(sources, key=lambda each: len(_parts(each.target)))
        _make_room(root, top, ordered)
        _show_pod_files(root, top)
        if root.ids is None:
            _hide_secrets(top)
        for source in ordered:
            _mount_volume(top, source)


def discard(root: Root) -> None:
    """Let go of what was mounted, and of the directory: who has copies of the mounts keeps them.

    What cannot be let go of is left, for the log to tell: the container has started or has not.
    """
    try:
        for mount_point in (root.mount_point, root.skeletons):
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


def _share_programs(top: int) -> None:
    for name in _SHARED:
        machine = Path("/", name)
        if machine.is_symlink():
            os.symlink(machine.readlink(), name, dir_fd=top)
        elif machine.is_dir():
            os.mkdir(name, dir_fd=top)
            _share(top, machine)
    _share_mounts(top, below="")


def _shared_mounts() -> list[str]:
    return [name for name in _SHARED_MOUNTS if os.path.ismount(f"/{name}")]


def _share_mounts(top: int, below: str) -> None:
    for name in _shared_mounts():
        if name != below and _is_below(name, below):
            _share(top, Path("/", name))


def _share(top: int, machine: Path) -> None:
    with mounts.opened(machine) as source, mounts.resolved(top, str(machine)) as target:
        mounts.bind(source, target, *_READ_ONLY)


def _show_devices(top: int) -> None:
    for name in DEVICES:
        with mounts.opened(f"/dev/{name}") as device:
            target = mounts.ensure_file(top, f"dev/{name}")
            try:
                # A device can be written to all the same, but not be given to others or changed.
                mounts.bind(device, target, "ro", "nosuid", "noexec")
            finally:
                os.close(target)


# -- room for what is to be mounted where the machine has no such place -----------------------


class _Overlay(Struct):
    """A directory of the machine's that gets further entries, which lie in `skeleton`."""

    path: str
    skeleton: Path


def _make_room(root: Root, top: int, sources: Sequence[Source]) -> None:
    """Make the places of volumes and of pod files, laying overlays over what is read-only.

    Places in other volumes are made when those are mounted.
    """
    outer = [(each.target, mounts.is_directory(each.place)) for each in _outermost(sources)]
    overlays: dict[str, _Overlay] = {}
    for path, is_directory in (*outer, *((f"/etc/{name}", False) for name in POD_FILES)):
        _room(root, top, path, is_directory, overlays)
    for overlay in sorted(overlays.values(), key=lambda each: each.path):
        with mounts.resolved(top, overlay.path) as target:
            lower = f"lowerdir={overlay.skeleton}:{mounts.name_of(target)}"
            mounts.mount("overlay", target, lower, syscalls.MS_NOSUID | syscalls.MS_NODEV)
        _share_mounts(top, below=overlay.path)


def _outermost(sources: Iterable[Source]) -> Iterator[Source]:
    """Those whose targets are not in, or the same as, another's: in order, it is just before."""
    last: list[str] | None = None
    for source in sorted(sources, key=lambda each: _parts(each.target)):
        parts = _parts(source.target)
        if last is None or parts[: len(last)] != last:
            last = parts
            yield source


def _room(
    root: Root, top: int, path: str, is_directory: bool, overlays: dict[str, _Overlay]
) -> None:
    parts = _parts(path)
    for length in range(len(parts), -1, -1):
        with (
            contextlib.suppress(FileNotFoundError),
            mounts.resolved(top, "/".join(parts[:length]) or ".") as found,
        ):
            if length == len(parts):
                return
            if not mounts.is_read_only(found):
                _ensure(top, path, is_directory)
                return
            where = Path(mounts.name_of(found)).readlink().relative_to(root.mount_point)
            skeleton = _skeleton(root, overlays, where)
            with mounts.opened(root.skeletons) as skeletons:
                planted = skeleton.joinpath(*parts[length:]).relative_to(root.skeletons)
                _ensure(skeletons, str(planted), is_directory)
            return


def _skeleton(root: Root, overlays: dict[str, _Overlay], where: Path) -> Path:
    """The directory whose entries will appear at `where`, by the outermost overlay there is.

    The kernel stacks two overlays at most, and the machine's own `/` may be one.
    """
    shared = next((path for path in _shared_mounts() if where.is_relative_to(path)), where.parts[0])
    if not overlays:
        root.skeletons.mkdir()
        with mounts.opened(root.skeletons) as bare:
            mounts.mount("tmpfs", bare, "mode=0755,size=1m")
    overlay = overlays.setdefault(shared, _Overlay(shared, root.skeletons / str(len(overlays))))
    return overlay.skeleton / where.relative_to(shared)


def _ensure(top: int, path: str, is_directory: bool) -> None:
    os.close((mounts.ensure_directory if is_directory else mounts.ensure_file)(top, path))


# -- files and volumes ------------------------------------------------------------------------


def _show_pod_files(root: Root, top: int) -> None:
    for name in POD_FILES:
        # Where /etc/resolv.conf is a link into /run, as with systemd, the pod's own is there.
        target = mounts.ensure_file(top, f"etc/{name}")
        with files.closing(target), mounts.opened(root.pod / name) as source:
            mounts.bind(source, target, "nosuid", "nodev", "noexec")
    shadow = root.directory / "shadow"
    shadow.write_text(masked_paths.shadow(Path("/etc/passwd").read_text()))
    shadow.chmod(0o640)
    os.chown(shadow, root.owner, root.owner)
    with (
        contextlib.suppress(FileNotFoundError),
        mounts.resolved(top, "etc/shadow") as target,
        mounts.opened(shadow) as source,
    ):
        mounts.bind(source, target, *_READ_ONLY)


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


def _mount_volume(top: int, source: Source) -> None:
    try:
        _ensure(top, source.target, mounts.is_directory(source.place))
        with mounts.resolved(top, source.target) as target:
            there, volume = (
                "a directory" if mounts.is_directory(place) else "a file"
                for place in (target, source.place)
            )
            if there != volume:
                raise NetlabError(f"that is {there} there, and the volume is {volume}")
            options = ("ro",) if source.read_only else ()
            mounts.bind(source.place, target, "nosuid", "nodev", *options)
    except (NetlabError, OSError) as error:
        reason = error.message if isinstance(error, NetlabError) else error.strerror
        raise NetlabError(f"a volume cannot be mounted at {source.target}: {reason}") from error


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _is_below(path: str, directory: str) -> bool:
    return _parts(path)[: len(_parts(directory))] == _parts(directory)
