"""HTTP/1.1 as a proxy speaks it to what stands behind it: one request over one connection.

What answers is a stranger. A head has a bound, what is no HTTP is a `BrokenBackend`, and nothing of
a head is passed on that could end a line of another one.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence

from msgspec import Struct

from netlab.client.kubelets import PodConnection

Headers = Sequence[tuple[str, str]]

_LARGEST_HEAD = 64 * 1024
_LARGEST_LINE = 8 * 1024

_STATUS = re.compile(r"HTTP/1\.[01] ([1-9][0-9]{2})(?: (.*))?")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_LINE_END, _BLANK_LINE = re.compile(rb"\r?\n"), re.compile(rb"\r?\n\r?\n")


class BrokenBackend(ConnectionError):
    """What came is no HTTP, or stopped short."""


class Head(Struct, frozen=True):
    """A response up to its body; names as they were written."""

    code: int
    reason: str
    headers: Headers

    def get(self, name: str) -> str:
        """The first header of that name, "" if there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class BackendConnection:
    """The other end of a connection."""

    def __init__(self, connection: PodConnection) -> None:
        self._connection = connection
        self._buffer = b""

    async def ask(self, method: str, target: str, headers: Headers) -> None:
        """Send a request up to its body."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        await self._connection.write(
            "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
        )

    async def send(self, body: AsyncIterator[bytes], *, chunked: bool) -> None:
        """Send a body, of the length that the headers have said or in chunks."""
        async for data in body:
            if data:
                framed = b"%x\r\n%b\r\n" % (len(data), data) if chunked else data
                await self._connection.write(framed)
        if chunked:
            await self._connection.write(b"0\r\n\r\n")

    async def head(self) -> Head:
        """The head of the response, after what is said on the way (100, 103)."""
        while True:
            found = _parsed(await self._until(_BLANK_LINE, _LARGEST_HEAD))
            if found.code == 101 or found.code >= 200:
                return found

    def body(self, head: Head, method: str) -> AsyncIterator[bytes]:
        """The body of the response, as it comes in."""
        if method == "HEAD" or head.code in (101, 204, 304):
            return _none()
        if "chunked" in head.get("Transfer-Encoding").lower():
            return self._chunks()
        length = head.get("Content-Length")
        if not length:
            return self.rest()
        if not (length.isascii() and length.isdigit() and len(length) < 16):
            raise BrokenBackend(f'bad Content-Length "{length[:40]}"')
        return self._counted(int(length))

    async def rest(self) -> AsyncIterator[bytes]:
        """All until the connection ends."""
        while data := self._buffer or await self._connection.read():
            self._buffer = b""
            yield data

    async def _counted(self, size: int) -> AsyncIterator[bytes]:
        while size:
            data = self._buffer or await self._more()
            self._buffer = data[size:]
            yield data[:size]
            size -= len(data[:size])

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := await self._chunk_size():
            async for data in self._counted(size):
                yield data
            await self._line()
        while await self._line():
            pass  # trailers

    async def _chunk_size(self) -> int:
        found = _SIZE.match(await self._line())
        if found is None:
            raise BrokenBackend("malformed chunked encoding")
        return int(found[0], 16)

    async def _line(self) -> bytes:
        return await self._until(_LINE_END, _LARGEST_LINE)

    async def _until(self, end: re.Pattern[bytes], limit: int) -> bytes:
        """What comes before the end, which is done with."""
        searched = 0
        while (ended := end.search(self._buffer, searched)) is None:
            if len(self._buffer) > limit:
                raise BrokenBackend("malformed HTTP response")
            searched = max(0, len(self._buffer) - 3)
            self._buffer += await self._more()
        found, self._buffer = self._buffer[: ended.start()], self._buffer[ended.end() :]
        return found

    async def _more(self) -> bytes:
        data = await self._connection.read()
        if not data:
            raise BrokenBackend("EOF")
        return data


async def _none() -> AsyncIterator[bytes]:
    for nothing in tuple[bytes, ...]():
        yield nothing


def _parsed(raw: bytes) -> Head:
    first, *lines = re.split("\r?\n", raw.decode("utf-8", "replace"))
    status = _STATUS.fullmatch(first)
    if status is None:
        raise BrokenBackend(f'malformed HTTP response "{first[:40]}"')
    return Head(int(status[1]), _printable(status[2] or ""), list(_headers(lines)))


def _headers(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None or not _printable(found[2]) == found[2]:
            raise BrokenBackend(f'malformed MIME header line: "{line[:40]}"')
        yield found[1], found[2]


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign >= " " or sign == "\t")
