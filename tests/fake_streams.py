"""A `PodStreams` without pods: a handful of programs in memory, for tests of what uses streams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Sequence,
)
from datetime import UTC, datetime

from msgspec import Struct, field

from netlab.agents.streams import TcpPodConnection
from netlab.client.kubelets import (
    ContainerRef,
    LogOptions,
    PodConnection,
    PodRef,
    PodStreams,
    ProcessStream,
)
from netlab.errors import ApiError, BadRequest

Program = Callable[["FakeProcess"], Awaitable[int]]
Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


class FakeProcess:
    """A program joined to bounded queues; `killed` and `sizes` tell what was done to it."""

    def __init__(self, argv: Sequence[str], program: Program) -> None:
        self.argv = tuple(argv)
        self.sizes: list[tuple[int, int]] = []
        self.killed = False
        self.input: asyncio.Queue[bytes] = asyncio.Queue(4)
        self.output: asyncio.Queue[bytes] = asyncio.Queue(4)
        self.errors: asyncio.Queue[bytes] = asyncio.Queue(4)
        self.resized = asyncio.Event()
        self._task = asyncio.create_task(self._run(program))

    async def _run(self, program: Program) -> int:
        code = await program(self)
        await self.output.put(b"")
        await self.errors.put(b"")
        return code

    @property
    def is_over(self) -> bool:
        """Whether the program has returned, or was killed."""
        return self._task.done()

    async def write(self, data: bytes) -> None:
        """Bytes for the program; waits while it has four unread."""
        await self.input.put(data)

    async def close_stdin(self) -> None:
        """Empty bytes are the end of the input."""
        await self.input.put(b"")

    async def stdout(self) -> AsyncIterator[bytes]:
        """What the program puts into `output`."""
        while chunk := await self.output.get():
            yield chunk

    async def stderr(self) -> AsyncIterator[bytes]:
        """What the program puts into `errors`."""
        while chunk := await self.errors.get():
            yield chunk

    async def resize(self, columns: int, rows: int) -> None:
        """Remembered, and told to a program that waits for it."""
        self.sizes.append((columns, rows))
        self.resized.set()

    async def wait(self) -> int:
        """What the program returned."""
        return await asyncio.shield(self._task)

    async def kill(self) -> None:
        """Cancel the program."""
        self.killed = True
        self._task.cancel()
        await asyncio.wait({self._task})


async def echo(process: FakeProcess) -> int:
    """Its arguments on stdout."""
    await process.output.put(" ".join(process.argv[1:]).encode() + b"\n")
    return 0


async def cat(process: FakeProcess) -> int:
    """stdin to stdout until its end."""
    while data := await process.input.get():
        await process.output.put(data)
    return 0


async def fail(process: FakeProcess) -> int:
    """A complaint on stderr, and the exit code that the first argument says."""
    await process.errors.put(b"it failed\n")
    return int(process.argv[1])


async def sleep(_process: FakeProcess) -> int:
    """Nothing, for ever."""
    await asyncio.Event().wait()
    return 0


async def size(process: FakeProcess) -> int:
    """The first terminal size that it is told, on stdout."""
    await process.resized.wait()
    await process.output.put(b"%dx%d\n" % process.sizes[-1])
    return 0


PROGRAMS: dict[str, Program] = {
    "echo": echo, "cat": cat, "fail": fail, "sleep": sleep, "size": size,
}  # fmt: skip


class FakeStreams(Struct):
    """`PodStreams` of pods that can run `PROGRAMS`; attach joins the program `main`.

    `lines` are the log of every container, as (epoch seconds, text).
    """

    main: str = "cat"
    lines: list[tuple[float, str]] = field(default_factory=list)
    processes: list[FakeProcess] = field(default_factory=list)
    logs_open: int = 0
    connections: list[asyncio.Task[None]] = field(default_factory=list)
    servers: dict[tuple[str, int], Server] = field(default_factory=dict)

    def of(self, node: str) -> PodStreams:
        """They are on every node."""
        del node
        return self

    async def exec(
        self, at: ContainerRef, argv: Sequence[str], *, stdin: bool, tty: bool
    ) -> ProcessStream:
        """Start the program that argv names."""
        del at, stdin, tty
        if argv[0] not in PROGRAMS:
            raise BadRequest(f'exec: "{argv[0]}": executable file not found in $PATH')
        self.processes.append(FakeProcess(argv, PROGRAMS[argv[0]]))
        return self.processes[-1]

    async def attach(self, at: ContainerRef, *, stdin: bool, tty: bool) -> ProcessStream:
        """Start `main` as if it had been running."""
        return await self.exec(at, [self.main, "attached"], stdin=stdin, tty=tty)

    async def dial(self, pod: PodRef, port: int) -> PodConnection:
        """Port 7 echoes until the end of what it gets; nobody listens on the others."""
        del pod
        if port != 7:
            raise ApiError("connect: connection refused")
        ours, theirs = socket.socketpair()
        self.connections.append(asyncio.create_task(_echo(theirs)))
        return TcpPodConnection(*await asyncio.open_connection(sock=ours))

    async def connect(self, address: str, port: int) -> PodConnection:
        """To the server of that address and port; nobody listens elsewhere."""
        server = self.servers.get((address, port))
        if server is None:
            raise ApiError(f"dial tcp {address}:{port}: connect: connection refused")
        ours, theirs = socket.socketpair()
        answering = server(*await asyncio.open_connection(sock=theirs))
        self.connections.append(asyncio.create_task(answering))
        return TcpPodConnection(*await asyncio.open_connection(sock=ours))

    async def logs(self, at: ContainerRef, wanted: LogOptions) -> AsyncGenerator[bytes, None]:
        """The lines, and with `follow` those appended later."""
        if wanted.previous:
            raise BadRequest(
                f'previous terminated container "{at.container}" in pod "{at.pod.name}" not found'
            )
        self.logs_open += 1
        try:
            first = 0 if wanted.tail is None else max(len(self.lines) - wanted.tail, 0)
            async for when, text in self._from(first, follow=wanted.follow):
                if wanted.since is None or when >= wanted.since:
                    yield _line(when, text, timestamps=wanted.timestamps)
        finally:
            self.logs_open -= 1

    async def _from(self, index: int, *, follow: bool) -> AsyncIterator[tuple[float, str]]:
        while follow or index < len(self.lines):
            if index < len(self.lines):
                yield self.lines[index]
                index += 1
            else:
                await asyncio.sleep(0.01)


async def _echo(sock: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def _line(when: float, text: str, *, timestamps: bool) -> bytes:
    stamp = f"{datetime.fromtimestamp(when, UTC).isoformat()} " if timestamps else ""
    return f"{stamp}{text}\n".encode()
