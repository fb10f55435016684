"""Locks between processes, and who is a lab's controller: whoever holds the lock on its file.

A lock, unlike a process id, dies with its holder and is never somebody else's. A file can be locked
by whoever can open it: these are root's alone to open, or anybody could keep labs from coming and
going. A holder writes its process id into the file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from netlab.errors import EnvironmentLacks, KernelRefused
from netlab.kernel import files, paths

PATIENCE = 30.0
"""Seconds to wait for a lock; what is done under one takes less than one."""

QUIET = 1.0
"""Seconds until it is said who is waited for."""

_LOOKED_AT = 0.5
"""Seconds that a lock may be taken by those who only look whether it is: they let go at once."""

_STEP = 0.005

Tell = Callable[[str], None]
"""Told in a few words what is waited for."""


def _note(text: str) -> None:
    sys.stderr.write(f"note: {text}\n")


@contextlib.contextmanager
def held(path: Path) -> Iterator[bool]:
    """Try to take the lock: True if nobody else has it. Held until the body ends."""
    with _opened(path) as file:
        descriptor = file.fileno()
        deadline = time.monotonic() + _LOOKED_AT
        while not (is_ours := _take(descriptor)) and time.monotonic() < deadline:
            time.sleep(_STEP)
        if is_ours:
            _sign(descriptor)
        yield is_ours


@contextlib.contextmanager
def awaited(
    path: Path,
    *,
    tell: Tell | None = None,
    patience: float = PATIENCE,
    doing: str = "",
    what: str = "",
    create: bool = True,
) -> Iterator[None]:
    """Take the lock, after whoever has it; it may be removed or moved by its holder.

    Tells (or says on standard error) who is waited for; `KernelRefused` after `patience` seconds.
    `doing` is said to others, `what` is said to be locked. `FileNotFoundError` when the file's
    directory is not there, or, unless it is to be created, the file.
    """
    while True:
        with _opened(path, create=create) as file:
            descriptor = file.fileno()
            _wait(descriptor, path, tell or _note, patience, what or str(path))
            if not _is_at(path, descriptor):
                continue  # its holder took it away: there is another one by now, or none
            _sign(descriptor, doing)
            yield
            return


def _is_at(path: Path, descriptor: int) -> bool:
    """Not by its links: with the directory it was in it may be elsewhere, where nobody looks."""
    try:
        there = path.lstat()
    except OSError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))


def remove_unheld(path: Path) -> None:
    """Take the file away, as its holder: of two who wait for it, none is to have it, and the other
    a new one. Nothing happens when somebody has it, or there is none."""
    with contextlib.suppress(FileNotFoundError), _opened(path, create=False) as file:
        if _take(file.fileno()) and _is_at(path, file.fileno()):
            path.unlink()


def make(path: Path) -> None:
    """Have the file there, for `awaited` that is not to create it."""
    _opened(path).close()


def _opened(path: Path, *, create: bool = True) -> io.FileIO:
    """Not a bare descriptor, which an interrupt could leave open, and locked, behind."""

    def opener(name: str, _: int) -> int:
        if create:
            return files.opened(Path(name), os.O_RDWR)
        return os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)

    return io.FileIO(path, "r+", opener=opener)


def _take(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, doing: str = "") -> None:
    """Over what was there: on a full file system, what is given up is not had again."""
    signature = f"{os.getpid()} {doing}".strip()
    os.ftruncate(descriptor, os.pwrite(descriptor, f"{signature}\n".encode(), 0))


def _wait(descriptor: int, path: Path, tell: Tell, patience: float, what: str) -> None:
    began, told = time.monotonic(), False
    while not _take(descriptor):
        waited = time.monotonic() - began
        pid, who = _signature(descriptor)
        if waited > patience:
            hint = f"ps -fp {pid}" if pid else f"fuser {path}"
            raise KernelRefused(f"{who} keeps {what} locked", errno.EWOULDBLOCK, hint=hint)
        if waited > QUIET and not told:
            tell(f"waiting for {who}, which holds {what}")
            told = True
        time.sleep(_STEP)


def _signature(descriptor: int) -> tuple[str, str]:
    """The process id that the holder wrote into the file, and how to speak of it."""
    text = os.pread(descriptor, 100, 0).decode(errors="replace")
    pid, _, doing = text.strip().partition(" ")
    if not pid:
        return "", "another process"
    return pid, f"process {pid} ({doing})" if doing else f"process {pid}"


def holder(path: Path) -> str:
    """Who has the lock, such as `process 17 (netlab up)`; "" if nobody. Anybody may ask."""
    try:
        with path.open() as file:
            if _take(file.fileno(), fcntl.LOCK_SH):
                return ""
            return _signature(file.fileno())[1]
    except FileNotFoundError:
        return ""
    except PermissionError:
        return _seen_holder(path)


def _seen_holder(path: Path) -> str:
    """What the kernel tells everybody of the locks there are."""
    with contextlib.suppress(OSError):
        found = path.stat()
        device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5] == f"{device}:{found.st_ino}":
                return f"process {fields[4]}"
    return ""


def is_held(path: Path) -> bool:
    """True while somebody has the lock; there may be no such file. For root alone to ask."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True


def controller_runs(directory: Path) -> bool:
    """True while a lab's controller lives.

    Root asks its lock; the user whose lab it is, whether it answers. Others are refused:
    `EnvironmentLacks`.
    """
    try:
        return is_held(paths.controller_pid(directory))
    except PermissionError:
        return answers(directory)


def answers(directory: Path) -> bool:
    """True while somebody listens on the socket of the lab's API. `EnvironmentLacks` as above."""
    path = paths.api_socket(directory)
    with socket.socket(socket.AF_UNIX) as asking:
        asking.setblocking(False)
        try:
            asking.connect(os.fspath(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except PermissionError:
            refusal = f"the lab {path.parent.name} is another user's"
            raise EnvironmentLacks(refusal, hint="run it with sudo") from None
        except BlockingIOError:  # so many are waiting for it already
            pass
    return True
