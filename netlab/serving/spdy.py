"""SPDY/3.1 as far as Kubernetes speaks it: streams over one connection, without flow control.

Pure: bytes in, frames out, and the other way round. kubectl before 1.30 runs `exec` over it, and
every kubectl `port-forward`. Both ends ignore WINDOW_UPDATE, as Kubernetes' own library does:
what holds a sender back is the connection itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from netlab.errors import NetlabError

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY, HEADERS = 1, 2, 3, 6, 7, 8
FIN = 0x01

_VERSION = 0x8003
_LARGEST_FRAME = 1 << 20
_LARGEST_HEADERS = 64 * 1024

# The compressor's dictionary (draft-mbelshe-httpbis-spdy-00, 2.6.10.1): words with their lengths
# before them, then text without.
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language "
    "accept-ranges age allow authorization cache-control connection content-base "
    "content-encoding content-language content-length content-location content-md5 "
    "content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location "
    "max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after "
    "server te trailer transfer-encoding upgrade user-agent vary via warning "
    "www-authenticate method get status"
)
_MORE_WORDS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive")
_TEXT = (
    "origin100101201202205206300302303304305306307402405406407408409410411412413414415416417"
    "502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad "
    "Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not "
    "Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,"
    "image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,public"
    "privatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _counted(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(4, "big") + data


# "origin" is a word like the others, and the text follows it at once.
DICTIONARY = (
    b"".join(map(_counted, (*_WORDS.split(), *_MORE_WORDS)))
    + len("origin").to_bytes(4, "big")
    + _TEXT.encode()
)


class Broken(NetlabError):
    """The other side does not speak SPDY/3.1."""


class Frame(Struct, frozen=True):
    """One frame: `type` 0 is data; `headers` (names in lower case) come with some types only."""

    type: int
    stream: int
    data: bytes = b""
    flags: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_last(self) -> bool:
        """Whether its sender sends no more on the stream."""
        return bool(self.flags & FIN)


class SpdyFrameReader:
    """Takes bytes as they arrive and gives the frames that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add what arrived; yields each frame that it completes."""
        self._buffer += data
        while len(self._buffer) >= 8:
            size = int.from_bytes(self._buffer[5:8], "big")
            if size > _LARGEST_FRAME:
                raise Broken("a SPDY frame is too large")
            if len(self._buffer) < 8 + size:
                return
            head, payload = bytes(self._buffer[:8]), bytes(self._buffer[8 : 8 + size])
            del self._buffer[: 8 + size]
            yield self._frame(head, payload)

    def _frame(self, head: bytes, payload: bytes) -> Frame:
        first = int.from_bytes(head[:4], "big")
        if not first >> 31:
            return Frame(0, first, payload, head[4])
        if first >> 16 != _VERSION:
            raise Broken("this is not SPDY/3.1")
        kind = first & 0xFFFF
        stream = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        skipped = {SYN_STREAM: 10, SYN_REPLY: 4, HEADERS: 4}.get(kind)
        headers = self._headers(payload[skipped:]) if skipped is not None else {}
        return Frame(kind, stream, payload, head[4], headers)

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            text = self._inflate.decompress(block, _LARGEST_HEADERS)
        except zlib.error as error:
            raise Broken(f"SPDY headers make no sense: {error}") from None
        if self._inflate.unconsumed_tail:
            raise Broken("SPDY headers are too large")
        found, at = {}, 4
        for _ in range(min(int.from_bytes(text[:4], "big"), 100)):
            name, at = _word(text, at)
            value, at = _word(text, at)
            found[name.lower()] = value
        return found


def _word(text: bytes, at: int) -> tuple[str, int]:
    end = at + 4 + int.from_bytes(text[at : at + 4], "big")
    if end > len(text):
        raise Broken("SPDY headers are cut off")
    return text[at + 4 : end].decode("utf-8", "replace"), end


class FrameWriter:
    """Writes frames; keeps the compressor that all headers of a connection share."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def syn_reply(self, stream: int, headers: Mapping[str, str] | None = None) -> bytes:
        """Accept a stream."""
        return _control(SYN_REPLY, stream.to_bytes(4, "big") + self._block(headers or {}))

    def syn_stream(self, stream: int, headers: Mapping[str, str], flags: int = 0) -> bytes:
        """Open a stream."""
        fixed = stream.to_bytes(4, "big") + bytes(6)
        return _control(SYN_STREAM, fixed + self._block(headers), flags)

    def _block(self, headers: Mapping[str, str]) -> bytes:
        pairs = b"".join(_counted(name) + _counted(value) for name, value in headers.items())
        block = self._deflate.compress(len(headers).to_bytes(4, "big") + pairs)
        return block + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def data_frame(stream: int, data: bytes, flags: int = 0) -> bytes:
    """Bytes on a stream."""
    return stream.to_bytes(4, "big") + bytes([flags]) + len(data).to_bytes(3, "big") + data


def ping(number: int) -> bytes:
    """A PING, or the answer to one."""
    return _control(PING, number.to_bytes(4, "big"))


def reset(stream: int, status: int = 1) -> bytes:
    """Refuse or break off a stream; status 1 is a protocol error, 5 means cancelled."""
    return _control(RST_STREAM, stream.to_bytes(4, "big") + status.to_bytes(4, "big"))


def _control(kind: int, payload: bytes, flags: int = 0) -> bytes:
    first = _VERSION << 16 | kind
    return first.to_bytes(4, "big") + bytes([flags]) + len(payload).to_bytes(3, "big") + payload
