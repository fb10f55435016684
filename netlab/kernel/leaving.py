"""Letting go of many namespaces at once.

The kernel lets everybody who unmounts wait until nobody looks at what was mounted there (10 ms on
a busy machine), and from the moment that the first namespace goes, whoever changes a link waits
for those that are being taken apart. So they are moved into a mount of their own, which costs next
to nothing, and that is unmounted when no more come.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from netlab.errors import KernelRefused
from netlab.kernel import basedir, netns, syscalls

_ASIDE = "leaving-"


class Leaving:
    """Namespaces that have no place any more, and go when they are let go of. They wait in a
    directory of their own in the one given. For any thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._aside: Path | None = None
        self._count = 0
        self._turn = threading.Lock()

    def add(self, places: Iterable[Path]) -> None:
        """Free these places, where there may be namespaces or none. What cannot be moved, as out
        of a mount that is shared or where no space is left, goes now."""
        with self._turn:
            for path in places:
                with contextlib.suppress(KernelRefused, OSError):
                    if netns.exists(path):
                        self._move(path)
                netns.remove(path)

    def let_go(self) -> None:
        """The kernel takes them and their links apart once the last descriptor and process of
        each is gone."""
        with self._turn:
            aside, self._aside = self._aside, None
            if aside is not None:
                _unmount(aside)

    def _move(self, path: Path) -> None:
        if self._aside is None:
            self._aside = _made(self._directory)
        self._count += 1
        to = self._aside / str(self._count)
        to.touch(mode=0o444)
        syscalls.mount(str(path), to, flags=syscalls.MS_MOVE)


@contextlib.contextmanager
def leaving(directory: Path) -> Iterator[Leaving]:
    """Let go, in the end, of all that were added."""
    those = Leaving(directory)
    try:
        yield those
    finally:
        those.let_go()


def sweep(directory: Path) -> None:
    """Let go of those for which a process was killed before it had: by what is mounted, not by the
    name alone."""
    for mounted in basedir.labs_mounted():
        if mounted.parent == directory and mounted.name.startswith(_ASIDE):
            with contextlib.suppress(KernelRefused):
                syscalls.unmount(mounted)
    for aside in directory.glob(f"{_ASIDE}*"):
        with contextlib.suppress(OSError):  # it is somebody else's: mounted, not empty, or a file
            aside.rmdir()


def _made(directory: Path) -> Path:
    import tempfile  # not before a namespace goes

    aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=directory))
    try:
        syscalls.mount(basedir.SOURCE, aside, "tmpfs", options="mode=0700")
        syscalls.mount("", aside, flags=syscalls.MS_PRIVATE)
    except BaseException:
        _unmount(aside)
        raise
    return aside


def _unmount(aside: Path) -> None:
    while aside.is_mount():
        syscalls.unmount(aside)
    with contextlib.suppress(FileNotFoundError):
        aside.rmdir()
