"""What a container has left behind in a pod whose containers share their processes.

Elsewhere a container's processes are those of a PID namespace of its own, and end with its first.
Here that namespace is the pod's, held by a process that does nothing. But each container still has
a mount namespace, which no process of it can leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterable, Iterator

from netlab.kernel import process

_log = logging.getLogger(__name__)

PAUSE = "_pause"
"""The name, which no container of a pod's can have, of the one whose process comes first where all
see each other's: it does nothing, and collects what is orphaned."""

_TRIES, _BETWEEN = 100, 0.01


async def end_strays(pause: int, living: Callable[[], Iterable[int]]) -> None:
    """Kill what sees the processes of `pause` and is in none of the containers whose first
    processes are `living`. Nobody may be starting another there meanwhile."""
    for _ in range(_TRIES):
        with contextlib.ExitStack() as stack:
            found = list(_strays(pause, {pause, *living()}, stack))
            if not found:
                return
            for number in (signal.SIGSTOP, signal.SIGKILL):  # that none has others born meanwhile
                for descriptor in found:
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(descriptor, number)
        await asyncio.sleep(_BETWEEN)
    _log.warning("what a container left beside process %d does not end", pause)


def _strays(pause: int, living: Iterable[int], stack: contextlib.ExitStack) -> Iterator[int]:
    """Descriptors of the processes. Whoever is yet in our own mounts is on his way to theirs."""
    shared = _inode(pause, "pid")
    kept = {0, _inode("self", "mnt"), *(_inode(pid, "mnt") for pid in living)}

    def is_stray(pid: int) -> bool:
        return _inode(pid, "pid") == shared != 0 and _inode(pid, "mnt") not in kept

    for pid in filter(is_stray, process.ids()):
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            stack.callback(os.close, descriptor)
            if is_stray(pid):  # and no other that has its number now
                yield descriptor


def _inode(pid: int | str, kind: str) -> int:
    """0 for a process that has ended."""
    try:
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino  # noqa: PTH116 - called for every process
    except OSError:
        return 0
