"""Who is a lab's controller: whoever holds the lock on its file.

A lock, unlike a process id, dies with its holder and is never somebody else's. Anybody who may read
the file can ask.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def held(path: Path) -> Iterator[bool]:
    """Try to take the lock: True if nobody else has it. Held until the body ends.

    The file then says the holder's process id.
    """
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield True


def is_held(path: Path) -> bool:
    """True while somebody has the lock; there may be no such file."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
