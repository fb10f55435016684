"""Files that a command writes for who called it, at a path he named: with his rights, not root's.

Under sudo a file is opened as the user who called that, and is his: in a directory where others may
write, no link that they have laid there leads us to what he could not have written himself. Nor is
a link followed where root himself is the caller.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from netlab import given
from netlab.errors import UsageError
from netlab.kernel import caller

PRIVATE = 0o600
"""The mode of files that hold what was sent."""

PUBLIC = 0o666
"""Of all others; as ever, the umask takes from it."""

_LOOK = 0.05
"""Seconds between two looks whether somebody reads a pipe."""


class Result:
    """A file that is open to be written; what was there before stays until the first `write`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._is_new = stat.S_ISREG(os.fstat(descriptor).st_mode)

    def write(self, data: bytes) -> None:
        """Write all of it, in place of what was there when it is the first; `OSError` names the
        file."""
        try:
            if self._is_new:
                os.ftruncate(self._descriptor, 0)
                self._is_new = False
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.fspath(self.path)) from error


@contextlib.contextmanager
def result(path: Path, mode: int = PUBLIC) -> Iterator[Result]:
    """A file to be written, `mode` but for the umask if it is new. `UsageError` where it cannot be;
    one that was made is taken away again when the body fails."""
    with _as_caller():
        descriptor, made = _opened(path, mode)
    try:
        yield Result(path, descriptor)
    except BaseException:
        if made:
            with _as_caller(), contextlib.suppress(OSError):
                path.unlink()
        raise
    finally:
        os.close(descriptor)


def _opened(path: Path, mode: int) -> tuple[int, bool]:
    """A descriptor, and whether the file was made for it."""
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, mode), True
        except FileExistsError:
            descriptor = _existing(path, flags)
    except OSError as error:
        raise _refused(path, error) from None
    if _is_anybodys(os.fstat(descriptor)):
        os.close(descriptor)
        raise UsageError(f"{path} cannot be written: it is somebody else's", hint=f"ls -l {path}")
    return descriptor, False


def _existing(path: Path, flags: int) -> int:
    """One that is there. Who is to read a named pipe is awaited as long as who is to write one."""
    until = time.monotonic() + given.PATIENCE
    while True:
        try:
            descriptor = os.open(path, flags | os.O_NONBLOCK)
            break
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(path.lstat().st_mode):
                raise
            if time.monotonic() > until:
                words = f"nobody reads this pipe, for which {given.PATIENCE:g} seconds were waited"
                raise OSError(errno.ENXIO, words) from None
        time.sleep(_LOOK)
    os.set_blocking(descriptor, True)
    return descriptor


def _is_anybodys(found: os.stat_result) -> bool:
    """Root may write to everything: to what he would not have meant, too."""
    return not stat.S_ISCHR(found.st_mode) and (
        found.st_uid != os.geteuid() or (stat.S_ISREG(found.st_mode) and found.st_nlink > 1)
    )


def _refused(path: Path, error: OSError) -> UsageError:
    if error.errno == errno.ELOOP:
        return UsageError(f"{path} is a link, and not followed", hint=f"ls -l {path}")
    if error.errno == errno.ENOENT:
        place = path.parent
        message = f"there is no directory {place} for {path.name}"
        return UsageError(message, hint=f"mkdir -p {place}")
    why = (error.strerror or "").lower()
    return UsageError(f"{path} cannot be written: {why}", hint=f"ls -ld {path.parent}")


@contextlib.contextmanager
def _as_caller() -> Iterator[None]:
    """Within, files are opened as the user who called sudo; where he is unknown, as ourselves."""
    uid, gid, groups = caller.uid(), caller.gid(), os.getgroups()
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    try:
        with contextlib.suppress(OSError):  # in a user namespace that knows nobody of that name
            os.setegid(gid)
            os.setgroups(_groups(uid, gid))
            os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        if os.getgroups() != groups:
            os.setgroups(groups)


def _groups(uid: int, gid: int) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return [gid]
