"""The server's end of `v5.channel.k8s.io` and of those before it: a process over channels.

Every message is a channel's number and data: 0 stdin, 1 stdout, 2 stderr, 3 the final Status
(before v4: why it failed, in words), 4 terminal sizes; in v5, 255 followed by a channel's number
closes that channel. Over a websocket the number is the message's first byte (`subprotocols`); over
SPDY (kubectl before 1.34) each channel is a stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Protocol

from aiohttp import web
from msgspec import Struct

from netlab.client.kubelets import ProcessStream
from netlab.errors import BadRequest
from netlab.serving import subprotocols
from netlab.serving.answers import to_json
from netlab.serving.multiplex import SpdyConnection, Stream
from netlab.serving.pipes import RawPipe
from netlab.serving.subprotocols import (
    CHANNEL,
    CHANNEL_BASE64,
    NONE,
    V4,
    V4_BASE64,
    V5,
    ChannelSocket,
)

PROTOCOLS = (V5, V4, V4_BASE64, CHANNEL, CHANNEL_BASE64, NONE)

SPDY = "SPDY/3.1"
_SPDY_PROTOCOLS = (V4, "v3.channel.k8s.io", "v2.channel.k8s.io", CHANNEL)
_WITHOUT_RESIZE = ("v2.channel.k8s.io", CHANNEL)
_WITH_STATUS = (V5, V4, V4_BASE64)

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_STREAM_TYPES = {
    "stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE,
}  # fmt: skip
_LARGEST_MESSAGE = 4 * 1024 * 1024
_LARGEST_OUTPUT = 32 * 1024
# While a process does not read its input the server does not read the socket either, and would
# not see the client go: a ping into a dead connection fails.
_PING_SECONDS = 10.0
# How long a client may take to open its SPDY streams.
_OPEN_SECONDS = 30.0
# Kubernetes' own clients before 1.34 read a websocket while they still make the streams for what
# they read, and drop what comes too soon (kubernetes#131189): 1 of 50 of a command's outputs here,
# on a busy machine. Refused, they turn to SPDY by themselves, where a stream is made to be used.
_DROPS_FIRST_OUTPUT = re.compile(r"[^ /]+/v1\.(29|3[0-3])\.\S* .*kubernetes/")


class StreamOptions(Struct, frozen=True):
    """Which ends of the process the client asked for, and whether he is told its exit code.

    Who is attached is not: his connection has ended well, whatever became of the process. A client
    that hears otherwise takes it for a failure, and shows the log besides.
    """

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool
    is_told: bool = True


def refuse_other_protocols(request: web.Request) -> None:
    """Only what speaks one of `PROTOCOLS`, over a websocket or SPDY, can be served."""
    upgrade = request.headers.get("Upgrade", "").lower()
    if upgrade == SPDY.lower():
        refuse_unless_common(spdy_protocols(request), _SPDY_PROTOCOLS)
    elif upgrade == "websocket":
        is_v5 = _in_socket(request) == V5
        if is_v5 and _DROPS_FIRST_OUTPUT.match(request.headers.get("User-Agent", "")):
            raise BadRequest("unable to upgrade: this client is served over SPDY")
    else:
        raise BadRequest("Upgrade request required")


def _in_socket(request: web.Request) -> str:
    """Which protocol the client gets: v5 if it speaks that at all."""
    return subprotocols.negotiated(
        request, (V5,) if V5 in subprotocols.asked(request) else PROTOCOLS
    )


def spdy_protocols(request: web.Request) -> str:
    """What the client of a SPDY upgrade speaks: one header for each, or one for all."""
    return ", ".join(request.headers.getall("X-Stream-Protocol-Version", []))


def refuse_unless_common(asked: str, accepted: tuple[str, ...]) -> None:
    """Raise unless one of the protocols asked for is accepted."""
    if not {part.strip() for part in asked.split(",")} & set(accepted):
        raise BadRequest(
            f"unable to upgrade: unable to negotiate protocol: client supports [{asked}], "
            f"server accepts [{' '.join(accepted)}]"
        )


async def serve(
    request: web.Request, process: ProcessStream, wanted: StreamOptions
) -> web.StreamResponse:
    """Join a process to the client until either ends; then nothing of the process is left."""
    try:
        ends = await _open(request, wanted)
    except BaseException:
        await asyncio.shield(process.kill())
        raise
    return await join(ends, process, wanted)


async def join(ends: Ends, process: ProcessStream, wanted: StreamOptions) -> web.StreamResponse:
    """The same, with a client whose side is open."""
    try:
        await _Session(ends, process, wanted).run()
    finally:
        await asyncio.shield(process.kill())
    with contextlib.suppress(ConnectionError):
        await ends.close()
    return ends.response


async def _open(request: web.Request, wanted: StreamOptions) -> Ends:
    """The client's side of the process, over what it asked for."""
    if request.headers["Upgrade"].lower() == "websocket":
        return await SocketEnds.open(request)
    return await SpdyEnds.open(request, wanted)


class Ends(Protocol):
    """The client's side of a process: numbered channels in both directions."""

    @property
    def response(self) -> web.StreamResponse:
        """What the verb returns when all is over."""

    @property
    def protocol(self) -> str:
        """What is spoken."""

    async def begin(self, channel: int) -> None:
        """Say that all is there, in a channel that the client listens to."""

    async def send(self, channel: int, data: bytes) -> None:
        """Pass output on; waits while the client does not read."""

    def received(self) -> AsyncIterator[tuple[int, bytes]]:
        """(channel, data) as it comes, until the client goes."""

    async def ping(self) -> None:
        """Fails with `ConnectionError` when the client has gone."""

    async def close(self) -> None:
        """All has been said."""


class SocketEnds:
    """Channels in the messages of a websocket."""

    def __init__(self, socket: web.WebSocketResponse, protocol: str) -> None:
        self._channels = ChannelSocket(socket, protocol)
        self._socket = socket
        self.response, self.protocol = socket, protocol

    @staticmethod
    async def open(request: web.Request) -> SocketEnds:
        """Accept the websocket."""
        protocol = _in_socket(request)
        socket = await subprotocols.opened(
            request,
            protocol,
            max_msg_size=_LARGEST_MESSAGE,
            autoclose=False,  # a client that closes hears of it when nothing is left
        )
        return SocketEnds(socket, protocol)

    async def begin(self, channel: int) -> None:
        """As `Ends` says, in an empty message."""
        await self.send(channel, b"")

    async def send(self, channel: int, data: bytes) -> None:
        """As `Ends` says."""
        await self._channels.send(channel, data)

    def received(self) -> AsyncIterator[tuple[int, bytes]]:
        """As `Ends` says."""
        return self._channels.received()

    async def ping(self) -> None:
        """As `Ends` says."""
        await self._socket.ping()

    async def close(self) -> None:
        """As `Ends` says."""
        await self._socket.close()


class SpdyEnds:
    """Channels as SPDY streams, which the client opens, each named by its `streamType`."""

    def __init__(self, pipe: RawPipe, protocol: str, wanted: StreamOptions) -> None:
        self._pipe = pipe
        self.response, self.protocol = pipe.response, protocol
        self._connection = SpdyConnection(pipe)
        self._received = self._connection.received()
        self._streams: dict[int, Stream] = {}
        resizes = wanted.tty and protocol not in _WITHOUT_RESIZE
        flags = (wanted.stdin, wanted.stdout, wanted.stderr, True, resizes)
        self._expected = {channel for channel, flag in enumerate(flags) if flag}

    @staticmethod
    async def open(request: web.Request, wanted: StreamOptions) -> SpdyEnds:
        """Switch protocols, and wait until the client has opened all that it asked for."""
        offered = [part.strip() for part in spdy_protocols(request).split(",")]
        protocol = next(each for each in offered if each in _SPDY_PROTOCOLS)
        headers = {"Upgrade": SPDY, "X-Stream-Protocol-Version": protocol}
        ends = SpdyEnds(await RawPipe.open(request, headers), protocol, wanted)
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await ends._collect()
        except TimeoutError:
            raise ConnectionAbortedError("the client does not open its streams") from None
        return ends

    async def _collect(self) -> None:
        while self._expected - set(self._streams):
            entry = await anext(self._received, None)
            if entry is None:
                raise ConnectionResetError("the client went before it opened its streams")
            channel = _STREAM_TYPES.get(entry.stream.headers.get("streamtype", ""))
            if entry.is_new and channel is not None:
                self._streams[channel] = entry.stream

    async def begin(self, channel: int) -> None:
        """As `Ends` says: that all streams are answered has said it."""

    async def send(self, channel: int, data: bytes) -> None:
        """As `Ends` says."""
        stream = self._streams.get(channel)
        if stream is not None:
            await stream.write(data)

    async def received(self) -> AsyncIterator[tuple[int, bytes]]:
        """As `Ends` says; the end of a stream is told as v5 does."""
        channels = {stream.number: channel for channel, stream in self._streams.items()}
        async for entry in self._received:
            channel = channels.get(entry.stream.number)
            if channel is None:
                continue
            if entry.data:
                yield channel, entry.data
            if entry.is_last:
                yield CLOSE, bytes([channel])

    async def ping(self) -> None:
        """As `Ends` says."""
        await self._connection.ping()

    async def close(self) -> None:
        """As `Ends` says. The client reads every stream to its end, the error's too."""
        for channel in (STDOUT, STDERR, ERROR):
            if channel in self._streams:
                await self._streams[channel].end()
        await self._pipe.close()


class _Session:
    def __init__(self, ends: Ends, process: ProcessStream, wanted: StreamOptions) -> None:
        self._ends = ends
        self._process = process
        self._wanted = wanted
        self._stdin_open = wanted.stdin

    async def run(self) -> None:
        """Until the process has ended and said everything, or the client has gone."""
        wanted = self._wanted
        await self._ends.begin(STDOUT if wanted.stdout else STDERR if wanted.stderr else ERROR)
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
        await asyncio.gather(
            self._pump(STDOUT, self._process.stdout(), self._wanted.stdout),
            self._pump(STDERR, self._process.stderr(), self._wanted.stderr),
        )
        code = await self._process.wait()
        await self._tell(exit_status(code if self._wanted.is_told else 0))

    async def _tell(self, status: dict[str, object]) -> None:
        """How it ended: before v4, nothing of what ended well."""
        if self._ends.protocol in _WITH_STATUS:
            await self._ends.send(ERROR, to_json(status))
        elif message := status.get("message"):
            await self._ends.send(ERROR, str(message).encode())

    async def _pump(self, channel: int, output: AsyncIterator[bytes], wanted: bool) -> None:
        """Pass output on; what nobody wants is read all the same, or the process would stop."""
        async for chunk in output:
            for start in range(0, len(chunk) if wanted else 0, _LARGEST_OUTPUT):
                await self._ends.send(channel, chunk[start : start + _LARGEST_OUTPUT])

    async def _pings(self) -> None:
        while True:
            await asyncio.sleep(_PING_SECONDS)
            await self._ends.ping()

    async def _incoming(self) -> None:
        async for channel, data in self._ends.received():
            await self._take(channel, data)

    async def _take(self, channel: int, data: bytes) -> None:
        if channel == STDIN and data and self._stdin_open:
            await self._process.write(data)
        elif channel == RESIZE and self._wanted.tty:
            await self._resize(data)
        elif channel == CLOSE and data == bytes([STDIN]) and self._stdin_open:
            self._stdin_open = False
            await self._process.close_stdin()

    async def _resize(self, data: bytes) -> None:
        """`{"Width": 80, "Height": 24}`; what makes no sense is passed over."""
        with contextlib.suppress(ValueError, TypeError, LookupError, OverflowError, RecursionError):
            size = json.loads(data.splitlines()[-1])  # several may have come at once
            columns, rows = int(size["Width"]), int(size["Height"])
            if 0 < columns < 65536 and 0 < rows < 65536:
                await self._process.resize(columns, rows)


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
