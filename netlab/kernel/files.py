"""Files and directories with exactly the mode they are to have, whatever the caller's umask.

A lab's directory is open to everybody's passing through, so that the user whose sudo brought the
lab up reaches its socket: what else lies there is protected by its own mode, from its first moment.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

PRIVATE = 0o700
"""A directory for root alone."""

PASSABLE = 0o711
"""A directory in which everybody reaches what he is given the name of, and has a right to."""

PUBLIC = 0o755
"""A directory that everybody may list."""


def directory(path: Path, mode: int) -> None:
    """Make a directory, or give the one that is there its mode. Parents are made public."""
    if not path.parent.exists():
        directory(path.parent, PUBLIC)
    with contextlib.suppress(FileExistsError):
        path.mkdir(PRIVATE)
    path.chmod(mode)


def write(path: Path, text: str, *, mode: int = 0o600, owner: int = -1, group: int = -1) -> None:
    """Put a file there, or in place of the one there: never half-written, never open to others.

    `owner` and `group` are ids; -1 leaves them root's. What is as it should be is left alone: that
    needs no room. `OSError` names the file.
    """
    if _is(path, text, mode, owner, group):
        return
    # of our own: another writer's draft, half written, must not be what we put there
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}.new")
    draft.unlink(missing_ok=True)
    try:
        _draft(draft, text, mode, owner, group)
        draft.rename(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def write_beside(known: Path, name: str, text: str) -> None:
    """`write` a file beside one that is there, for those to read who may read that; for root alone
    while there is none."""
    try:
        group = known.stat().st_gid
    except FileNotFoundError:
        group = -1
    write(known.with_name(name), text, mode=0o600 if group == -1 else 0o640, group=group)


def _is(path: Path, text: str, mode: int, owner: int, group: int) -> bool:
    try:
        found = path.lstat()
        same = path.read_text() == text
    except (OSError, ValueError):
        return False
    whose = (found.st_uid if owner == -1 else owner, found.st_gid if group == -1 else group)
    return (
        same
        and stat.S_ISREG(found.st_mode)
        and stat.S_IMODE(found.st_mode) == mode
        and whose == (found.st_uid, found.st_gid)
    )


def _draft(draft: Path, text: str, mode: int, owner: int, group: int) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        with contextlib.suppress(OSError):  # no such user in a user namespace
            os.fchown(descriptor, owner, group)
        os.fchmod(descriptor, mode)


@contextlib.contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """The descriptor, closed when the body ends."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def text(path: Path | str) -> str:
    """What a file of the kernel says: also where it tells names that others gave, which may be of
    any bytes. Its lines end with newlines alone: a name may have whatever else parts lines."""
    return os.fsdecode(Path(path).read_bytes())


def tell(path: Path | str, text: str, *, below: int | None = None) -> None:
    """Write to a file that the kernel has made: in one write, for it is an interface.

    `below` is the directory (a descriptor) that a relative path begins at.
    """
    with closing(os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=below)) as descriptor:
        os.write(descriptor, text.encode())


def opened(path: Path, flags: int) -> int:
    """A descriptor of a file for root alone, made if it is not there; the caller closes it.

    A device is everybody's as it was: nobody would have /dev/null any more.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, 0o600)
    return descriptor
