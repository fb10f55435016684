"""HTTP/1.0 and 1.1 requests out of a stream of bytes: strict about framing, sparing of memory.

Pure: `RequestParser.feed` takes what arrived and returns the requests that are complete.
Bare line feeds end lines too, because people type requests into `nc`.
"""

from __future__ import annotations

import os
import re
import time
from urllib.parse import parse_qs, unquote

MAX_HEAD = 16 * 1024
MAX_HEADERS = 100
MAX_BODY = 1024 * 1024

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_TOKEN_BYTE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_VERSION = re.compile(r"HTTP/[0-9]\.[0-9]\Z")
_ABSOLUTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\Z")


class MalformedRequest(Exception):
    """The bytes are no acceptable request: answer `status` and close."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Request:
    """One request, and who sent it; what templates ask goes through `variable`."""

    __slots__ = ("body", "client", "headers", "local", "method", "target", "version")

    def __init__(self, method: str, target: str, version: str) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.client: tuple[str, int] = ("", 0)
        self.local: tuple[str, int] = ("", 0)

    @property
    def path(self) -> str:
        """The target without its query, percent-decoded."""
        return unquote(self.target.partition("?")[0])

    def header(self, name: str) -> str:
        """The first header of that (lower-case) name, or ""."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def keeps_alive(self) -> bool:
        """True when the client expects to send another request on this connection."""
        wish = self.header("connection").lower()
        return "keep-alive" in wish if self.version == "HTTP/1.0" else "close" not in wish

    def variable(self, name: str) -> str | None:
        """The value of a request variable of the catalogue's templates."""
        family, _, rest = name.partition(".")
        if family == "header":
            return self.header(rest.lower())
        if family == "query" and rest:
            return parse_qs(self.target.partition("?")[2], keep_blank_values=True).get(rest, [""])[
                0
            ]
        return self._plain_variable(name)

    def _plain_variable(self, name: str) -> str | None:
        match name:
            case "client":
                return self.client[0]
            case "client.port":
                return str(self.client[1])
            case "client.address":
                return address(self.client)
            case "server.address":
                return address(self.local)
            case "method" | "target" | "version" | "path":
                return str(getattr(self, name))
            case "query":
                return self.target.partition("?")[2]
            case "host":
                return self.header("host") or address(self.local)
            case "body":
                return self.body.decode(errors="replace")
            case _:
                return _of_now(name)


def _of_now(name: str) -> str | None:
    match name:
        case "date":
            return http_date(time.time())
        case "now":
            return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        case "id":
            return os.urandom(16).hex()
        case _:
            return None


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def http_date(timestamp: float) -> str:
    """`Thu, 20 Nov 2025 22:19:03 GMT`. email.utils does it too, for 15 ms of imports."""
    now = time.gmtime(timestamp)
    return (
        f"{_DAYS[now.tm_wday]}, {now.tm_mday:02} {_MONTHS[now.tm_mon - 1]} {now.tm_year} "
        f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} GMT"
    )


def log_date(timestamp: float) -> str:
    """`20/Nov/2025:22:19:03 +0000`, as access logs write it."""
    now = time.gmtime(timestamp)
    return (
        f"{now.tm_mday:02}/{_MONTHS[now.tm_mon - 1]}/{now.tm_year}:"
        f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} +0000"
    )


def address(pair: tuple[str, int]) -> str:
    """`10.244.1.2:40312`, `[fd00::2]:40312`."""
    host, port = pair
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class RequestParser:
    """The state of one connection's input."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._request: Request | None = None
        self._line_is_read = False
        self._body_left = 0
        self._chunks: _Chunks | None = None
        self.expects_continue = False
        self.malformed: int | None = None

    @property
    def is_idle(self) -> bool:
        """True between requests: nothing of the next one has arrived."""
        return not self._buffer and self._request is None

    def feed(self, data: bytes) -> list[Request]:
        """The requests completed by `data`.

        `expects_continue` is set when the client waits for `100 Continue` before its body;
        `malformed` to the status that the bytes after these requests deserve: there is no going
        on after that.
        """
        self._buffer += data
        complete = []
        try:
            while (request := self._next()) is not None:
                complete.append(request)
        except MalformedRequest as error:
            self.malformed = error.status
        return complete

    def _next(self) -> Request | None:
        if self._request is None:
            head = self._take_head()
            if head is None:
                return None
            self._request = parse_head(head)
            self._begin_body(self._request)
        if not self._take_body(self._request):
            return None
        request, self._request = self._request, None
        self.expects_continue = False
        return request

    def _take_head(self) -> bytes | None:
        while self._buffer.startswith((b"\r", b"\n")):  # RFC 9112 2.2: blank lines before a request
            del self._buffer[:1]
        if self._buffer and not _TOKEN_BYTE.match(self._buffer):
            raise MalformedRequest(400)  # TLS, most likely, which would wait for us to answer
        end = _HEAD_END.search(self._buffer, 0, MAX_HEAD)
        if end is None:
            if len(self._buffer) >= MAX_HEAD:
                raise MalformedRequest(431)
            if not self._line_is_read and b"\n" in self._buffer:
                _request_line(_text(self._buffer.partition(b"\n")[0]))  # nothing mends a wrong one
                self._line_is_read = True
            return None
        self._line_is_read = False
        head = bytes(self._buffer[: end.start()])
        del self._buffer[: end.end()]
        return head

    def _begin_body(self, request: Request) -> None:
        self._body_left, self._chunks = 0, None
        codings = [value for name, value in request.headers if name.lower() == "transfer-encoding"]
        lengths = {value for name, value in request.headers if name.lower() == "content-length"}
        if codings:
            self._chunks = _chunked(codings, lengths)
        elif lengths:
            self._body_left = _content_length(lengths)
        has_body = bool(codings) or self._body_left > 0
        self.expects_continue = has_body and request.header("expect").lower() == "100-continue"

    def _take_body(self, request: Request) -> bool:
        if self._chunks is not None:
            request.body = self._chunks.take(self._buffer)
            return self._chunks.is_complete
        if len(self._buffer) < self._body_left:
            return False
        if self._body_left:
            request.body = bytes(self._buffer[: self._body_left])
            del self._buffer[: self._body_left]
        return True


def parse_head(head: bytes) -> Request:
    """The request line and headers (without the blank line after them).

    Bytes that are no UTF-8 become surrogates, which turn into the same bytes when echoed.
    """
    lines = _text(head).split("\n")
    request = _request_line(lines[0])
    if len(lines) > MAX_HEADERS:
        raise MalformedRequest(431)
    for line in lines[1:]:
        name, colon, value = line.removesuffix("\r").partition(":")
        if not colon or not _TOKEN.match(name) or _CONTROL.search(value):
            raise MalformedRequest(400)
        request.headers.append((name, value.strip(" \t")))
    hosts = sum(1 for name, _ in request.headers if name.lower() == "host")
    if hosts > 1 or (hosts == 0 and request.version == "HTTP/1.1"):
        raise MalformedRequest(400)
    return request


def _text(data: bytes | bytearray) -> str:
    return data.decode("utf-8", "surrogateescape")


def _request_line(line: str) -> Request:
    line = line.removesuffix("\r")
    method, _, rest = line.partition(" ")
    target, _, version = rest.rpartition(" ")
    if not _TOKEN.match(method) or not _VERSION.match(version):
        raise MalformedRequest(400)
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise MalformedRequest(505)
    if target[:1] not in ("/", "*"):
        absolute = _ABSOLUTE.match(target)
        if absolute is None:
            raise MalformedRequest(400)
        target = target[absolute.end() :] or "/"
        target = target if target.startswith("/") else "/" + target
    if " " in target or _CONTROL.search(target):
        raise MalformedRequest(400)
    return Request(method, target, version)


def _content_length(values: set[str]) -> int:
    value = values.pop()
    if values or not value.isascii() or not value.isdigit():
        raise MalformedRequest(400)
    if len(value) > 12 or int(value) > MAX_BODY:
        raise MalformedRequest(413)
    return int(value)


def _chunked(codings: list[str], lengths: set[str]) -> _Chunks:
    if lengths:  # two framings of one body are how requests get smuggled
        raise MalformedRequest(400)
    if [coding.lower() for coding in codings] != ["chunked"]:
        raise MalformedRequest(501)
    return _Chunks()


class _Chunks:
    """A chunked body on its way in."""

    def __init__(self) -> None:
        self._body = bytearray()
        self._left = 0
        self._in_trailer = False
        self._trailer_size = 0
        self.is_complete = False

    def take(self, buffer: bytearray) -> bytes:
        """Move what belongs to the body out of `buffer`; the body as far as it came."""
        while not self.is_complete and self._step(buffer):
            pass
        return bytes(self._body) if self.is_complete else b""

    def _step(self, buffer: bytearray) -> bool:
        if self._left:
            return self._take_data(buffer)
        end = buffer.find(b"\n")
        if end < 0:
            if len(buffer) > MAX_HEAD:
                raise MalformedRequest(400)
            return False
        line = bytes(buffer[:end]).removesuffix(b"\r")
        del buffer[: end + 1]
        self._take_line(line)
        return True

    def _take_line(self, line: bytes) -> None:
        if self._in_trailer:
            self._trailer_size += len(line)
            if self._trailer_size > MAX_HEAD:
                raise MalformedRequest(431)
            self.is_complete = not line
            return
        size = _CHUNK_SIZE.match(line)
        if size is None:
            raise MalformedRequest(400)
        length = int(size[1], 16)
        if len(self._body) + length > MAX_BODY:
            raise MalformedRequest(413)
        self._in_trailer = length == 0
        self._left = length + 2 if length else 0  # the line end after the data counts too

    def _take_data(self, buffer: bytearray) -> bool:
        if len(buffer) < self._left:
            return False
        data, end = buffer[: self._left - 2], bytes(buffer[self._left - 2 : self._left])
        if end != b"\r\n":
            raise MalformedRequest(400)
        self._body += data
        del buffer[: self._left]
        self._left = 0
        return True
