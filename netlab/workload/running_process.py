"""A process in a pod, as the runtime has it: its input, its outputs, its end.

The runtime is its parent: it has its exit code and its terminal.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable

from netlab.workload.child import Output, StdinPipe, kill_session
from netlab.workload.control import Json
from netlab.workload.crilog import Stream
from netlab.workload.crun import NOT_FOUND, Started, StartFailed
from netlab.workload.reaper import Child

UNSEEN_LIMIT = 64 * 1024
DRAIN_SECONDS = 10.0  # all writers are dead by then: only a reader that dawdles is waited for
_SMALL = 1024  # a piece of output that is joined with the next
_OVERHEAD = 128  # what any piece takes besides its bytes
_EXEC_DRAIN_SECONDS = 0.5  # what a command left running may hold its outputs open without end

Sink = Callable[[Stream, bytes], Awaitable[None]]


class RunningProcess:
    """A process in a pod with its input and outputs, from its start until it has ended.

    Output goes to whoever is attached; what nobody sees yet is held for who comes first.
    """

    def __init__(self, request: Json) -> None:
        self._request = request
        self._child: Child | None = None
        self._stdin: StdinPipe | None = None
        self._tty = False
        self._pumps: list[asyncio.Task[None]] = []
        self._wanted = asyncio.Event()
        self._delivering = 0
        self._begun, self._ended = asyncio.Event(), asyncio.Event()
        self._sinks: set[Sink] = set()
        self._catching_up = asyncio.Lock()
        self._unseen: deque[tuple[Stream, bytes]] = deque()
        self._unseen_size = 0
        self._finish: asyncio.Task[None] | None = None
        self.started = self.finished = 0.0
        self.returncode: int | None = None
        self.message = ""

    @property
    def has_ended(self) -> bool:
        """True once the process is gone and all its output is out."""
        return self._ended.is_set()

    @property
    def ends_with_input(self) -> bool:
        """Whether the end of the input of one who is attached is the end of its own."""
        return True

    def state(self) -> Json:
        """How it is: exit code (negative: the signal), or why it never ran."""
        return {
            "init": self._child.pid if self._child is not None else 0,
            "started": self.started,
            "finished": self.finished,
            "returncode": self.returncode,
            "message": self.message,
        }

    async def begin(self, starting: Awaitable[Started]) -> None:
        """Take over what is being started; one that could not be has ended, with a message."""
        self.started = time.time()
        try:
            started = await starting
        except StartFailed as error:
            await self._never_ran(error)
            return
        self._child = started.child
        names: tuple[Stream, Stream] = ("stdout", "stderr")
        self._tty = len(started.ends.outputs) == 1
        for stream, descriptor in zip(names, started.ends.outputs, strict=False):
            output = await Output.of(descriptor)
            self._pumps.append(asyncio.create_task(self._pump(stream, output)))
        if started.ends.input is not None:
            self._stdin = await StdinPipe.of(started.ends.input, tty=self._tty)
        self._finish = asyncio.create_task(self._until_ended(started.child))
        self._begun.set()

    async def _never_ran(self, error: StartFailed) -> None:
        hint = self._request["hint"] if error.code == NOT_FOUND else ""
        self.message = f"{error.message}\n{hint}".strip()
        await self._spread("stderr", f"{self.message}\n".encode())
        self._over(error.code)

    async def _pump(self, stream: Stream, output: Output) -> None:
        try:
            await self._wanted.wait()
            while data := await output.read():
                self._delivering += 1
                await self._spread(stream, data)
                self._delivering -= 1
        finally:
            output.close()

    async def _spread(self, stream: Stream, data: bytes) -> None:
        async with self._catching_up:  # who has just come sees first what was before
            if not self._sinks:
                self._keep(stream, data)
        for sink in tuple(self._sinks):
            await sink(stream, data)

    def _keep(self, stream: Stream, data: bytes) -> None:
        unseen = self._unseen
        if unseen and unseen[-1][0] == stream and len(unseen[-1][1]) < _SMALL:
            data = self._let_slip(unseen.pop()) + data
        unseen.append((stream, data))
        self._unseen_size += len(data) + _OVERHEAD
        while self._unseen_size > UNSEEN_LIMIT and len(unseen) > 1:
            self._let_slip(unseen.popleft())

    def _let_slip(self, piece: tuple[Stream, bytes]) -> bytes:
        self._unseen_size -= len(piece[1]) + _OVERHEAD
        return piece[1]

    async def _until_ended(self, child: Child) -> None:
        returncode = await child.wait()
        try:
            if self._pumps:
                await self._drain()
            for pump in self._pumps:
                pump.cancel()
        finally:
            self._over(returncode)

    async def _drain(self) -> None:
        """Wait for what is still to come of its outputs, now that it has ended."""
        await asyncio.wait(self._pumps, timeout=DRAIN_SECONDS)

    def _over(self, returncode: int) -> None:
        """Whatever goes wrong here: somebody waits for the end."""
        self.returncode, self.finished = returncode, time.time()
        try:
            self._let_go(returncode)
        finally:
            self._begun.set()
            self._ended.set()

    def _let_go(self, returncode: int) -> None:  # noqa: ARG002 - for those that have more
        if self._stdin is not None:
            self._stdin.abort()

    async def wait(self) -> Json:
        """The state after the end."""
        await self._ended.wait()
        return self.state()

    # -- attaching -------------------------------------------------------------------------

    async def attach(self, sink: Sink) -> None:
        """Give all output to `sink` (awaited), first what nobody saw."""
        async with self._catching_up:
            unseen, self._unseen, self._unseen_size = self._unseen, deque(), 0
            for stream, data in unseen:
                await sink(stream, data)
            self._sinks.add(sink)
        self._wanted.set()

    async def detach(self, sink: Sink) -> None:
        """The end of `attach`."""
        self._sinks.discard(sink)

    async def write(self, data: bytes) -> None:
        """Input for the process, waiting while it does not read; dropped when it takes none."""
        if self._stdin is not None:
            await self._stdin.write(data)

    async def close_stdin(self) -> None:
        """The input's end: on a terminal that is Ctrl-D."""
        if self._stdin is not None:
            await self._stdin.end()

    def resize(self, columns: int, rows: int) -> None:
        """The terminal's size, if there is one."""
        if self._stdin is not None:
            self._stdin.resize(columns, rows)


class Executed(RunningProcess):
    """A command beside a container's own: read as far as who asked for it reads, and no longer."""

    async def _drain(self) -> None:
        """Only what waits to be read counts: the command may have left others with its outputs."""
        while (await asyncio.wait(self._pumps, timeout=_EXEC_DRAIN_SECONDS))[1]:
            if not self._delivering:
                return

    async def kill(self) -> Json:
        """Kill it with all of its session; returns the state after the end."""
        await self._begun.wait()
        if self._child is not None and not self._child.has_ended:
            # crun begins it, not always in the process that remains; it keeps the number from
            # being given to somebody else, as it is yet to be waited for.
            session = os.getsid(self._child.pid)
            if session != os.getsid(0):
                kill_session(session)
            self._child.send(signal.SIGKILL)
        self._wanted.set()
        return await self.wait()
