"""An HTTP server and a client, with a thread for each connection: small, and quick to start."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import parse_qs

from netlab.workload.http1 import Request, RequestParser, http_date

TEXT = "text/plain; charset=utf-8"
_CHUNK = 64 * 1024
_MOST = 256
"""Connections at a time: each is a thread, of which a pod may have 512."""

_IDLE_SECONDS = 300.0
_STACK = 256 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Handler = Callable[[Request], "Answer"]
Wrap = Callable[[socket.socket], socket.socket]


class Answer:
    """What a handler says."""

    def __init__(
        self,
        body: str | bytes = b"",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.body = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body
        self.headers = {"Content-Type": sniffed(self.body), **(headers or {})}

    def render(self, method: str, *, close: bool) -> bytes:
        """All that is sent."""
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:
            reason = f"status code {self.status}"
        head = {"Date": http_date(time.time()), **self.headers}
        if self.status >= 200 and self.status not in (204, 304):
            head.setdefault("Content-Length", str(len(self.body)))
        if close:
            head["Connection"] = "close"
        lines = "".join(f"{name}: {_line(value)}\r\n" for name, value in head.items())
        text = f"HTTP/1.1 {self.status} {reason}\r\n{lines}\r\n"
        return text.encode("utf-8", "surrogateescape") + (b"" if method == "HEAD" else self.body)

    def send(self, connection: socket.socket, request: Request, *, close: bool) -> int:
        """Send it all; how large the body was."""
        connection.sendall(self.render(request.method, close=close))
        return len(self.body)


_MARKUP = re.compile(
    rb"[\t\n\f\r ]*(?:<!--|<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style"
    rb"|title|b|body|br|p)[ >]|(<\?xml))",
    re.IGNORECASE,
)
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_SNIFFED = 512


def sniffed(body: bytes) -> str:
    """The Content-Type that Go's net/http finds of a body whose handler names none.

    Source: https://mimesniff.spec.whatwg.org, as far as texts go.
    """
    begin = body[:_SNIFFED]
    if found := _MARKUP.match(begin):
        return "text/xml; charset=utf-8" if found[1] else "text/html; charset=utf-8"
    return "application/octet-stream" if _BINARY.search(begin) else TEXT


def _line(value: str) -> str:
    return re.sub(r"[\r\n]", " ", value)


def error(message: str, status: int) -> Answer:
    """As Go's `http.Error`."""
    headers = {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"}
    return Answer(f"{message}\n", status, headers)


def as_json(value: Any, status: int = 200) -> Answer:
    """A value as Go writes it, which has no blanks between."""
    return Answer(json.dumps(value, separators=(",", ":"), ensure_ascii=False), status)


def fields(request: Request) -> dict[str, str]:
    """The first value of each field of a form, or else of the query."""
    kind = request.header("content-type").partition(";")[0].strip().lower()
    posted = request.body.decode(errors="replace") if kind.endswith("-urlencoded") else ""
    texts = (request.target.partition("?")[2], posted)
    return {
        name: values[0]
        for text in texts
        for name, values in parse_qs(text, keep_blank_values=True).items()
    }


def routed(routes: Mapping[str, Handler]) -> Handler:
    """Answers by path; `/` takes those that have nobody."""

    def answer(request: Request) -> Answer:
        handler = routes.get(request.path) or routes.get("/")
        return handler(request) if handler else error("404 page not found", 404)

    return answer


def listening(
    port: int, host: str = "", kind: int = socket.SOCK_STREAM, *, shared: bool = False
) -> socket.socket:
    """A socket on a port, of one address or of all, by whatever families there are; `shared` with
    those who listen there already, and let us."""
    both = socket.has_ipv6 and not host
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    try:
        opened = socket.socket(family, kind)
    except OSError:  # no IPv6 here
        both, opened = False, socket.socket(socket.AF_INET, kind)
    if both:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if kind == socket.SOCK_STREAM:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    opened.bind((host, port))
    if kind == socket.SOCK_STREAM:
        opened.listen(1024)
    if shared:  # and nobody after us
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
    return opened


class Server:
    """An HTTP server on a socket; `wrap` makes a connection one over TLS.

    `refuse` says what is sent to who makes no request, for a status; `told` hears of each request,
    the status of its answer and the size of that.
    """

    def __init__(
        self,
        opened: socket.socket,
        handler: Handler,
        wrap: Wrap | None = None,
        *,
        refuse: Callable[[int], bytes] | None = None,
        told: Callable[[Request, int, int], None] = lambda *_: None,
    ) -> None:
        self._opened = opened
        self._handler = handler
        self._wrap = wrap
        self._refuse = refuse or refusal
        self._told = told
        self._room = threading.Semaphore(_MOST)
        self._busy: set[object] = set()
        self._closing = threading.Event()

    def run(self) -> None:
        """Serve until `shutdown`."""
        threading.stack_size(_STACK)
        while not self._closing.is_set():
            try:
                connection, _ = self._opened.accept()
            except OSError:
                if self._closing.is_set():
                    return
                time.sleep(0.01)  # no descriptors left
                continue
            if not self._room.acquire(blocking=False):
                connection.close()
                continue
            try:
                in_background(self._connected, connection)
            except RuntimeError:  # the pod has no more threads
                self._room.release()
                connection.close()

    def shutdown(self, seconds: float) -> None:
        """Take no more connections, and wait until nobody waits for an answer."""
        self._closing.set()
        self._opened.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        limit = time.monotonic() + seconds
        while self._busy and time.monotonic() < limit:
            time.sleep(0.01)

    def _connected(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            spoken = self._wrap(connection) if self._wrap else connection
            spoken.settimeout(_IDLE_SECONDS)
            self._converse(spoken)
        except (OSError, ValueError):
            pass  # it is gone, or has said no TLS
        finally:
            connection.close()
            self._room.release()

    def _converse(self, connection: socket.socket) -> None:
        client, local = plain(connection.getpeername()), plain(connection.getsockname())
        parser = RequestParser()
        with connection:
            while data := connection.recv(_CHUNK):
                for request in parser.feed(data):
                    request.client, request.local = client, local
                    close = not request.keeps_alive() or self._closing.is_set()
                    answer = self._answer(request)
                    size = answer.send(connection, request, close=close)
                    self._told(request, answer.status, size)
                    if close:
                        return
                if parser.malformed is not None:
                    connection.sendall(self._refuse(parser.malformed))
                    return
                if parser.expects_continue:
                    parser.expects_continue = False
                    connection.sendall(_CONTINUE)

    def _answer(self, request: Request) -> Answer:
        mark = object()
        self._busy.add(mark)
        try:
            return self._handler(request)
        except Exception as problem:
            log(f"{request.target}: {problem!r}")
            return error("internal error", 500)
        finally:
            self._busy.discard(mark)


def refusal(status: int) -> bytes:
    """What Go's server says to what is no request, before it closes."""
    text = f"{status} {HTTPStatus(status).phrase}"
    return (f"HTTP/1.1 {text}\r\nContent-Type: {TEXT}\r\nConnection: close\r\n\r\n{text}").encode()


def plain(name: Any) -> tuple[str, int]:
    """(host, port); an IPv4 client of an IPv6 socket gets its IPv4 address."""
    host = str(name[0]).partition("%")[0]
    return host.removeprefix("::ffff:") if "." in host else host, int(name[1])


def serve(port: int, handler: Handler, host: str = "") -> NoReturn:
    """Serve to the end, which is the process's."""
    try:
        opened = listening(port, host)
        log(f"listening on port {port}")
        Server(opened, handler).run()
    except OSError as problem:
        log(f"listen tcp :{port}: bind: {problem.strerror}")
    sys.exit(1)


def get(
    host: str,
    port: int,
    target: str,
    *,
    seconds: float = 5.0,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    wrap: Wrap | None = None,
) -> tuple[int, bytes]:
    """The status and the body of an answer to a GET, or to a POST of `body`; `OSError`."""
    limit = time.monotonic() + seconds
    with socket.create_connection((host, port), seconds) as plain:
        connection = wrap(plain) if wrap else plain
        named = f"[{host}]" if ":" in host else host
        sent = {"Host": f"{named}:{port}", "User-Agent": "Go-http-client/1.1", **(headers or {})}
        sent["Connection"] = "close"
        if body is not None:
            sent["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        method = "GET" if body is None else "POST"
        connection.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + (body or b""))
        received = bytearray()
        while True:
            connection.settimeout(max(0.001, limit - time.monotonic()))
            data = connection.recv(_CHUNK)
            if not data:
                return _taken_apart(bytes(received))
            received += data


def _taken_apart(received: bytes) -> tuple[int, bytes]:
    head, _, body = received.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if not head.startswith(b"HTTP/") or len(words) < 2 or not words[1].isdigit():
        raise OSError(f"malformed HTTP response {received[:32].decode(errors='replace')!r}")
    if re.search(rb"(?mi)^transfer-encoding:\s*chunked", head):
        body = _joined(body)
    return int(words[1]), body


def _joined(chunks: bytes) -> bytes:
    whole = b""
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        length = int(size.partition(b";")[0] or b"0", 16)
        if not length:
            break
        whole, chunks = whole + chunks[:length], chunks[length + 2 :]
    return whole


def in_background(work: Callable[..., object], *arguments: object) -> None:
    """Do it in a thread that ends with the process."""
    threading.Thread(target=work, args=arguments, daemon=True).start()


def log(text: str) -> None:
    """A line on stderr, as Go's `log` writes it; a handler of signals may interrupt another."""
    os.write(2, f"{time.strftime('%Y/%m/%d %H:%M:%S')} {text}\n".encode(errors="replace"))
