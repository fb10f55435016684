"""SPDY streams over a pipe: what both `exec` and `port-forward` stand on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from netlab.serving import spdy
from netlab.serving.pipes import Pipe
from netlab.serving.spdy import FIN, FrameWriter, SpdyFrameReader

_MOST_STREAMS = 1000
_LARGEST_DATA = 32 * 1024


class Stream:
    """One stream, opened by the client. `headers` say what it is for."""

    def __init__(self, number: int, headers: dict[str, str], connection: SpdyConnection) -> None:
        self.number = number
        self.headers = headers
        self._connection = connection
        self._ended = False

    async def write(self, data: bytes) -> None:
        """Send bytes; nothing happens once the stream has ended."""
        for start in range(0, len(data), _LARGEST_DATA):
            if not self._ended:
                chunk = data[start : start + _LARGEST_DATA]
                await self._connection.send(spdy.data_frame(self.number, chunk))

    async def end(self) -> None:
        """Send no more. Idempotent."""
        if not self._ended:
            self._ended = True
            await self._connection.send(spdy.data_frame(self.number, b"", FIN))

    def stop(self) -> None:
        """The client has reset the stream: it takes no more."""
        self._ended = True


class Received:
    """What came on a stream: `data`, and whether it `is_last`; a new stream comes without data."""

    __slots__ = ("data", "is_last", "is_new", "stream")

    def __init__(
        self, stream: Stream, data: bytes = b"", *, is_last: bool = False, is_new: bool = False
    ) -> None:
        self.stream = stream
        self.data = data
        self.is_last = is_last
        self.is_new = is_new


class SpdyConnection:
    """The server's end of a SPDY connection."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._reader = SpdyFrameReader()
        self._writer = FrameWriter()
        self._streams: dict[int, Stream] = {}
        self._pings = 0
        self._sending = asyncio.Lock()

    async def received(self) -> AsyncIterator[Received]:
        """Everything that comes, until the client goes. `ConnectionError` if it is no SPDY."""
        while data := await self._pipe.receive():
            for frame in self._frames(data):
                found = await self._take(frame)
                if found is not None:
                    yield found

    def _frames(self, data: bytes) -> Iterator[spdy.Frame]:
        try:
            yield from self._reader.feed(data)
        except spdy.Broken as error:
            raise ConnectionAbortedError(error.message) from None

    async def send(self, frame: bytes) -> None:
        """Send whole frames, one sender at a time."""
        async with self._sending:
            await self._pipe.send(frame)

    async def ping(self) -> None:
        """Ask whether the client is there: into a dead connection this fails."""
        self._pings += 2
        await self.send(spdy.ping(self._pings))

    def forget(self, stream: Stream) -> None:
        """A stream that is over on both sides."""
        self._streams.pop(stream.number, None)

    async def _take(self, frame: spdy.Frame) -> Received | None:
        if frame.type == spdy.SYN_STREAM:
            return await self._open(frame)
        if frame.type == spdy.PING:
            number = int.from_bytes(frame.data[:4], "big")
            if number % 2:  # the client's; ours are even
                await self.send(spdy.ping(number))
            return None
        stream = self._streams.get(frame.stream)
        if stream is None:
            return None
        if frame.type == 0:
            return Received(stream, frame.data, is_last=frame.is_last)
        if frame.type == spdy.RST_STREAM:
            stream.stop()
            return Received(stream, is_last=True)
        return None

    async def _open(self, frame: spdy.Frame) -> Received | None:
        if frame.stream % 2 == 0 or frame.stream in self._streams:
            raise ConnectionAbortedError(f"SPDY stream {frame.stream} cannot be opened")
        if len(self._streams) >= _MOST_STREAMS:
            await self.send(spdy.reset(frame.stream, 3))
            return None
        stream = Stream(frame.stream, dict(frame.headers), self)
        self._streams[frame.stream] = stream
        async with self._sending:  # the compressor's order must be that of the wire
            await self._pipe.send(self._writer.syn_reply(frame.stream))
        return Received(stream, is_last=frame.is_last, is_new=True)
