"""The server's end of `v4.channel.k8s.io` and `v5.channel.k8s.io`: a process over a websocket.

Every message is a channel's number and data: 0 stdin, 1 stdout, 2 stderr, 3 the final Status,
4 terminal sizes; in v5, 255 followed by a channel's number closes that channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from netlab.api.encoding import to_json
from netlab.api.streams import ProcessStream
from netlab.errors import BadRequest

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_LARGEST_MESSAGE = 4 * 1024 * 1024
_LARGEST_OUTPUT = 32 * 1024
# While a process does not read its input the server does not read the socket either, and would
# not see the client go: a ping into a dead connection fails.
_PING_SECONDS = 10.0


@dataclass(frozen=True)
class Wanted:
    """Which ends of the process the client asked for."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


def refuse_other_protocols(request: web.Request) -> None:
    """Only websockets that speak one of `PROTOCOLS` can be served."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise BadRequest("Upgrade request required: this server speaks websocket, not SPDY")
    asked = request.headers.get("Sec-WebSocket-Protocol", "")
    if not {part.strip() for part in asked.split(",")} & set(PROTOCOLS):
        raise BadRequest(
            f"unable to upgrade: unable to negotiate protocol: client supports [{asked}], "
            f"server accepts [{' '.join(PROTOCOLS)}]"
        )


async def serve(
    request: web.Request, process: ProcessStream, wanted: Wanted
) -> web.WebSocketResponse:
    """Join a process to the client until either ends; then nothing of the process is left."""
    socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=_LARGEST_MESSAGE)
    try:
        await socket.prepare(request)
        await _Session(socket, process, wanted).run()
    finally:
        await asyncio.shield(process.kill())
    with contextlib.suppress(ConnectionError):
        await socket.close()
    return socket


class _Session:
    def __init__(
        self, socket: web.WebSocketResponse, process: ProcessStream, wanted: Wanted
    ) -> None:
        self._socket = socket
        self._process = process
        self._wanted = wanted
        self._stdin_open = wanted.stdin

    async def run(self) -> None:
        """Until the process has ended and said everything, or the client has gone."""
        parts = (self._outgoing(), self._incoming(), self._pings())
        tasks = {asyncio.create_task(part) for part in parts}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with contextlib.suppress(ConnectionError):
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _outgoing(self) -> None:
        # An empty message on the first channel tells the client that the process is there.
        await self._send(STDOUT if self._wanted.stdout else ERROR, b"")
        await asyncio.gather(
            self._pump(STDOUT, self._process.stdout(), self._wanted.stdout),
            self._pump(STDERR, self._process.stderr(), self._wanted.stderr),
        )
        await self._send(ERROR, to_json(exit_status(await self._process.wait())))

    async def _pump(self, channel: int, output: AsyncIterator[bytes], wanted: bool) -> None:
        """Pass output on; what nobody wants is read all the same, or the process would stop."""
        async for chunk in output:
            for start in range(0, len(chunk) if wanted else 0, _LARGEST_OUTPUT):
                await self._send(channel, chunk[start : start + _LARGEST_OUTPUT])

    async def _send(self, channel: int, data: bytes) -> None:
        await self._socket.send_bytes(bytes([channel]) + data)

    async def _pings(self) -> None:
        while True:
            await asyncio.sleep(_PING_SECONDS)
            await self._socket.ping()

    async def _incoming(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.BINARY:
                await self._take(message.data)
            elif message.type is WSMsgType.TEXT:
                await self._take(message.data.encode())

    async def _take(self, message: bytes) -> None:
        channel, data = (message[0], message[1:]) if message else (STDIN, b"")
        if channel == STDIN and data and self._stdin_open:
            await self._process.write(data)
        elif channel == RESIZE and self._wanted.tty:
            self._resize(data)
        elif channel == CLOSE and data == bytes([STDIN]) and self._stdin_open:
            self._stdin_open = False
            await self._process.close_stdin()

    def _resize(self, data: bytes) -> None:
        """`{"Width": 80, "Height": 24}`; what makes no sense is passed over."""
        with contextlib.suppress(ValueError, TypeError, KeyError):
            size = json.loads(data)
            columns, rows = int(size["Width"]), int(size["Height"])
            if 0 < columns < 65536 and 0 < rows < 65536:
                self._process.resize(columns, rows)


def exit_status(code: int) -> dict[str, object]:
    """The Status that tells a client how the process ended."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
