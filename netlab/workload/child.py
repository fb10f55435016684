"""Child processes in asyncio: started in a namespace, waited for by pidfd, ended for certain."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from netlab.kernel import syscalls
from netlab.kernel.netns import entered

CLONE_NEWPID = 0x20000000
_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441

CHUNK = 65536


@contextlib.contextmanager
def children_in(pid_namespace: int | None) -> Iterator[None]:
    """Let the children of this thread be born in a PID namespace: a new one, or (id) a process's.

    The first child in a new one is its init. It is our own child all the same, so its exit code
    comes to us: `unshare --fork` of util-linux 2.38 garbles that of a killed one.
    """
    home = os.open("/proc/thread-self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if pid_namespace is None:
            syscalls.unshare(CLONE_NEWPID)
        else:
            _join(pid_namespace)
        try:
            yield
        finally:
            syscalls.setns(home, CLONE_NEWPID)
    finally:
        os.close(home)


def _join(pid: int) -> None:
    descriptor = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(descriptor, CLONE_NEWPID)
    finally:
        os.close(descriptor)


class Child:
    """A process we started: the init of a new PID namespace, or beside `init` in its namespace.

    Descriptor 3 of it is `third`. (posix_spawn can place a descriptor there, subprocess cannot.)
    It is to become a session leader by itself: setsid(1) would fork if we had made it one.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        stdin: int,
        stdout: int,
        stderr: int,
        third: int,
        netns: int | Path | None = None,
        init: int | None = None,
    ) -> None:
        places = enumerate((stdin, stdout, stderr, third))
        with entered(netns), children_in(init):
            self.pid = os.posix_spawn(
                argv[0],
                list(argv),
                env,
                file_actions=[(os.POSIX_SPAWN_DUP2, ours, place) for place, ours in places],
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # ignored by Python, not by programs
            )
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._descriptor = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._descriptor)
        self._ended.set_result(os.waitstatus_to_exitcode(status))

    @property
    def has_ended(self) -> bool:
        """True once it has been waited for."""
        return self._ended.done()

    async def wait(self) -> int:
        """The exit code; negative is the signal that ended it."""
        return await asyncio.shield(self._ended)

    def send(self, number: signal.Signals) -> None:
        """Signal it, unless it has ended."""
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)


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


def open_terminal(multiplexer: str = "/dev/ptmx") -> tuple[int, int]:
    """A new terminal: (our end, the process's end). `multiplexer` may be another pod's."""
    ours = os.open(multiplexer, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(ours, _TIOCSPTLCK, struct.pack("i", 0))
        theirs = fcntl.ioctl(ours, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except BaseException:
        os.close(ours)
        raise
    return ours, theirs


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


class Input:
    """A process's standard input, from our side; a terminal's input also has the terminal."""

    def __init__(
        self, file: IO[bytes], transport: asyncio.WriteTransport, flow: Flow, *, tty: bool
    ) -> None:
        self._file = file
        self._transport = transport
        self._flow = flow
        self._tty = tty

    @staticmethod
    async def of(descriptor: int, *, tty: bool) -> Input:
        """Take over a descriptor (a pipe's end, or a terminal)."""
        file = os.fdopen(descriptor, "wb", buffering=0)
        transport, flow = await asyncio.get_running_loop().connect_write_pipe(Flow, file)
        return Input(file, transport, flow, tty=tty)

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
            lambda: asyncio.StreamReaderProtocol(stream), file
        )
        return Output(transport, stream)

    async def read(self) -> bytes:
        """Some bytes, as they come; none at the end. What is not read holds the process back."""
        try:
            return await self._stream.read(CHUNK)
        except OSError:  # a terminal's end is EIO
            return b""

    def close(self) -> None:
        """Let go of it."""
        self._transport.close()


class Ends:
    """Our end and the process's end of its input and outputs; its ends are closed by `close`."""

    def __init__(self, *, tty: bool, stdin: bool, multiplexer: str = "/dev/ptmx") -> None:
        self.input: int | None = None
        self.outputs: list[int] = []
        if tty:
            ours, theirs = open_terminal(multiplexer)
            self.stdin = self.stdout = self.stderr = theirs
            self.outputs = [ours]
            self.input = os.dup(ours)
            return
        if stdin:
            self.stdin, self.input = os.pipe()
        else:
            self.stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        out, self.stdout = os.pipe()
        err, self.stderr = os.pipe()
        self.outputs = [out, err]

    def close(self) -> None:
        """The process has its ends: close ours of them."""
        for descriptor in {self.stdin, self.stdout, self.stderr}:
            os.close(descriptor)

    def discard(self) -> None:
        """There is no process: close our ends too."""
        for descriptor in (*self.outputs, self.input):
            if descriptor is not None:
                os.close(descriptor)
