"""The process that serves all built-in pods of a lab: `python -m netlab.workload.responder SOCKET`.

It also keeps the containers that are real processes (see `processes`), because it outlives the
controller: a controller that comes back connects, lists, and finds everything still running.

Control is one JSON object a line. A request `{"id": 1, "op": "serve", ...}` is answered by
`{"id": 1, "result": ...}` or `{"id": 1, "error": "..."}`. Three requests take the connection for
themselves until it closes: `follow` (a served pod's log: `{"line": [unix time, text]}`), `watch`
(a process's: `{"ended": false}` whenever it has grown) and `attach` (frames, see there).
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
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.errors import NetlabError
from netlab.workload.access_log import AccessLog
from netlab.workload.serving import Pods

if TYPE_CHECKING:
    from netlab.workload.processes import Processes

_LINE_LIMIT = 64 * 1024 * 1024

Json = dict[str, Any]


class Control:
    """What a controller may ask for."""

    def __init__(self) -> None:
        self._pods = Pods()
        self._started: Processes | None = None
        self._operations: dict[str, Callable[[Json], Awaitable[Any]]] = {
            "serve": self._serve,
            "stop": self._stop,
            "list": self._list,
            "logs": self._logs,
            "health": self._health,
            "pid": self._pid,
            "run": self._run,
            "processes": self._states,
            "wait": self._wait,
            "kill": self._kill,
            "remove": self._remove,
        }
        self._streams: dict[str, Callable[[Json, Session], Awaitable[None]]] = {
            "follow": self._follow,
            "watch": self._watch,
            "attach": self._attach,
        }

    async def _serve(self, request: Json) -> Json:
        return {"problems": await self._pods.serve(request["sites"], request["pods"])}

    async def _stop(self, request: Json) -> None:
        self._pods.stop(request["uids"])

    async def _list(self, _: Json) -> list[Json]:
        return self._pods.served()

    async def _logs(self, request: Json) -> list[tuple[float, str]]:
        return self._log(request).lines(request.get("tail"))

    def _log(self, request: Json) -> AccessLog:
        log = self._pods.log(request["uid"], request["container"])
        if log is None:
            raise NetlabError(f"container {request['container']} of {request['uid']} is not served")
        return log

    async def _health(self, request: Json) -> Json:
        problems = await self._pods.health(
            request["uid"], request["netns"], request["ips"], request["ports"]
        )
        return {"problems": problems}

    async def _pid(self, _: Json) -> int:
        return os.getpid()

    @property
    def _processes(self) -> Processes:
        """Imported when first needed: a lab without commands starts 12 ms sooner."""
        if self._started is None:
            from netlab.workload.processes import Processes

            self._started = Processes()
        return self._started

    async def _run(self, request: Json) -> Json:
        return await self._processes.run(request)

    async def _states(self, _: Json) -> list[Json]:
        return self._started.states() if self._started is not None else []

    async def _wait(self, request: Json) -> Json:
        return await self._processes.find(request).wait()

    async def _kill(self, request: Json) -> Json:
        return await self._processes.find(request).kill(request["grace"])

    async def _remove(self, request: Json) -> None:
        if self._started is not None:
            await self._started.remove(request["uid"])

    # -- connections that are used for one thing only --------------------------------------

    async def _follow(self, request: Json, session: Session) -> None:
        log = self._log(request)
        for timestamp, line in log.lines(request.get("tail")):
            session.send({"line": [timestamp, line]})
        with contextlib.closing(_Calling(log.follow(lambda *line: session.send({"line": line})))):
            await session.until_closed()

    async def _watch(self, request: Json, session: Session) -> None:
        """`{"ended": false}` each time a container's log has grown, `true` at its end."""
        process = self._processes.find(request)

        def tell() -> None:
            session.send({"ended": process.has_ended})

        with contextlib.closing(_Calling(process.watch(tell))):
            tell()
            await session.until_closed()

    async def _attach(self, request: Json, session: Session) -> None:
        from netlab.workload import attach

        await attach.serve(self._processes.find(request), session.reader, session.writer)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one controller until it goes; requests that wait do not hold up others."""
        session = Session(reader, writer)
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
        except (ConnectionError, ValueError, AttributeError) as error:
            print(f"control connection closed: {error}", file=sys.stderr)
        finally:
            writer.close()

    async def _answer(self, request: Json, session: Session) -> None:
        number = request.get("id")
        try:
            result = await self._operations[request["op"]](request)
            session.send({"id": number, "result": result})
        except (NetlabError, KeyError, OSError, ValueError, TypeError) as error:
            session.send({"id": number, "error": _said(error)})

    async def _stream(self, request: Json, session: Session) -> None:
        try:
            await self._streams[request["op"]](request, session)
        except NetlabError as error:
            session.send({"error": error.message})


class Session:
    """One connection of a controller."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, message: Json) -> None:
        """One line; lost when the controller is gone."""
        if not self.writer.is_closing():
            self.writer.write(json.dumps(message).encode() + b"\n")

    async def until_closed(self) -> None:
        """Return once the controller closes the connection."""
        while await self.reader.read(1024):
            pass


class _Calling:
    """Lets a callback be what `contextlib.closing` closes."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.close = callback


def _said(error: Exception) -> str:
    if isinstance(error, NetlabError):
        return error.message
    return f"{type(error).__name__}: {error}"


def raise_open_file_limit() -> None:
    """Each port and each connection is a descriptor: allow as many as the machine does."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listen(path: Path) -> socket.socket:
    """The control socket, for root alone; a file left by a responder that died is replaced."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
            raise NetlabError(f"another responder listens on {path}")
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


async def serve(path: Path) -> None:
    """Serve until TERM or INT."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    control = Control()
    server = await asyncio.start_unix_server(
        control.connected, sock=listen(path), limit=_LINE_LIMIT
    )
    await ended.wait()
    server.close()
    path.unlink(missing_ok=True)


def main(argv: list[str]) -> int:
    """The command line: one argument, the path of the control socket."""
    if len(argv) != 1:
        print("usage: python -m netlab.workload.responder SOCKET", file=sys.stderr)
        return 2
    raise_open_file_limit()
    try:
        asyncio.run(serve(Path(argv[0])))
    except NetlabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
