"""What of this machine's file system is nobody's business in a pod.

A pod shares the machine's programs, libraries and their settings, and its root has the uid that
owns most files: modes do not hold it back. So of what is neither, it gets an empty place of its
own, and what not everybody may read here, nobody may read there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

# What of `/` a pod shares with the machine, or has by other means.
_SHARED = frozenset(
    ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "opt", "etc", "var", "nix", "gnu",
     "dev", "proc", "sys", "run")
)  # fmt: skip
_MODES = {"/tmp": "mode=1777", "/var/tmp": "mode=1777", "/root": "mode=0700"}
_OF_VAR = ("backups", "lib", "log", "mail", "spool", "tmp")
_WITH_SECRETS = ("/", "/etc", "/etc/ssh", "/etc/ssl")


def private_directories(root: Path = Path("/")) -> dict[str, str]:
    """The directories of which a container has its own, empty and writable: path → mount options.

    /tmp, /home and the like, and whatever else this machine has at the top. `root` is where its
    file system is looked at.
    """
    top = {entry.name for entry in root.iterdir()} - _SHARED
    names = [*sorted(top), *(f"var/{name}" for name in _OF_VAR)]
    found = [f"/{name}" for name in names if _is_directory(root / name)]
    return {path: _MODES.get(path, "mode=0755") for path in found}


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def secrets(root: Path = Path("/")) -> Iterator[tuple[str, bool]]:
    """What not everybody may read, where such things lie: paths, and whether it is a directory."""
    for directory in _WITH_SECRETS:
        place = root / directory.lstrip("/")
        if not place.is_dir():
            continue
        for entry in sorted(os.scandir(place), key=lambda each: each.name):
            mode = entry.stat(follow_symlinks=False).st_mode
            is_directory = stat.S_ISDIR(mode)
            if not mode & stat.S_IROTH and (is_directory or stat.S_ISREG(mode)):
                yield f"{directory.rstrip('/')}/{entry.name}", is_directory


def shadow(passwd: str) -> str:
    """An /etc/shadow in which nobody has a password: su(1) wants to find its users there."""
    users = [line.partition(":")[0] for line in passwd.splitlines() if ":" in line]
    return "".join(f"{user}:*:::::::\n" for user in users)
