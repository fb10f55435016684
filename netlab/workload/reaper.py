"""Child processes in asyncio: all are collected in one place, also those orphaned to us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

from netlab.kernel import syscalls

_PR_SET_CHILD_SUBREAPER = 36


Ended = dict[int, int]
"""How processes ended: exit codes by their ids; negative is the signal that ended one."""


class Reaper:
    """Collects every child of this process, also those that were orphaned to it.

    A container's first process is started by crun, which then ends: so it becomes ours, if we are
    a subreaper. It may end before we have learnt its id, hence what nobody asked for is kept for
    those who were `expecting` somebody just then, and for no others: ids come back.
    """

    def __init__(self) -> None:
        self._awaited: dict[int, asyncio.Future[int]] = {}
        self._expecting: list[Ended] = []
        syscalls.control_process(_PR_SET_CHILD_SUBREAPER, 1)
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.collect)

    @contextlib.contextmanager
    def expecting(self) -> Iterator[Ended]:
        """What ends unclaimed during the body, which may claim it."""
        unclaimed: Ended = {}
        self._expecting.append(unclaimed)
        try:
            yield unclaimed
        finally:
            self._expecting = [each for each in self._expecting if each is not unclaimed]

    def claim(self, pid: int, unclaimed: Ended | None = None) -> asyncio.Future[int]:
        """How a child ends, if it is not among the `unclaimed` already: its exit code."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if unclaimed is not None and pid in unclaimed:
            future.set_result(unclaimed[pid])
        else:
            self._awaited[pid] = future
        return future

    def collect(self) -> None:
        """Wait for all that have ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            future = self._awaited.pop(pid, None)
            if future is not None:
                future.set_result(code)
            for unclaimed in self._expecting if future is None else ():
                unclaimed[pid] = code


class Child:
    """A process that we are to wait for."""

    def __init__(self, pid: int, ended: asyncio.Future[int]) -> None:
        self.pid = pid
        self._ended = ended

    @property
    def has_ended(self) -> bool:
        """True once it has been waited for."""
        return self._ended.done()

    async def wait(self) -> int:
        """The exit code; negative is the signal that ended it."""
        return await asyncio.shield(self._ended)

    def send(self, number: signal.Signals) -> None:
        """Signal it, unless it has ended."""
        if not self._ended.done():  # then nobody else can have its id: we are who collects it
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
