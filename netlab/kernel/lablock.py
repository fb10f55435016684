"""One lock for the life of a lab: who brings it up or takes it down does so alone.

It lies beside the lab's directory, which comes and goes under it. Its holder's process id and what
it does are in the file; a lock that was left by a process that died is free.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from netlab.kernel import basedir, lock, paths

PATIENCE = 120.0
"""Seconds to wait for whoever has it: as long as a large lab may take to start."""


@contextlib.contextmanager
def held(directory: Path, doing: str, *, tell: lock.Tell | None = None) -> Iterator[None]:
    """Have the lab to oneself; `doing` is what others read meanwhile, such as `netlab up`.

    Tells who is waited for; `KernelRefused` names who does not let go. When no lab is left in the
    end, neither is the lock, nor what all labs share if this was the last one.
    """
    path = paths.lab_lock(directory)
    with contextlib.ExitStack() as stack:
        stack.callback(_leave_nothing_of_no_lab, directory)
        while True:
            # The file may go, and all labs' directory with it, before it is ours.
            with contextlib.suppress(FileNotFoundError):
                with basedir.locked(directory.parent, tell):
                    basedir.note(path)
                    lock.make(path)
                what = f"lab {directory.name}"
                awaited = lock.awaited(
                    path, tell=tell, patience=PATIENCE, doing=doing, what=what, create=False
                )
                stack.enter_context(awaited)
                break
        yield


def _leave_nothing_of_no_lab(directory: Path) -> None:
    """Also of one that was given up before it was anybody's; who has it by now keeps it."""
    if not basedir.is_lab(directory):
        basedir.tidy(directory.parent)


def holder(directory: Path) -> str:
    """Who brings the lab up or takes it down right now: `process 17 (netlab up)`; "" if nobody."""
    return lock.holder(paths.lab_lock(directory))
