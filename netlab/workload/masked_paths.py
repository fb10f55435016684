"""What of this machine's files is nobody's business in a pod that has no user namespace.

Its root then has the uid that owns most files: modes do not hold it back. So what not everybody
may read here, nobody may read there. (With a user namespace the kernel itself sees to that.)
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path


def secrets(places: Sequence[Path]) -> Iterator[Path]:
    """What not everybody may read below these directories, at any depth; the outermost alone."""
    for place in places:
        if place.is_dir():
            yield from _secrets(place)


def _secrets(directory: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(directory), key=lambda each: each.name):
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            if mode & 0o005 != 0o005:
                yield Path(entry)
            else:
                yield from _secrets(Path(entry))
        elif not mode & stat.S_IROTH and not stat.S_ISLNK(mode):
            yield Path(entry)


def shadow(passwd: str) -> str:
    """An /etc/shadow in which nobody has a password: su(1) wants to find its users there."""
    users = [line.partition(":")[0] for line in passwd.splitlines() if ":" in line]
    return "".join(f"{user}:*:::::::\n" for user in users)
