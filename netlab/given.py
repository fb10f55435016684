"""Files that people name on command lines: none of them keeps a command waiting for ever.

A named pipe is read like a file as soon as somebody has opened it to write into it.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from pathlib import Path
from typing import BinaryIO

PATIENCE = 5.0
"""Seconds. A shell opens a pipe for its command at once; that is then waited for, however long it
takes."""


def opened(path: Path | str) -> BinaryIO:
    """A file, to be read. `TimeoutError` for a pipe that nobody opens to write into it."""
    return open(path, "rb", opener=_opener)


def _opener(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            _await_writer(descriptor, path)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _await_writer(descriptor: int, path: str) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if poll.poll(PATIENCE * 1000):
        return
    try:
        os.read(descriptor, 1)
    except BlockingIOError:  # he is there, and has not written yet
        return
    words = f"nobody writes into this pipe, for which {PATIENCE:g} seconds were waited"
    raise TimeoutError(errno.ETIMEDOUT, words, path)
