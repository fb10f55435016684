"""Kubelets that are elsewhere, over HTTP; `agents.kubelet_server` is the other end.

exec and attach speak v5.channel.k8s.io over a websocket, as clients of the API do; a connection to
a port has its bytes in channel 0, in both directions. The first message says that all is there, or,
as the Status in the error's channel, why not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import aiohttp

from netlab.client.kubelets import (
    ContainerRef,
    LogOptions,
    PodConnection,
    PodRef,
    ProcessStream,
    Silent,
)
from netlab.client.stream import CLOSE_CHANNEL, ERROR, RESIZE, STDERR, STDIN, STDOUT, exit_code
from netlab.client.sync import error_from
from netlab.errors import ApiError
from netlab.objects.times import micro_time

PROTOCOL = "v5.channel.k8s.io"
_LARGEST_MESSAGE = 32 * 1024
_CLOSE_SECONDS = 1.0
"""How long the other end may take to say that nothing is left; it reads no more while a process
does not read its input."""

Query = Mapping[str, str] | Sequence[tuple[str, str]]


class HttpKubelets:
    """Implements `client.kubelets.Kubelets`: all those that listen on one unix socket, each below
    its node's name. `close` when done."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self._sessions: list[aiohttp.ClientSession] = []

    def of(self, node: str) -> HttpKubelet:
        """As `Kubelets` says."""
        return HttpKubelet(node, self._session())

    def _session(self) -> aiohttp.ClientSession:
        """Made when it is needed: that is inside a running loop."""
        if not self._sessions:
            connector = aiohttp.UnixConnector(str(self._path), limit=0)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
            self._sessions.append(aiohttp.ClientSession(connector=connector, timeout=timeout))
        return self._sessions[0]

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions:
            await session.close()


class HttpKubelet:
    """Implements `client.kubelets.PodStreams`."""

    def __init__(self, node: str, session: aiohttp.ClientSession) -> None:
        self._node = node
        self._session = session

    async def exec(
        self, at: ContainerRef, argv: Sequence[str], *, stdin: bool, tty: bool
    ) -> ProcessStream:
        """As `PodStreams` says."""
        query = [("command", word) for word in argv]
        return await self._joined("exec", at, [*query, *_flags(input=stdin, tty=tty)])

    async def attach(self, at: ContainerRef, *, stdin: bool, tty: bool) -> ProcessStream:
        """As `PodStreams` says."""
        return await self._joined("attach", at, _flags(input=stdin, tty=tty))

    async def _joined(self, verb: str, at: ContainerRef, query: Query) -> RemoteProcess:
        return RemoteProcess(await self._open(f"{verb}/{_path(at.pod)}/{at.container}", query))

    async def dial(self, pod: PodRef, port: int) -> PodConnection:
        """As `PodStreams` says."""
        query = {"port": str(port)}
        return SocketConnection(await self._open(f"portForward/{_path(pod)}", query))

    async def connect(self, address: str, port: int) -> PodConnection:
        """As `PodStreams` says."""
        query = {"address": address, "port": str(port)}
        return SocketConnection(await self._open("connect", query))

    async def logs(self, at: ContainerRef, wanted: LogOptions) -> AsyncGenerator[bytes, None]:
        """As `PodStreams` says."""
        path = f"containerLogs/{at.pod.namespace}/{at.pod.name}/{at.container}"
        query = {"uid": at.pod.uid, **_log_query(wanted)}
        try:
            async with self._session.get(self._url(path), params=query) as response:
                if response.status >= 300:
                    raise error_from(response.status, await response.read())
                async for chunk in response.content.iter_any():
                    yield chunk
        except aiohttp.ClientConnectorError as error:
            raise Silent(self._node) from error
        except aiohttp.ClientError as error:
            raise ConnectionResetError(str(error)) from error

    def _url(self, path: str) -> str:
        return f"http://netlab/{self._node}/{path}"

    async def _open(self, path: str, query: Query) -> aiohttp.ClientWebSocketResponse:
        """A websocket whose other end has what was asked for."""
        url, protocols = self._url(path), (PROTOCOL,)
        async with contextlib.AsyncExitStack() as stack:
            try:
                opening = self._session.ws_connect(url, params=query, protocols=protocols)
                opened = await stack.enter_async_context(opening)
                first = await opened.receive()
            except aiohttp.ClientError as error:
                raise Silent(self._node) from error
            if first.type is not aiohttp.WSMsgType.BINARY:
                raise Silent(self._node)
            if first.data[0] == ERROR:
                raise ApiError.from_status(json.loads(first.data[1:]))
            stack.pop_all()
        return opened


class RemoteProcess:
    """Implements `client.kubelets.ProcessStream` over an open websocket."""

    def __init__(self, opened: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = opened
        self._queues: dict[int, asyncio.Queue[bytes]] = {
            channel: asyncio.Queue(maxsize=1) for channel in (STDOUT, STDERR)
        }
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            await self._read_until_exit()
        finally:
            if not self._code.done():
                self._code.set_result(128 + signal.SIGKILL)  # it went with its node
        for queue in self._queues.values():
            await queue.put(b"")

    async def _read_until_exit(self) -> None:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            channel, data = message.data[0], bytes(message.data[1:])
            if channel == ERROR:
                self._code.set_result(exit_code(json.loads(data)))
                return
            if channel in self._queues and data:
                await self._queues[channel].put(data)

    async def write(self, data: bytes) -> None:
        """As the protocol says."""
        for start in range(0, len(data), _LARGEST_MESSAGE):
            await self._send(STDIN, data[start : start + _LARGEST_MESSAGE])

    async def close_stdin(self) -> None:
        """As the protocol says."""
        await self._send(CLOSE_CHANNEL, bytes([STDIN]))

    async def resize(self, columns: int, rows: int) -> None:
        """As the protocol says."""
        await self._send(RESIZE, json.dumps({"Width": columns, "Height": rows}).encode())

    async def _send(self, channel: int, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # it has ended, or its node has
            await self._socket.send_bytes(bytes([channel]) + data)

    def stdout(self) -> AsyncIterator[bytes]:
        """As the protocol says."""
        return self._chunks(STDOUT)

    def stderr(self) -> AsyncIterator[bytes]:
        """As the protocol says."""
        return self._chunks(STDERR)

    async def _chunks(self, channel: int) -> AsyncIterator[bytes]:
        while data := await self._queues[channel].get():
            yield data

    async def wait(self) -> int:
        """As the protocol says."""
        return await asyncio.shield(self._code)

    async def kill(self) -> None:
        """As the protocol says."""
        connection = self._socket.get_extra_info("socket")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._socket.close()
        if connection is not None:
            with contextlib.suppress(OSError):  # by now it is closed
                connection.shutdown(socket.SHUT_RDWR)  # or it waits to send what nobody reads
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


class Socket(Protocol):
    """Either end of a websocket."""

    async def receive(self) -> aiohttp.WSMessage:
        """The next message; another type than BINARY when it is over."""

    async def send_bytes(self, data: bytes) -> None:
        """Send one; waits while the other end does not read."""

    async def close(self) -> bool:
        """Close it."""


class SocketConnection:
    """Implements `client.kubelets.PodConnection` over an open websocket, at either end."""

    def __init__(self, opened: Socket) -> None:
        self._socket = opened

    async def read(self) -> bytes:
        """As the protocol says."""
        while True:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY:
                raise ConnectionResetError("the other end has gone")
            if message.data[0] == CLOSE_CHANNEL:
                return b""
            if message.data[0] == STDIN and len(message.data) > 1:
                return bytes(message.data[1:])

    async def write(self, data: bytes) -> None:
        """As the protocol says."""
        for start in range(0, len(data), _LARGEST_MESSAGE):
            await self._socket.send_bytes(bytes([STDIN]) + data[start : start + _LARGEST_MESSAGE])

    async def end(self) -> None:
        """As the protocol says."""
        await self._socket.send_bytes(bytes([CLOSE_CHANNEL, STDIN]))

    async def close(self) -> None:
        """As the protocol says."""
        await self._socket.close()


def _path(pod: PodRef) -> str:
    return f"{pod.namespace}/{pod.name}/{pod.uid}"


def _flags(**flags: bool) -> list[tuple[str, str]]:
    return [(name, "1") for name, flag in flags.items() if flag]


def _log_query(wanted: LogOptions) -> dict[str, str]:
    """The query parameters of a kubelet's containerLogs."""
    query = dict(
        _flags(follow=wanted.follow, timestamps=wanted.timestamps, previous=wanted.previous)
    )
    if wanted.tail is not None:
        query["tailLines"] = str(wanted.tail)
    if wanted.since is not None:
        query["sinceTime"] = micro_time(wanted.since)
    return query
