"""The client's side of the protocol by which a controller tells its processes what to do.

`control` is the server's side, and says what goes over the wire.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from netlab.errors import NetlabError
from netlab.kernel.process import Process
from netlab.tasks import cancel
from netlab.workload import handover

_LINE_LIMIT = 64 * 1024 * 1024
_FRAMES_LIMIT = 64 * 1024
_START_SECONDS = 10.0
_HAND_OVER_SECONDS = 30.0
_CREDENTIALS = struct.Struct("=iII")  # struct ucred: process, user, group


class Gone(NetlabError):
    """Nobody answers on the socket."""


class Calls:
    """One connection to a process of the lab, named `what` in messages; calls may overlap.

    After the connection is lost every call raises `Gone`; `connect` again then.
    """

    def __init__(self, socket_path: Path, what: str) -> None:
        self.path = socket_path
        self._what = what
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    @property
    def peer(self) -> int | None:
        """The process's id; None while there is no connection."""
        if self._writer is None:
            return None
        connection = self._writer.get_extra_info("socket")
        credentials = connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
        )
        return int(_CREDENTIALS.unpack(credentials)[0])

    async def ensure(self, start: Callable[[], Process], log: Path) -> None:
        """Connect, having the process started unless it answers; `log` is where it complains."""
        try:
            return await self.connect()
        except Gone:
            started = start()
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while True:
            try:
                return await self.connect()
            except Gone:
                late = asyncio.get_running_loop().time() > deadline
                if late or started.poll() is not None:
                    raise Gone(f"the {self._what} does not start", hint=f"see {log}") from None
                await asyncio.sleep(0.002)

    async def connect(self) -> None:
        """Connect, unless connected; `Gone` when nobody listens."""
        async with self._connecting:  # of two connections, the end of one would be taken for both
            if self._writer is not None:
                return
            reader, self._writer = await self._open()
            self._reading = asyncio.create_task(self._read(reader))

    async def _open(
        self, limit: int = _LINE_LIMIT
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_unix_connection(str(self.path), limit=limit)
        except OSError as error:
            raise Gone(
                f"the {self._what} does not answer on {self.path}: {error.strerror}"
            ) from error

    async def close(self) -> None:
        """Be done with it; the process goes on."""
        await self.disconnect()

    async def disconnect(self) -> None:
        """End the connection: the next call makes another one, perhaps to another process."""
        if self._writer is not None:
            self._writer.close()
        await cancel(self._reading)
        self._lost()

    async def stream(self, op: str, **arguments: Any) -> AsyncGenerator[dict[str, Any], None]:
        """A request whose answers go on until we stop; over a connection of its own."""
        reader, writer = await self.open({"op": op, **arguments}, _LINE_LIMIT)
        try:
            while text := await reader.readline():
                yield _checked(json.loads(text))
        finally:
            writer.close()

    async def open(
        self, request: Mapping[str, Any], limit: int = _FRAMES_LIMIT
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection on which `request` was made; the caller closes it.

        About `limit` bytes are taken that nobody reads, before they hold back who sends them.
        """
        reader, writer = await self._open(limit)
        writer.write(json.dumps(request).encode() + b"\n")
        return reader, writer

    async def hand_over(self, op: str, sockets: Sequence[socket.socket], **arguments: Any) -> Any:
        """One request with sockets, and its result; over a connection of its own."""
        request = {"op": op, "sockets": len(sockets), **arguments}
        return await asyncio.to_thread(self._hand_over, request, sockets)

    def _hand_over(self, request: Mapping[str, Any], sockets: Sequence[socket.socket]) -> Any:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_HAND_OVER_SECONDS)
                connection.connect(str(self.path))
                answers = connection.makefile("rb")
                connection.sendall(json.dumps(request).encode() + b"\n")
                if answers.readline():  # only now nothing but sockets is read there
                    handover.send(connection, sockets)
                if text := answers.readline():
                    return _checked(json.loads(text))["result"]
        except OSError as error:
            raise Gone(f"the {self._what} does not answer: {error.strerror}") from error
        raise Gone(f"the {self._what} went away")

    async def taken(self, op: str, count: int) -> list[socket.socket]:
        """The sockets that the process gives us at this request, so many."""
        return await asyncio.to_thread(self._taken, op, count)

    def _taken(self, op: str, count: int) -> list[socket.socket]:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_HAND_OVER_SECONDS)
                connection.connect(str(self.path))
                connection.sendall(json.dumps({"op": op}).encode() + b"\n")
                return handover.take(connection, count)
        except OSError as error:
            raise Gone(f"the {self._what} does not answer: {error.strerror}") from error

    async def call(self, op: str, **arguments: Any) -> Any:
        """One request of the control protocol, and its result."""
        await self.connect()
        assert self._writer is not None
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps({"id": number, "op": op, **arguments}).encode() + b"\n")
        try:
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while text := await reader.readline():
                self._answered(json.loads(text))
        except (ConnectionError, ValueError):
            pass
        finally:
            self._lost()

    def _answered(self, message: dict[str, Any]) -> None:
        answer = self._waiting.get(message["id"])
        if answer is None or answer.done():
            return
        try:
            answer.set_result(_checked(message)["result"])
        except NetlabError as error:
            answer.set_exception(error)

    def _lost(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Gone(f"the {self._what} went away"))


def _checked(message: dict[str, Any]) -> dict[str, Any]:
    if "error" in message:
        raise NetlabError(message["error"])
    return message
