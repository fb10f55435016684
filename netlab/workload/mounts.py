"""A container's volumes in its root, which is this machine's own and must not be written to.

A volume whose mount point exists is bound over it. For others the nearest directory that exists is
overlaid with one that has the missing part: read-only as well, so nothing of it reaches the
machine. Below /run and /dev, which are the container's own, mount points are simply made.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from netlab.errors import NetlabError

_REFUSED = ("/proc", "/sys")


@dataclass(frozen=True)
class Mount:
    """A directory or a file of the lab's that a container sees at `target` (absolute)."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Bind:
    """One mount to be made: `target` is free of symbolic links; `make` if it is in a tmpfs."""

    source: Path
    target: str
    read_only: bool
    make: bool


@dataclass(frozen=True)
class Overlay:
    """The machine's directory `path`, with the mount points in `skeleton` added."""

    path: str
    skeleton: Path


@dataclass(frozen=True)
class Plan:
    """What to mount: overlays before anything lies on them, volumes after everything else."""

    overlays: tuple[Overlay, ...] = ()
    binds: tuple[Bind, ...] = ()


def plan(
    mounts: Sequence[Mount], own: dict[str, Path], private: Sequence[str], skeletons: Path
) -> Plan:
    """Find, and make where that is ours to do, the place of each volume.

    `own` are directories of the container that appear in its root (`/run`), `private` those that
    are a tmpfs there. `skeletons` is a directory for overlays' parts.
    """
    binds: list[Bind] = []
    overlays: dict[str, Overlay] = {}
    for mount in sorted(mounts, key=lambda each: len(PurePosixPath(each.target).parts)):
        target = os.path.realpath(mount.target)
        if target == "/" or any(_is_below(target, path) for path in _REFUSED):
            raise NetlabError(f"a volume cannot be mounted at {mount.target} here")
        make = any(_is_below(target, path) for path in private)
        binds.append(Bind(mount.source, target, mount.read_only, make))
        ours = {**own, **{bind.target: bind.source for bind in binds[:-1]}}
        if not make and not _made_in_own(mount.source, target, ours):
            _made_in_overlay(mount.source, target, overlays, skeletons)
    return Plan(tuple(sorted(overlays.values(), key=lambda each: each.path)), tuple(binds))


def _made_in_own(source: Path, target: str, own: dict[str, Path]) -> bool:
    """Make the mount point in the innermost of these directories that it lies in, if in any.

    Pods write into them: a link that one left there must not lead us out of it.
    """
    for path in sorted(own, key=len, reverse=True):
        if _is_below(target, path) and target != path:
            place = own[path] / target[len(path) + 1 :]
            if not place.resolve().is_relative_to(own[path].resolve()):
                raise NetlabError(f"a volume cannot be mounted at {target}: a link leads away")
            _make(place, like=source)
            return True
    return False


def _made_in_overlay(
    source: Path, target: str, overlays: dict[str, Overlay], skeletons: Path
) -> None:
    if os.path.exists(target):  # noqa: PTH110 - a plain string, as realpath gave it
        return
    path = next(str(each) for each in PurePosixPath(target).parents if Path(each).is_dir())
    overlay = overlays.setdefault(path, Overlay(path, skeletons / str(len(overlays))))
    _make(overlay.skeleton / str(PurePosixPath(target).relative_to(path)), like=source)


def _make(place: Path, like: Path) -> None:
    if like.is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()


def overlay_entries(planned: Plan, base: str) -> Iterator[tuple[str, str, str, str]]:
    """Source, target, type and options of the overlays, for an fstab."""
    for overlay in planned.overlays:
        where = base + overlay.path.rstrip("/")
        yield "overlay", where, "overlay", f"ro,lowerdir={overlay.skeleton}:{overlay.path}"


def bind_entries(planned: Plan, base: str) -> Iterator[tuple[str, str, str, str]]:
    """Source, target, type and options of the volumes, for an fstab."""
    for bind in planned.binds:
        options = "bind" + (",ro" if bind.read_only else "") + (",X-mount.mkdir" * bind.make)
        yield str(bind.source), base + bind.target, "none", options


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory}/")
