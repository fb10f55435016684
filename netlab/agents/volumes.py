"""A pod's volumes: directories of the lab, filled where the volume has a content of its own.

Nothing of this machine appears in them: a hostPath is a directory on the lab's own disk of the
pod's node, which has no more than an /etc/hosts at first, and a PersistentVolume one that outlives
its pods, though not the lab. An emptyDir is a file system of its own, which the runtime makes when
a container has it mounted, and keeps while the node is off, unless it is in memory.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from netlab.agents.environment import Lookup
from netlab.agents.podrun import PodRun
from netlab.agents.volume_files import MOST, Files, Texts, size, token_paths, volume_files
from netlab.errors import NetlabError
from netlab.kernel import paths
from netlab.kernel.userns import IdRange
from netlab.objects import elsewhere, meta, storage
from netlab.objects.elsewhere import Failure
from netlab.objects.types import HostPathVolumeSource, PersistentVolume, Volume, VolumeMount
from netlab.workload.behaviour import expand_text
from netlab.workload.bounds import Tmpfs, bounds
from netlab.workload.etc_files import node_hosts_file
from netlab.workload.sandbox import IDLE
from netlab.workload.volume import Made, Mount, Part

MADE = ("configMap", "secret", "downwardAPI", "projected")
"""Volumes made of objects: containers only read them."""

_REFERENCE = re.compile(r"\$\$|\$\(([^)]+)\)")

_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


_MADE_BY_TYPE: Mapping[str, Made] = {
    "": "directory", "DirectoryOrCreate": "directory", "FileOrCreate": "file",
    "Directory": "", "File": "", "Socket": "", "CharDevice": "", "BlockDevice": "",
}  # fmt: skip
"""What a hostPath of that type becomes where it is missing: a node's disk has next to nothing."""


class Owner(NamedTuple):
    """Whose a file is, by the machine's ids; `shared`: a pod's fsGroup is to read it."""

    user: int
    group: int
    shared: bool


class VolumeLacks(NetlabError):
    """A volume cannot be made, for want of what is to be in it, or of who serves it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


Environment = Callable[[PodRun, str], Mapping[str, str]]
"""The variables of a container, by its name."""

Claimed = Callable[[str, str], PersistentVolume]
"""The volume of a claim, by its namespace and name; `NetlabError` says why it has none."""


def _unclaimed(namespace: str, name: str) -> PersistentVolume:
    raise NetlabError(f'persistentvolumeclaim "{name}" not found in {namespace}')


class Volumes:
    """Makes the volumes of pods of the lab in `directory`; `ids` are those of the pods' users."""

    def __init__(
        self,
        directory: Path,
        lookup: Lookup,
        ids: IdRange | None,
        claimed: Claimed = _unclaimed,
    ) -> None:
        self._lab = directory
        self._lookup = lookup
        self._ids = ids
        self._claimed = claimed

    def prepare(
        self, run: PodRun, tokens: Texts | None = None, *, for_servers: bool = False
    ) -> None:
        """Make the pod's volumes, or bring their files up to date; `VolumeLacks` names one.

        Nothing is written unless there is all that is to be in them. Those with tokens are made
        once there are these: until then it is only looked whether all else is there, and not even
        that `for_servers`, which read no files.
        """
        room = MOST
        contents: list[tuple[Volume, Files | None]] = []
        for volume in meta.spec(run.pod).get("volumes") or ():
            if for_servers and token_paths(volume):
                continue
            with _set_up(volume):
                self._look_for(run, volume)
                files = volume_files(run, volume, self._lookup, room, tokens or {})
            room -= size(files or {})
            if tokens is not None or not token_paths(volume):
                contents.append((volume, files))
        for volume, files in contents:
            with _set_up(volume):
                self._make(run, volume, files)

    def token(self, run: PodRun, volume: Volume, path: str) -> str:
        """The token that is in a volume now; "" while there is none."""
        try:
            return (self._directory(run, volume) / path).read_text()
        except OSError:
            return ""

    def _make(self, run: PodRun, volume: Volume, files: Files | None) -> None:
        if files is not None:
            write_files(self._directory(run, volume), files, self._owner(run))
        elif volume.get("emptyDir") is None:
            self._make_disk(run, volume)

    def _owner(self, run: PodRun) -> Owner:
        """Who volumes belong to: the pod's root, and the group that it asks for."""
        group = (meta.spec(run.pod).get("securityContext") or {}).get("fsGroup")
        outside = self._ids.outside if self._ids else int
        return Owner(outside(0), outside(group or 0), group is not None)

    def _make_disk(self, run: PodRun, volume: Volume) -> None:
        """What outlives the pod is made once, for everybody to write."""
        directory = self._directory(run, volume)
        if not directory.exists():
            directory.mkdir(parents=True)
            owner = self._owner(run)
            if self._on_node(run, volume) is not None:
                hosts = {"hosts": (node_hosts_file().encode(), 0o644)}
                write_files(
                    directory / "etc", hosts, owner._replace(group=owner.user, shared=False)
                )
            directory.chmod(0o777)
            os.chown(directory, *owner[:2])

    def mounts(
        self, run: PodRun, environment: Environment = lambda *_: {}
    ) -> dict[str, tuple[Mount, ...]]:
        """What each container has mounted; what stands in for built-in servers has the first's.

        A `subPathExpr` may name variables of the container's `environment`; one that comes to no
        path there holds up no other container of the pod.
        """
        volumes = {v["name"]: v for v in meta.spec(run.pod).get("volumes") or ()}
        if not volumes:
            return {}
        scratch = bounds(meta.spec(run.pod)).volumes
        found = {
            name: tuple(self._of_container(run, name, volumes, scratch, environment))
            for name in run.names
        }
        return {IDLE: found[next(iter(run.containers))], **found}

    def _of_container(
        self,
        run: PodRun,
        container: str,
        volumes: Mapping[str, Volume],
        scratch: Mapping[str, Tmpfs],
        environment: Environment,
    ) -> Iterator[Mount]:
        for mount in run.spec_of(container).get("volumeMounts") or ():
            volume = volumes[mount["name"]]
            within = mount.get("subPath") or ""
            if pattern := mount.get("subPathExpr"):
                try:
                    within = expanded(pattern, environment(run, container))
                except NetlabError:
                    continue  # the container does not start with it, see `check_paths`
            yield Mount(
                str(self._directory(run, volume).relative_to(self._lab)),
                mount["mountPath"],
                _is_read_only(volume, mount),
                tuple(_parts(self._on_node(run, volume), within)),
                self._scratch(run, scratch.get(volume["name"])),
            )

    def check_paths(self, run: PodRun, container: str, env: Mapping[str, str]) -> None:
        """`NetlabError` if a `subPathExpr` of the container comes to no path in its volume."""
        for mount in run.spec_of(container).get("volumeMounts") or ():
            expanded(mount.get("subPathExpr") or "", env)

    def _scratch(self, run: PodRun, size: Tmpfs | None) -> str:
        """How an empty volume is mounted: it belongs to the pod's fsGroup, as all that is made in
        it."""
        if size is None:
            return ""
        owner = self._owner(run)
        return f"{size.options},mode=2777,gid={owner.group}" if owner.shared else size.options

    def _directory(self, run: PodRun, volume: Volume) -> Path:
        disks = paths.disks(self._lab)
        if self._on_node(run, volume) is not None:
            return named(disks, "nodes", run.node)
        if (found := self._volume(run, volume)) is not None:
            return directory_of(self._lab, found)
        return named(run.directory, "volumes", volume["name"])

    def _look_for(self, run: PodRun, volume: Volume) -> None:
        """`VolumeLacks` for one, itself or by a claim, that no node of a lab can mount."""
        found, own = self._volume(run, volume), volume["name"]
        spec, name = (volume, own) if found is None else (meta.spec(found), meta.name(found))
        if (failure := elsewhere.failure(spec, name, own, run.uid)) is not None:
            raise VolumeLacks(failure)

    def _volume(self, run: PodRun, volume: Volume) -> PersistentVolume | None:
        """The volume of the claim that it is, if it is one."""
        name = storage.claim_name(run.pod, volume)
        return None if name is None else self._claimed(meta.namespace(run.pod), name)

    def _on_node(self, run: PodRun, volume: Volume) -> HostPathVolumeSource | None:
        """The place on a node's disk that a volume is, if it is one, itself or by a claim."""
        if (found := self._volume(run, volume)) is None:
            return volume.get("hostPath")
        if _PROVISIONED_BY in meta.annotations(found):
            return None
        if (local := meta.spec(found).get("local")) is not None:
            return {"path": local["path"], "type": "Directory"}
        return meta.spec(found).get("hostPath")


def _write_etc(directory: Path, owner: Owner) -> None:
    """What pods look for of a node's own."""
    write_files(directory, {"hosts": (node_hosts_file().encode(), 0o644)}, owner)


def directory_of(lab: Path, volume: PersistentVolume) -> Path:
    """What a PersistentVolume holds that is on no node."""
    return named(paths.disks(lab), "volumes", meta.name(volume))


def _is_read_only(volume: Volume, mount: VolumeMount) -> bool:
    claim = volume.get("persistentVolumeClaim")
    said = mount.get("readOnly") or (claim is not None and claim.get("readOnly"))
    return bool(said) or any(kind in volume for kind in MADE)


@contextlib.contextmanager
def _set_up(volume: Volume) -> Iterator[None]:
    """What goes wrong is what the volume lacks."""
    try:
        yield
    except VolumeLacks:
        raise
    except (NetlabError, OSError) as error:
        reason = error.message if isinstance(error, NetlabError) else os.strerror(error.errno or 0)
        text = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {reason}'
        raise VolumeLacks(Failure("FailedMount", text)) from error


def expanded(pattern: str, env: Mapping[str, str]) -> str:
    """The path of a `subPathExpr`; `NetlabError` in the kubelet's words for one that is none.

    Source: pkg/kubelet/container/helpers.go, ExpandContainerVolumeMounts, and what checks a path.
    """
    missing = [name for name in _REFERENCE.findall(pattern) if name and name not in env]
    if missing:
        raise NetlabError(f'missing value for "{missing[0]}"')
    path = expand_text(pattern, env)
    if path.startswith("/"):
        raise NetlabError("error SubPath `" + path + "` must not be an absolute path")
    if ".." in path.split("/"):
        raise NetlabError("unable to provision SubPath `" + path + "`: must not contain '..'")
    return path


def _parts(path: HostPathVolumeSource | None, within: str) -> Iterator[Part]:
    """The way into a volume: on a node's disk to the hostPath, then to the subPath."""
    if path is not None:
        yield Part(path["path"], _MADE_BY_TYPE[path.get("type") or ""])
    if within:
        yield Part(within)


def write_files(directory: Path, files: Files, owner: Owner) -> None:
    """Make a directory hold these files and no others, each replaced in one step.

    Pods only read them: nobody else writes here, so no link can be in the way.
    """
    _make_directory(directory, owner)
    for relative, (content, mode) in files.items():
        path = named(directory, *relative.split("/"))
        for parent in reversed(path.relative_to(directory).parents[:-1]):
            _make_directory(directory / parent, owner)
        # Beside the volume, where no name of a volume or a file can be in the way.
        temporary = directory.with_name(".new")
        _replace(path, temporary, content, mode | 0o440 if owner.shared else mode, owner)
    for entry in _files_below(directory):
        if str(entry.relative_to(directory)) not in files:
            with contextlib.suppress(FileNotFoundError):
                entry.unlink()


def _replace(path: Path, temporary: Path, content: bytes, mode: int, owner: Owner) -> None:
    try:
        temporary.write_bytes(content)
        os.chown(temporary, owner.user, owner.group)
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # the disk may be full
        raise


def _make_directory(directory: Path, owner: Owner) -> None:
    if not directory.exists():
        directory.mkdir(parents=True)
        directory.chmod(0o755)
        os.chown(directory, owner.user, owner.group)


def _files_below(directory: Path) -> Sequence[Path]:
    return [Path(root, name) for root, _, names in os.walk(directory) for name in names]


def named(directory: Path, *names: str) -> Path:
    """A directory by the names on the way to it; `NetlabError` for a name that is a path."""
    for name in names:
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise NetlabError(f"{name!r} is no name of a volume's directory")
    return directory.joinpath(*names)
