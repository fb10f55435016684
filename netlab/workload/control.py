"""The server's side of the protocol by which a controller tells its processes what to do.

One JSON object a line. A request `{"id": 1, "op": "serve", ...}` is answered by
`{"id": 1, "result": ...}` or `{"id": 1, "error": "..."}`. Requests that are streams take the
connection for themselves until it closes. `calls` is the client's side.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

from netlab.errors import NetlabError
from netlab.workload import handover

LINE_LIMIT = 64 * 1024 * 1024

Json = dict[str, Any]

_REFUSED = (NetlabError, KeyError, OSError, ValueError, TypeError)
"""How a request fails that makes no sense, or that cannot be fulfilled."""


class ControlSession:
    """One connection of a controller."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, message: Json) -> None:
        """One line; lost when the controller is gone."""
        if not self.writer.is_closing():
            self.writer.write(json.dumps(message).encode() + b"\n")

    async def sockets(self, count: int) -> list[socket.socket]:
        """As many sockets, which the controller sends when it is told that they are awaited."""
        transport = cast(asyncio.Transport, self.writer.transport)
        transport.pause_reading()  # reading loses the descriptors that come with a byte
        with self.writer.get_extra_info("socket").dup() as connection:
            self.writer.write(b"\n")
            return await handover.receive(connection, count)

    async def until_closed(self) -> None:
        """Return once the controller closes the connection."""
        while await self.reader.read(1024):
            pass


Operation = Callable[[Json], Awaitable[Any]]
Stream = Callable[[Json, ControlSession], Awaitable[None]]


class Control:
    """Answers controllers: with operations, which may overlap, and with streams, by their names."""

    def __init__(self, operations: Mapping[str, Operation], streams: Mapping[str, Stream]) -> None:
        self._operations = {**operations, "pid": self._pid}
        self._streams = streams

    async def _pid(self, _: Json) -> int:
        return os.getpid()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one controller until it goes; requests that wait do not hold up others."""
        session = ControlSession(reader, writer)
        tasks: set[asyncio.Task[None]] = set()
        try:
            while line := await reader.readline():
                request = json.loads(line)
                if request.get("op") in self._streams:
                    await self._stream(request, session)
                    break
                task = asyncio.create_task(self._answer(request, session))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                await writer.drain()
        except (ConnectionError, ValueError, AttributeError, RecursionError) as error:
            print(f"control connection closed: {error}", file=sys.stderr)
        finally:
            writer.close()

    async def _answer(self, request: Json, session: ControlSession) -> None:
        number = request.get("id")
        try:
            result = await self._operations[request["op"]](request)
            session.send({"id": number, "result": result})
        except Exception as error:  # whatever it is, the caller waits for an answer
            session.send({"id": number, "error": refusal(error)})

    async def _stream(self, request: Json, session: ControlSession) -> None:
        try:
            await self._streams[request["op"]](request, session)
        except Exception as error:
            session.send({"error": refusal(error)})


def refusal(error: Exception) -> str:
    """What a caller is told of an error; one that nobody foresaw has its traceback in the log."""
    if not isinstance(error, _REFUSED):
        traceback.print_exception(error)
    if isinstance(error, NetlabError):
        return error.message
    return f"{type(error).__name__}: {error}"


class Calling:
    """Lets a callback be what `contextlib.closing` closes."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.close = callback


def main(module: str, argument: str, run: Callable[[Path], None]) -> NoReturn:
    """`python -m MODULE ARGUMENT`, for a process that is controlled.

    `run` serves until TERM or INT; ARGUMENT is a path.
    """
    if len(sys.argv) != 2:
        print(f"usage: python -m {module} {argument}", file=sys.stderr)
        sys.exit(2)
    raise_open_file_limit()
    try:
        run(Path(sys.argv[1]))
    except NetlabError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(0)


def raise_open_file_limit() -> None:
    """Each port and each connection is a descriptor: allow as many as the machine does."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listen(path: Path) -> socket.socket:
    """The control socket, for root alone; a file left by a process that died is replaced."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
            raise NetlabError(f"another process listens on {path}")
        except (FileNotFoundError, ConnectionRefusedError):
            path.unlink(missing_ok=True)
    control = socket.socket(socket.AF_UNIX)
    former = os.umask(0o177)
    try:
        control.bind(str(path))
    finally:
        os.umask(former)
    control.listen(128)
    control.setblocking(False)
    return control


async def serve(control: Control, listening: socket.socket) -> None:
    """Serve until TERM or INT."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = await asyncio.start_unix_server(control.connected, sock=listening, limit=LINE_LIMIT)
    await ended.wait()
    server.close()
