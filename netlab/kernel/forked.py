"""Children that run no other program, and what they tell of themselves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NoReturn

from netlab.kernel import files, process, syscalls
from netlab.kernel.readiness import is_ready

# Places among the fields of /proc/PID/stat behind the name, see proc(5).
_ARG_START, _ARG_END = 48 - 3, 49 - 3

_PR_SET_PDEATHSIG = 1


class _Forked:
    """A child that runs no other program, as `subprocess.Popen` has it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None
        self._looking = threading.Lock()  # any thread may look, and the kernel tells only one

    def poll(self) -> int | None:
        self._look(os.WNOHANG)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        with contextlib.suppress(ProcessLookupError):  # another thread has collected it
            with files.closing(os.pidfd_open(self.pid)) as descriptor:
                ended = is_ready(descriptor, timeout)
            if not ended:
                raise subprocess.TimeoutExpired([str(self.pid)], timeout or 0.0)
        self._look(0)
        assert self._code is not None
        return self._code

    def _look(self, flags: int) -> None:
        with self._looking:
            if self._code is not None:
                return
            pid, status = os.waitpid(self.pid, flags)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)


def fork(run: Callable[[], None], keep: Collection[int]) -> process.Process:
    """Have a child do this and end: with our mark, in a session of its own, with what our output is
    and of our other descriptors with those to `keep`.

    For a time when we have no other thread: of those the child would have the locks alone.
    """
    pid = os.fork()
    if not pid:
        _child(run, keep)
    return process.keep(_Forked(pid))


def _child(run: Callable[[], None], keep: Collection[int]) -> NoReturn:
    code = 1
    try:
        os.setsid()
        _let_go_of_others(keep)
        process.disown()
        run()
        code = 0
        sys.stdout.flush()
    except BaseException:  # whatever it is: from here the parent's code would go on
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def call_ourselves(title: str) -> None:
    """Have `ps` show this, which need not be what the process began as."""
    fields = Path("/proc/self/stat").read_bytes().rpartition(b") ")[2].split()
    start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    text = title.encode()[: end - start - 1].ljust(end - start, b"\0")
    with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
        memory.seek(start)
        memory.write(text)
    files.tell("/proc/self/comm", title)


def _let_go_of_others(keep: Collection[int]) -> None:
    """Leave open what our output is, and these; there is nothing to read."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208
        if descriptor > 2 and descriptor not in keep:
            with contextlib.suppress(OSError):  # the one by which we list
                os.close(descriptor)


def die_with(parent: int) -> bool:
    """Be killed when the thread of the parent that has made us ends; false if it has already."""
    syscalls.control_process(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def outlive() -> None:
    """The contrary of `die_with`."""
    syscalls.control_process(_PR_SET_PDEATHSIG, 0)
