"""A real connection whose first packet is the probe: a question asked from within a namespace.

The connection's first sequence number is chosen (by TCP_REPAIR, before it connects), so that the
SYN which the kernel sends is known at every hop as a probe is. What answers is a stranger: it is
read up to a bound, in a time, and never trusted to be HTTP.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from netlab.kernel import netns as namespaces
from netlab.kernel.readiness import WRITE, is_ready
from netlab.pathcheck.decode import endpoint
from netlab.pathcheck.packets import ProbePacket

_MOST_HEADERS = 64 << 10
_MOST_BODY = 1 << 20
_LONGEST_LINE = 200
_CHUNK = 16 << 10
_SECONDS = 3.0
_WORDS_SECONDS = 1.0

_TCP_REPAIR, _TCP_REPAIR_QUEUE, _TCP_QUEUE_SEQ = 19, 20, 21
_SEND_QUEUE, _ON, _OFF_IN_SILENCE = 2, 1, -1


class HttpRequest(Struct, frozen=True):
    """A GET. `host` is what the server is asked as, "" for its address; `ident` is nobody else's:
    by it the request is known where it is passed on."""

    path: str
    host: str = ""
    tls: bool = False
    ident: str = ""


class PlainText(Struct, frozen=True):
    """What is said once there is a connection."""

    text: str


Question = HttpRequest | PlainText


class Exchange(Struct, frozen=True):
    """What was answered: `status` line and `code` (0 without HTTP), what was `said` first, how many
    bytes that had, the seconds until there was a connection, and until all was read. `error` is why
    there is no answer."""

    status: str = ""
    code: int = 0
    said: str = ""
    size: int = 0
    server: str = ""
    location: str = ""
    connected: float = 0.0
    seconds: float = 0.0
    error: str = ""


def http_request(path: str, host: str = "", *, tls: bool = False) -> HttpRequest:
    """With an identity of its own."""
    return HttpRequest(path, host, tls, secrets.token_hex(16))


class Caller:
    """Sends a probe by connecting; a context manager, and as `Senders` to who sends."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._threads = ThreadPoolExecutor(max_workers=1)
        self._answer: Future[Exchange] | None = None

    def __enter__(self) -> Caller:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._threads.shutdown()

    def send(self, netns: Path | int, probe: ProbePacket) -> str:
        """Connect, with the probe's numbers; "" or why the kernel would not."""
        family = socket.AF_INET6 if ":" in probe.dst else socket.AF_INET
        with namespaces.entered(netns):
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            _choose_number(sock, probe.key)
            sock.bind((probe.src, probe.sport))
            code = sock.connect_ex((probe.dst, probe.dport))
        except OSError as error:
            code = error.errno or errno.EIO
        if code not in (0, errno.EINPROGRESS, errno.EPERM):
            sock.close()
            return os.strerror(code)
        self._answer = self._threads.submit(_ask, sock, self._question, probe)
        return ""

    def exchange(self) -> Exchange:
        """What was answered; it is waited for."""
        return self._answer.result() if self._answer is not None else Exchange(error="not sent")


def _choose_number(sock: socket.socket, number: int) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, _ON)
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_QUEUE, _SEND_QUEUE)
    signed = number - 2**32 if number >= 2**31 else number
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_QUEUE_SEQ, signed)
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, _OFF_IN_SILENCE)


def _ask(sock: socket.socket, question: Question, probe: ProbePacket) -> Exchange:
    since = time.monotonic()
    deadline = since + _SECONDS
    with sock:
        ready = is_ready(sock.fileno(), _SECONDS, WRITE)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        connected = time.monotonic() - since
        if not ready or code:
            return Exchange(error=os.strerror(code or errno.ETIMEDOUT).lower(), seconds=connected)
        try:
            sock.settimeout(_SECONDS)
            if isinstance(question, PlainText):
                sock.sendall(f"{question.text}\n".encode())
                body = _answer_in_words(sock)
                spent = time.monotonic() - since
                return Exchange(
                    said=_shown(body), size=len(body), connected=connected, seconds=spent
                )
            stream = _wrapped(sock, question) if question.tls else sock
            stream.sendall(_text(question, probe))
            head, body = _read(stream, deadline)
        except (OSError, ValueError) as error:
            text = str(error.strerror or error) if isinstance(error, OSError) else str(error)
            spent = time.monotonic() - since
            return Exchange(error=text.lower(), connected=connected, seconds=spent)
        return _exchange(head, body, connected, time.monotonic() - since)


def _wrapped(sock: socket.socket, request: HttpRequest) -> ssl.SSLSocket:
    """Whose certificate it is does not matter: what is asked is who answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(sock, server_hostname=request.host.rpartition(":")[0] or None)


def _text(request: HttpRequest, probe: ProbePacket) -> bytes:
    lines = (
        f"GET {request.path} HTTP/1.1",
        f"Host: {request.host or endpoint(probe.dst, probe.dport)}",
        "User-Agent: netlab",
        "Accept: */*",
        f"X-Request-ID: {request.ident}",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def _answer_in_words(sock: socket.socket) -> bytes:
    """Whatever comes first. Who speaks first, and when it is over, is the server's to know."""
    return next(_chunks(sock, time.monotonic() + _WORDS_SECONDS), b"")


def _read(stream: socket.socket, deadline: float) -> tuple[bytes, bytes]:
    """The head and as much of the body as is read at most."""
    data = bytearray()
    head = -1
    for chunk in _chunks(stream, deadline):
        data += chunk
        head = head if head >= 0 else data.find(b"\r\n\r\n")
        if len(data) > (_MOST_HEADERS if head < 0 else head + _MOST_BODY):
            break
    if head < 0:
        return bytes(data), b""
    return bytes(data[:head]), bytes(data[head + 4 :])


def _chunks(stream: socket.socket, deadline: float) -> Iterator[bytes]:
    while (left := deadline - time.monotonic()) > 0:
        stream.settimeout(left)
        try:
            chunk = stream.recv(_CHUNK)
        except TimeoutError:
            return
        if not chunk:
            return
        yield chunk


def _exchange(head: bytes, body: bytes, connected: float, seconds: float) -> Exchange:
    first, *rest = head.decode("latin-1").split("\r\n")
    if not head.startswith(b"HTTP/"):
        said = "it does not speak HTTP" if head else "the connection was closed without an answer"
        return Exchange(
            said=_shown(head), connected=connected, seconds=seconds, size=len(head), error=said
        )
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (one.partition(":") for one in rest)
    }
    number = first.split(" ")[1] if " " in first else ""
    return Exchange(
        status=first[:_LONGEST_LINE],
        code=int(number) if number.isascii() and number.isdigit() and len(number) == 3 else 0,
        said=_shown(body),
        size=len(body),
        server=fields.get("server", "")[:_LONGEST_LINE],
        location=fields.get("location", "")[:_LONGEST_LINE],
        connected=connected,
        seconds=seconds,
    )


def _shown(body: bytes) -> str:
    """The first line that says something."""
    text = body[: 16 * _LONGEST_LINE].decode(errors="replace")
    return next((line.strip()[:_LONGEST_LINE] for line in text.splitlines() if line.strip()), "")
