"""A child process's inputs and outputs in asyncio, and the certain end of a session."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Iterable
from typing import IO

CHUNK = 65536


def kill_session(leader: int) -> None:
    """Kill a session leader and whatever still belongs to its session.

    One that was just about to fork when it was killed has a child that no list had: so look again
    until there is nobody new.
    """
    killed: set[int] = set()
    while new := {leader, *_members(leader)} - killed:
        for pid in new:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed |= new


def _members(session: int) -> Iterable[int]:
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are enough, and there are many
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError):
                if os.getsid(int(entry)) == session:
                    yield int(entry)


class Flow(asyncio.Protocol):
    """Lets a writer wait while a pipe is full: `await flow.drained()`."""

    def __init__(self) -> None:
        self._ready = asyncio.Event()
        self._ready.set()

    def pause_writing(self) -> None:
        """The buffer is full."""
        self._ready.clear()

    def resume_writing(self) -> None:
        """There is room again."""
        self._ready.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Nobody reads any more: nobody needs to wait."""
        self._ready.set()

    async def drained(self) -> None:
        """Return once there is room, or nobody left to read."""
        await self._ready.wait()


class StdinPipe:
    """A process's standard input, from our side; a terminal's input also has the terminal."""

    def __init__(
        self, file: IO[bytes], transport: asyncio.WriteTransport, flow: Flow, *, tty: bool
    ) -> None:
        self._file = file
        self._transport = transport
        self._flow = flow
        self._tty = tty

    @staticmethod
    async def of(descriptor: int, *, tty: bool) -> StdinPipe:
        """Take over a descriptor (a pipe's end, or a terminal)."""
        file = os.fdopen(descriptor, "wb", buffering=0)
        transport, flow = await asyncio.get_running_loop().connect_write_pipe(Flow, file)
        return StdinPipe(file, transport, flow, tty=tty)

    async def write(self, data: bytes) -> None:
        """Write, waiting while the process does not read; dropped when it never will."""
        if not self._transport.is_closing():
            self._transport.write(data)
            await self._flow.drained()

    async def end(self) -> None:
        """End of file, after what was written; on a terminal that is Ctrl-D."""
        if self._tty:
            await self.write(b"\x04")
        elif not self._transport.is_closing():
            self._transport.close()

    def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal its size, if it is one: its foreground process gets SIGWINCH."""
        if self._tty and not self._transport.is_closing():
            size = struct.pack("HHHH", rows, columns, 0, 0)
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._file.fileno(), termios.TIOCSWINSZ, size)

    def abort(self) -> None:
        """Let go at once, of what was not yet written too."""
        if not self._transport.is_closing() or self._transport.get_write_buffer_size():
            self._transport.abort()


class _Reading(asyncio.StreamReaderProtocol):
    """A terminal's end is an error (EIO): an end all the same, and what came before it counts."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        super().connection_lost(None if isinstance(exc, OSError) else exc)


class Output:
    """One output of a process, from our side."""

    def __init__(self, transport: asyncio.ReadTransport, stream: asyncio.StreamReader) -> None:
        self._transport = transport
        self._stream = stream

    @staticmethod
    async def of(descriptor: int) -> Output:
        """Take over a descriptor (a pipe's end, or a terminal)."""
        stream = asyncio.StreamReader(limit=CHUNK)
        file = os.fdopen(descriptor, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: _Reading(stream), file
        )
        return Output(transport, stream)

    async def read(self) -> bytes:
        """Some bytes, as they come; none at the end. What is not read holds the process back."""
        return await self._stream.read(CHUNK)

    def close(self) -> None:
        """Let go of it."""
        self._transport.close()


class StdioEnds:
    """Our end and the process's end of its input and outputs; its ends are closed by `close`.

    All are the process's own: nothing of the machine's, not even /dev/null, as its inode would be
    given to the pod's user. A process with a terminal gets that later (`terminal`), and until then
    a pipe that leads nowhere.
    """

    def __init__(self, *, tty: bool, stdin: bool) -> None:
        self.stdin, source = os.pipe()
        out, self.stdout = os.pipe()
        err, self.stderr = os.pipe()
        self.input: int | None = source
        self.outputs = [out, err]
        if tty or not stdin:
            os.close(source)
            self.input = None

    def give_to(self, user: int, group: int) -> None:
        """Let somebody (by the machine's ids) open the process's ends by /dev/stdout and so on."""
        for descriptor in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(OSError):  # without user namespaces an id may not be there
                os.fchown(descriptor, user, group)

    def terminal(self, ours: int) -> None:
        """Our end of the terminal that the process has got."""
        for descriptor in self.outputs:
            os.close(descriptor)
        self.outputs, self.input = [ours], os.dup(ours)

    def close(self) -> None:
        """The process has its ends: close ours of them."""
        for descriptor in (self.stdin, self.stdout, self.stderr):
            os.close(descriptor)

    def discard(self) -> None:
        """There is no process: close our ends too."""
        for descriptor in (*self.outputs, self.input):
            if descriptor is not None:
                os.close(descriptor)
