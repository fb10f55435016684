"""Where the labs of one pytest process are, and what one that was killed has left.

    /run/netlab-tests/            for all, beside the directory of labs that `netlab up` has
        .lock                     held by who begins or ends
        <pid>-<number>/           one process's: a worker of pytest-xdist has its own
            lock                  held as long as it lives, by no child of its
            labs/  netns/         its NETLAB_RUN and NETLAB_NETNS_DIR
            files/                the files of labs that are written in Python

A lock dies with its holder. So a directory whose lock nobody holds is one of a process that was
killed, and `netlab down` takes down what lies there, by the marks of its labs.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from netlab.kernel import files, lock, paths

_LOCK = ".lock"
_HELD = "lock"
_SECONDS = 120.0


def base_directory() -> Path:
    """Beside the directory of labs that this process would have otherwise."""
    own = paths.run_dir()
    return own.with_name(f"{own.name}-tests")


@contextlib.contextmanager
def own(base: Path) -> Iterator[tuple[Path, list[str]]]:
    """A directory of this process, and a line for each lab that others left and that is down now.

    Within, all that this process does with labs, and what it starts, is done there.
    """
    with contextlib.ExitStack() as stack:
        with _locked(base):
            swept = _swept(base)
            directory = base / f"{os.getpid()}-{secrets.token_hex(3)}"
            files.directory(directory, files.PRIVATE)
            stack.callback(_left, base, directory)
            stack.enter_context(lock.held(directory / _HELD))
        stack.enter_context(_environment(directory))
        yield directory, swept


@contextlib.contextmanager
def _locked(base: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        while True:
            with contextlib.suppress(FileNotFoundError):  # the last one takes it along right now
                files.directory(base, files.PRIVATE)
                taken = lock.awaited(base / _LOCK, patience=_SECONDS, tell=lambda _: None)
                stack.enter_context(taken)
                break
        yield


def _left(base: Path, directory: Path) -> None:
    """Take a process's directory away, whose labs are down, and with the last one that of all."""
    with _locked(base):
        _remove(directory)
        if all(entry.name == _LOCK for entry in base.iterdir()):
            (base / _LOCK).unlink()
            with contextlib.suppress(OSError):  # the next one has made himself a lock in it by now
                base.rmdir()


def _remove(directory: Path) -> None:
    """But for labs that resisted: they are mounts, and the next run tries again."""
    shutil.rmtree(directory / "files", ignore_errors=True)
    (directory / _HELD).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory.rmdir()


def _swept(base: Path) -> list[str]:
    """Take down what processes have left that are no more."""
    gone = [one for one in base.iterdir() if one.is_dir() and not lock.is_held(one / _HELD)]
    return [line for directory in gone for line in _swept_one(directory)]


def _swept_one(directory: Path) -> Iterator[str]:
    labs = directory / "labs"
    names = sorted(one.name for one in labs.iterdir() if one.is_dir()) if labs.exists() else []
    left = f"left by process {directory.name.partition('-')[0]}, which was killed"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "netlab", "down", "--all"],
        env=os.environ | _variables(directory),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:  # those of this run can be all the same
        yield f"cannot take down what was {left}: {done.stderr.strip()}"
        return
    _remove(directory)
    yield from (f"took down lab {name}, {left}" for name in names)


def _variables(directory: Path) -> dict[str, str]:
    return {
        paths.RUN_VARIABLE: str(directory / "labs"),
        paths.NETNS_DIR_VARIABLE: str(directory / "netns"),
    }


@contextlib.contextmanager
def _environment(directory: Path) -> Iterator[None]:
    """Also for what tests start: `netlab status` in a debugger finds the labs."""
    ours = _variables(directory)
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
