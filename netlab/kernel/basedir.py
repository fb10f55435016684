"""The base directories that all labs of a machine share, made by the first and gone with the last.

They are those of labs and of names of namespaces (`paths.run_dir`, `paths.netns_dir`). What was
there before stays, and what others put there is theirs: of a lab is what netlab has mounted there,
or has noted before it made it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import signal
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from netlab.errors import KernelRefused, UsageError
from netlab.kernel import files, lock, mountinfo, paths

# Which directories netlab made: labs' own, and of the two base directories those that the last lab
# is to remove.
_MADE = ".made"
_LOCK = ".lock"

SOURCE = "netlab"
"""What /proc/mounts says of a lab's tmpfs."""


def lab_dirs() -> list[Path]:
    """The directories of all labs on this machine, by name; what else lies there is not ours."""
    base = paths.run_dir()
    try:
        entries = sorted(base.iterdir())
    except FileNotFoundError:
        return []
    return _labs(base, entries)


def is_lab(directory: Path) -> bool:
    """Whether netlab made it, and it is there; who is not root is told of what is mounted alone."""
    return bool(_labs(directory.parent, [directory]))


def _labs(base: Path, entries: Iterable[Path]) -> list[Path]:
    """Those of a base directory's entries that are labs'."""
    there = [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]
    ours = {*labs_mounted(), *_made(base)} if there else set()
    return [entry for entry in there if entry in ours or Path(os.path.realpath(entry)) in ours]


def labs_mounted() -> list[Path]:
    """The mount points of all labs that this process sees, of whatever base directory."""
    found = [one.point for one in mountinfo.here() if (one.kind, one.source) == ("tmpfs", SOURCE)]
    return found[::-1]


def make_lab(directory: Path) -> None:
    """Make the directory of a lab, noted beforehand. `KernelRefused` as `refuse_others` has it.

    To be called under `locked`.
    """
    refuse_others(directory)
    note(directory)
    files.directory(directory, files.PRIVATE)


def refuse_others(directory: Path) -> None:
    """`KernelRefused` where what is to be a lab's directory is there, and is somebody else's."""
    if os.path.lexists(directory) and not is_lab(directory):
        raise KernelRefused(
            f"{directory} is there, and no lab's",
            errno.EEXIST,
            hint=f"another name for the lab, or another directory in {paths.RUN_VARIABLE}",
        )


def refuse_long(directory: Path) -> None:
    """`UsageError` where the kernel would not take the paths of a lab's sockets, without which
    nothing of it could be reached."""
    longest = max(paths.sockets(directory), key=lambda path: len(os.fsencode(path)))
    if (length := len(os.fsencode(longest))) > paths.LONGEST_SOCKET:
        raise UsageError(
            f"the path of a socket, {longest}, has {length} bytes; "
            f"the kernel takes {paths.LONGEST_SOCKET}",
            hint=f"a shorter name for the lab, or for the directory in {paths.RUN_VARIABLE}",
        )


def note(path: Path) -> None:
    """What is about to be made in a base directory is netlab's. To be called under `locked`."""
    if path not in _made(path.parent):
        _note_made(path.parent, path)


def forget_lab(directory: Path) -> None:
    """Note no longer a lab's directory that is gone. To be called under `locked`."""
    _keep_notes(directory.parent, _made(directory.parent) - {directory})


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
    except (FileNotFoundError, PermissionError):
        return set()


def _keep_notes(base: Path, made: set[Path]) -> None:
    if made != _made(base):
        files.write(base / _MADE, "".join(f"{path}\n" for path in sorted(made)))


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
    made = {each for each in _made(base) if each.exists()}
    _keep_notes(base, made)
    others = [entry for entry in base.iterdir() if entry.name not in (_MADE, _LOCK)]
    if not made.isdisjoint(others) or _labs(base, others):
        return
    with _interrupted_later():
        _remove(base, made, is_empty=not others)


def _remove(base: Path, made: set[Path], *, is_empty: bool) -> None:
    for directory in made - {base}:
        with contextlib.suppress(OSError):  # somebody else's names are in it: it stays
            directory.rmdir()
    if base in made and is_empty:  # out of the way first: a lab that comes now makes its own
        _remove_aside(base.rename(base.with_name(f".{base.name}.{secrets.token_hex(8)}")))
    else:
        _remove_notes(base)


def _remove_aside(gone: Path) -> None:
    """Whoever looked the base directory up just before may still make a note or a lock in it; he
    sees that it is not where it was, and nobody else comes here any more."""
    while True:
        _remove_notes(gone)
        try:
            gone.rmdir()
        except OSError:
            if any(entry.name not in (_MADE, _LOCK) for entry in gone.iterdir()):
                raise
        else:
            return


def _remove_notes(directory: Path) -> None:
    (directory / _MADE).unlink(missing_ok=True)
    (directory / _LOCK).unlink(
        missing_ok=True
    )  # last of all: who waits for it sees that it is gone


def _drop_locks_of_nobody(base: Path) -> None:
    """A process that was killed leaves the lock of a lab that there is not, or not any more."""
    for path in _made(base):
        if path.match(paths.LAB_LOCKS) and not is_lab(paths.lab_of_lock(path)):
            lock.remove_unheld(path)


@contextlib.contextmanager
def _interrupted_later() -> Iterator[None]:
    """Keep Ctrl-C until the body is over, whose steps are no use without each other."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
