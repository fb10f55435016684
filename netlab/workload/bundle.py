"""Preparing what crun is to make a container of: its root, its volumes, its config.json."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from netlab.errors import NetlabError
from netlab.kernel import mounts, syscalls, userns
from netlab.kernel.userns import IdRange
from netlab.workload import oci, root
from netlab.workload.control import Json
from netlab.workload.pod_binaries import PodBinaries
from netlab.workload.skeleton import Skeleton

_REACHING = ("CAP_NET_ADMIN",)
"""What would reach out of a pod that has no user namespace: links of its node, by their numbers."""


_SKELETON_LIMITS = "mode=0711,size=64m,nr_inodes=16384"


class Bundle(Struct, frozen=True):
    """A bundle: its directory, and what its config.json is to say; the file for why it ends."""

    directory: Path
    config: Json
    message: Path | None


class Bundles:
    """Prepares containers below `private`, the runtime's own directory.

    `lab` is the lab's directory as controllers know it, `spaces` a descriptor of that of its
    namespaces in the machine's own mount namespace, `ids` who the pods' users are.
    """

    def __init__(self, private: Path, lab: Path, spaces: int, ids: IdRange | None) -> None:
        self._private = private
        self._lab = lab
        self._spaces = spaces
        self._ids = ids
        self._number = 0
        self._binaries = PodBinaries(private / "programs")

    def make_ready(self) -> None:
        """Make beforehand what all containers have in common, which the first one would wait for.

        If it cannot be made, that is for the first one to say.
        """
        with contextlib.suppress(NetlabError, OSError):
            self._skeleton(self._ids)

    def granted(self, process: Json) -> Json:
        """A process with no more capabilities than stay within a pod here."""
        return process if self._ids else oci.without(process, _REACHING)

    def inside(self, path: str) -> Path:
        """Where a path that a controller named is in our own mount namespace."""
        return self._private / Path(path).relative_to(self._lab)

    @contextlib.contextmanager
    def prepared(self, request: Json) -> Iterator[Bundle]:
        """Everything for one container, as long as crun is starting it.

        Once that has its own copies of the mounts, ours go.
        """
        self._number += 1
        directory = self._private / "roots" / str(self._number)
        with self._namespaces(request["netns"]) as (netns, users, ids):
            disk = request["bounds"]["disk"]
            made = root.Root(
                directory,
                self._pod(request["uid"]),
                ids,
                disk,
                read_only=request["read_only"],
                skeleton=self._skeleton(ids),
                pages=request.get("pages") or {},
                links=request.get("links") or {},
                termination_log=request["termination_log"],
            )
            directory.mkdir(mode=0o711)
            try:
                with self._sources(request, ids) as sources:
                    root.build(made, sources)
                config = oci.config(
                    request["process"],
                    made.mount_point,
                    request["hostname"],
                    netns=netns,
                    userns=users,
                    ids=ids,
                    pids=request.get("pids"),
                    covered=[*(source.target for source in sources), made.termination_log],
                )
                yield Bundle(directory, config, made.message if made.termination_log else None)
            finally:
                root.discard(made)

    def _skeleton(self, ids: IdRange | None) -> Path | None:
        """The machine's directories as these users own them; made when first needed."""
        if ids is None:
            return None
        path = self._private / "skeleton"
        if not path.exists():
            path.mkdir(mode=0o711)
            try:
                with mounts.opened(path) as bare:
                    mounts.mount("tmpfs", bare, _SKELETON_LIMITS)
                Skeleton(str(path), ids.first).build()
            except BaseException:
                syscalls.unmount(path)
                path.rmdir()
                raise
        return path

    def _pod(self, uid: str) -> Path:
        return self._private / "pods" / uid

    @contextlib.contextmanager
    def _namespaces(self, name: str) -> Iterator[tuple[str, str | None, IdRange | None]]:
        """Paths of a pod's network and user namespaces, good as long as the body runs."""
        with contextlib.ExitStack() as stack:
            netns = self._open_namespace(name)
            stack.callback(os.close, netns)
            users = userns.of_namespace(netns)
            stack.callback(os.close, users)
            shared = userns.is_ours(users)
            yield _path(netns), None if shared else _path(users), None if shared else self._ids

    def _open_namespace(self, name: str) -> int:
        try:
            return os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._spaces)
        except OSError as error:
            raise NetlabError(f"no network namespace {name}: {error.strerror}") from error

    # -- volumes -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _sources(self, request: Json, ids: IdRange | None) -> Iterator[Sequence[root.Source]]:
        """The volumes' directories and files, and programs of ours, opened once and for all."""
        with contextlib.ExitStack() as stack:
            found = []
            for mount in request["mounts"]:
                place = self._source(request["uid"], mount, ids)
                stack.callback(os.close, place)
                found.append(root.Source(place, mount["target"], mount["read_only"]))
            for target, path in self._binaries.files(request.get("programs") or ()):
                place = stack.enter_context(mounts.opened(path))
                found.append(root.Source(place, target, read_only=True))
            yield found

    def _source(self, uid: str, mount: Json, ids: IdRange | None) -> int:
        volume = (
            self._scratch(uid, mount, ids) if mount["scratch"] else self._private / mount["source"]
        )
        place = os.open(volume, os.O_PATH | os.O_CLOEXEC)
        for part in mount["parts"]:
            try:
                inner = _part(place, part, ids.first if ids else None)
            except OSError as error:
                raise NetlabError(
                    f'failed to prepare "{part["path"]}" in a volume: {error.strerror}'
                ) from error
            finally:
                os.close(place)
            place = inner
        return place

    def _scratch(self, uid: str, mount: Mapping[str, str], ids: IdRange | None) -> Path:
        """A pod's own empty volume, which all its containers share."""
        path = self._private / "scratch" / uid / Path(mount["source"]).name
        if not path.exists():
            path.mkdir(parents=True)
            try:
                with mounts.opened(path) as bare:
                    options = f"mode=0777,{root.owned(ids)}{mount['scratch']}"
                    mounts.mount("tmpfs", bare, options, syscalls.MS_NOSUID)
            except BaseException:
                path.rmdir()  # a plain directory would hold without end
                raise
        return path

    def volumes_used(self, uid: str) -> dict[str, int]:
        """Bytes in each of a pod's empty volumes."""
        directory = self._private / "scratch" / uid
        return {path.name: bytes_used(path) for path in directory.glob("*")}

    def forget(self, uid: str, keep: Collection[str] = ()) -> None:
        """A pod runs no more: its empty volumes go, but for those to `keep`, by their names."""
        directory = self._private / "scratch" / uid
        if directory.exists():
            going = [path for path in directory.iterdir() if path.name not in keep]
            for path in going:
                syscalls.unmount(path)
                path.rmdir()
            if not any(directory.iterdir()):
                directory.rmdir()


def _part(place: int, part: Mapping[str, str], owner: int | None) -> int:
    """A descriptor of a path inside a volume, which is made if that is wanted."""
    if part["make"] == "directory":
        with contextlib.suppress(FileNotFoundError):
            return mounts.resolve(place, part["path"])
        mode = stat.S_IMODE(os.fstat(place).st_mode)  # whoever may write there may write here
        return mounts.ensure_directory(place, part["path"], owner, mode)
    if part["make"] == "file":
        return mounts.ensure_file(place, part["path"])
    return mounts.resolve(place, part["path"])


def bytes_used(place: Path | str) -> int:
    """What the file system holds that is mounted there."""
    found = os.statvfs(place)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def _path(descriptor: int) -> str:
    """A path by which crun, a process of the same rights, finds what we hold open."""
    return f"/proc/{os.getpid()}/fd/{descriptor}"
