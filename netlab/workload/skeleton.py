"""The machine's directories as the pods' root owns them: a layer below what containers write.

In a pod what is the machine's root's belongs to nobody. Of a directory an overlay shows the owner
that its uppermost layer has: so with this one, made once for all pods of a lab, they can make files
wherever an image's root could, and remove or replace what is there. Small files of /etc are here as
well, to be opened for writing. Nothing is here that not everybody may read.
"""

# ruff: noqa: PTH101, PTH102, PTH112, PTH114, PTH118, PTH123
# Paths of names would be most of what this costs.
from __future__ import annotations

import os
import stat
from collections.abc import Mapping

DEPTHS: Mapping[str, int] = {"etc": 8, "usr": 1, "usr/local": 2, "opt": 2}
"""How deep what is below these is shown: /usr has many thousands, and nobody writes there."""

PLACES = ("usr/share/nginx/html", "usr/local/apache2/htdocs", "etc/nginx/conf.d")
"""Directories that images have and machines may not have, for people put files there."""

_LARGEST = 64 * 1024
_MOST = 4000


class Skeleton:
    """What is made of it so far: `place` is an empty directory, `owner` a user of the machine's."""

    def __init__(self, place: str, owner: int, machine: str = "/") -> None:
        self._place = place
        self._owner = owner
        self._machine = machine
        self._left = _MOST

    def build(self) -> None:
        """Make all of it."""
        for name, depth in DEPTHS.items():
            top = os.path.join(self._machine, name)
            if not os.path.islink(top) and os.path.isdir(top):
                self._show(name, depth, os.lstat(top), files=name == "etc")
        for path in PLACES:
            self._ensure(path)

    def _show(self, name: str, depth: int, found: os.stat_result, *, files: bool) -> None:
        """A directory and those below it, but for what is mounted there."""
        if found.st_mode & 0o005 != 0o005 or self._left <= 0:
            return
        self._make(name, stat.S_IMODE(found.st_mode) & 0o1777)
        for entry in os.scandir(os.path.join(self._machine, name)) if depth or files else ():
            within, inner = f"{name}/{entry.name}", entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(inner.st_mode) and inner.st_dev == found.st_dev and depth:
                self._show(within, depth - 1, inner, files=files)
            elif files and _is_small_and_open(inner):
                self._copy(entry.path, within, inner)

    def _make(self, name: str, mode: int) -> None:
        place = os.path.join(self._place, name)
        if not os.path.isdir(place):
            os.mkdir(place)
            self._give(place, mode)

    def _copy(self, file: str, name: str, found: os.stat_result) -> None:
        place = os.path.join(self._place, name)
        with open(file, "rb") as source, open(place, "wb") as copy:
            copy.write(source.read(_LARGEST))
        self._give(place, stat.S_IMODE(found.st_mode) & 0o777)

    def _give(self, place: str, mode: int) -> None:
        self._left -= 1
        os.chown(place, self._owner, self._owner)
        os.chmod(place, mode)

    def _ensure(self, path: str) -> None:
        parts = path.split("/")
        for length in range(1, len(parts) + 1):
            self._make("/".join(parts[:length]), 0o755)


def _is_small_and_open(found: os.stat_result) -> bool:
    readable = stat.S_ISREG(found.st_mode) and bool(found.st_mode & stat.S_IROTH)
    return readable and found.st_size <= _LARGEST
