"""The base directories that all labs of a machine share, made by the first and gone with the last.

They are those of labs and of names of namespaces (`paths.run_dir`, `paths.netns_dir`). What was
there before stays.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

from netlab.kernel import files, lock, paths

# Which of the two base directories netlab made, so that the last lab removes those and no other.
_MADE = ".made"
_LOCK = ".lock"


@contextlib.contextmanager
def locked(base: Path, tell: lock.Tell | None = None) -> Iterator[None]:
    """Hold the base directory: labs that come and go at the same time do so one by one.

    Not by a lock on itself, which whoever can list it could hold.
    """
    with contextlib.ExitStack() as stack:
        while True:
            with contextlib.suppress(FileNotFoundError):  # the last lab takes it along right now
                is_ours = _make(base, base)
                stack.enter_context(lock.awaited(base / _LOCK, tell=tell))
                break
        if is_ours and base not in _made(base):  # a lab went between our making it and our note
            _note_made(base, base)
        _make(base, paths.netns_dir())
        if base in _made(base):
            base.chmod(files.PUBLIC)
        yield


def _make(base: Path, directory: Path) -> bool:
    """Whether it was not there, and we have made it."""
    is_ours = not directory.exists()
    if is_ours:
        with _interrupted_later():
            files.directory(directory, files.PRIVATE if directory == base else files.PUBLIC)
            _note_made(base, directory)
    return is_ours


def _note_made(base: Path, directory: Path) -> None:
    descriptor = files.opened(base / _MADE, os.O_WRONLY | os.O_APPEND)
    with os.fdopen(descriptor, "w") as note:
        note.write(f"{directory}\n")


def _made(base: Path) -> set[Path]:
    try:
        return {Path(line) for line in (base / _MADE).read_text().splitlines()}
    except FileNotFoundError:
        return set()


def tidy(base: Path) -> None:
    """Take away what an `up` that was killed at once has made for all labs, if there is none."""
    if base.exists() and not _removed_unfinished(base):
        with locked(base):
            remove_if_unused(base)


def _removed_unfinished(base: Path) -> bool:
    """Whether it was as one is whose maker was killed before his first note: empty, and private."""
    with contextlib.suppress(OSError):  # it is not empty, or gone by now
        if stat.S_IMODE(base.stat().st_mode) == files.PRIVATE:
            base.rmdir()
            return True
    return False


def remove_if_unused(base: Path) -> None:
    """Take away the base directories that netlab made, if no lab is there or is being made.

    To be called under `locked`, or another lab could come meanwhile.
    """
    _drop_locks_of_nobody(base)
    if any(entry.name not in (_MADE, _LOCK) for entry in base.iterdir()):
        return
    with _interrupted_later():
        _remove(base, _made(base))


def _remove(base: Path, made: set[Path]) -> None:
    for directory in made - {base}:
        with contextlib.suppress(OSError):  # somebody else's names are in it: it stays
            directory.rmdir()
    gone = base
    if base in made:  # out of the way first: a lab that comes now makes its own
        gone = base.rename(base.with_name(f".{base.name}.{os.getpid()}"))
    (gone / _MADE).unlink(missing_ok=True)
    (gone / _LOCK).unlink()  # last of all: who waits for it sees that it is gone
    if gone != base:
        gone.rmdir()


def _drop_locks_of_nobody(base: Path) -> None:
    """A process that was killed leaves the lock of a lab that there is not, or not any more."""
    for path in base.glob(paths.LAB_LOCKS):
        if not paths.lab_of_lock(path).exists() and not lock.is_held(path):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _interrupted_later() -> Iterator[None]:
    """Keep Ctrl-C until the body is over, whose steps are no use without each other."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
