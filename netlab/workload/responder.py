"""The process that serves all built-in pods of a lab: `python -m netlab.workload.responder SOCKET`.

It also keeps the containers that are real processes (see `processes`), because it outlives the
controller: a controller that comes back connects, lists, and finds everything still running.

Control is one JSON object a line. A request `{"id": 1, "op": "serve", ...}` is answered by
`{"id": 1, "result": ...}` or `{"id": 1, "error": "..."}`; following a log gives lines
`{"id": 1, "line": [unix time, text]}` until the connection closes.
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
from typing import Any

from netlab.errors import NetlabError
from netlab.workload.serving import Pods

_LINE_LIMIT = 64 * 1024 * 1024

Json = dict[str, Any]


class Control:
    """What a controller may ask for."""

    def __init__(self) -> None:
        self._pods = Pods()
        self._operations: dict[str, Callable[[Json], Awaitable[Any]]] = {
            "serve": self._serve,
            "stop": self._stop,
            "list": self._list,
            "logs": self._logs,
            "health": self._health,
            "pid": self._pid,
        }

    async def _serve(self, request: Json) -> Json:
        return {"problems": await self._pods.serve(request["sites"], request["pods"])}

    async def _stop(self, request: Json) -> None:
        self._pods.stop(request["uids"])

    async def _list(self, _: Json) -> list[Json]:
        return self._pods.served()

    async def _logs(self, request: Json) -> list[tuple[float, str]]:
        log = self._pods.log(request["uid"], request["container"])
        if log is None:
            raise NetlabError(f"container {request['container']} of {request['uid']} is not served")
        return log.lines(request.get("tail"))

    async def _health(self, request: Json) -> Json:
        problems = await self._pods.health(
            request["uid"], request["netns"], request["ips"], request["ports"]
        )
        return {"problems": problems}

    async def _pid(self, _: Json) -> int:
        return os.getpid()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one controller until it goes."""
        session = _Session(writer)
        try:
            while line := await reader.readline():
                await self._one(json.loads(line), session)
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.LimitOverrunError) as error:
            print(f"control connection closed: {error}", file=sys.stderr)
        finally:
            session.close()
            writer.close()

    async def _one(self, request: Json, session: _Session) -> None:
        number = request.get("id")
        try:
            if request.get("op") == "follow":
                session.follow(number, self._pods, request)
                return
            result = await self._operations[request["op"]](request)
            session.send({"id": number, "result": result})
        except (NetlabError, KeyError, OSError, ValueError, TypeError) as error:
            session.send({"id": number, "error": _said(error)})


class _Session:
    """One controller's connection, and the logs it follows."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._following: list[Callable[[], None]] = []

    def send(self, message: Json) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    def follow(self, number: Any, pods: Pods, request: Json) -> None:
        log = pods.log(request["uid"], request["container"])
        if log is None:
            raise NetlabError(f"container {request['container']} of {request['uid']} is not served")
        for timestamp, line in log.lines(request.get("tail")):
            self.send({"id": number, "line": [timestamp, line]})
        self._following.append(
            log.follow(lambda at, line: self.send({"id": number, "line": [at, line]}))
        )

    def close(self) -> None:
        for end in self._following:
            end()


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
