"""HTTP/1.1 over a unix socket or TLS, by hand and no more of it than this API's clients need.

The CLI starts in a tenth of a second; `http.client` alone would cost it 30 ms to import.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from netlab.client.endpoint import ApiEndpoint
from netlab.errors import EnvironmentLacks, NetlabError

_LINE = 64 * 1024

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
"""After so long a server without a word counts as hung, also on a busy machine."""


class ControllerUnreachable(NetlabError):
    """No API server answers where it should."""


class BrokenAnswer(NetlabError):
    """The answer stopped short, or was no HTTP."""

    def __init__(self, what: str = "the connection to the API server was lost") -> None:
        super().__init__(what, hint="netlab status shows whether the lab's controller still runs")


class Unanswered(NetlabError):
    """The API server took the request, or is there at least, and says nothing."""

    def __init__(self) -> None:
        super().__init__(
            "the API server runs, but does not answer: it is stopped, or hangs",
            hint="netlab status; if it does not come back, end it (kill -9) and "
            "`sudo netlab up FILE` starts another: pods go on meanwhile",
        )


def connect(endpoint: ApiEndpoint, answer_within: float = ANSWER_SECONDS) -> socket.socket:
    """A connection to an API server.

    Whatever is sent or awaited on it may take `answer_within` seconds, then it is `Unanswered`.
    """
    seconds = min(CONNECT_SECONDS, answer_within)
    try:
        sock = _local(endpoint.socket, seconds) if endpoint.socket else _far(endpoint, seconds)
    except TimeoutError:
        raise Unanswered from None
    except OSError as error:
        raise _unreachable(endpoint, error) from None
    sock.settimeout(answer_within)
    return sock


def _local(path: str, seconds: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(seconds)
    try:
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def _far(endpoint: ApiEndpoint, seconds: float) -> socket.socket:
    from netlab.client import tcp

    return tcp.connect(endpoint, seconds)


def _unreachable(endpoint: ApiEndpoint, error: OSError) -> NetlabError:
    path = endpoint.socket
    if not path:
        return unreachable(endpoint, error)
    if isinstance(error, PermissionError):
        return EnvironmentLacks(f"no permission to use {path}", hint="run it with sudo")
    gone = isinstance(error, FileNotFoundError | ConnectionRefusedError)
    why = "" if gone else f": {path}: {error.strerror or error}"
    return ControllerUnreachable(
        f"the controller of lab {Path(path).parent.name} is not running{why}",
        hint="`sudo netlab up FILE` starts it again, and pods go on meanwhile; "
        "`netlab status` shows how the lab is",
    )


def unreachable(endpoint: ApiEndpoint, error: OSError) -> ControllerUnreachable:
    """Nobody answers at a URL."""
    return ControllerUnreachable(
        f"no API server answers at {endpoint.where}: {error.strerror or error}",
        hint="see that it runs, and that the kubeconfig is of now: a lab's is good until the lab "
        "is taken down",
    )


def request_bytes(
    endpoint: ApiEndpoint, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> bytes:
    """A request as it goes over the wire; `target` is path and query, already quoted."""
    lines = [f"{method} {endpoint.prefix}{target} HTTP/1.1", f"Host: {endpoint.host}"]
    lines += [f"{name}: {value}" for name, value in {**endpoint.headers, **headers}.items()]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Response(Struct):
    """Status and headers (names in lower case), with the body still to be read.

    A header that comes several times is kept once, its values joined by line feeds.
    """

    code: int
    headers: dict[str, str]
    stream: BinaryIO

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection can take another request after this body."""
        return self.headers.get("connection", "").lower() != "close"

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes in."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunked()
        elif "content-length" in self.headers:
            yield from self._counted(int(self.headers["content-length"]))
        elif self.code not in (101, 204, 304):
            while data := _some(self.stream):
                yield data

    def _chunked(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield _exactly(self.stream, size)
            _exactly(self.stream, 2)
        while _line(self.stream):
            pass  # trailers

    def _chunk_size(self) -> int:
        text = _line(self.stream).partition(b";")[0]
        try:
            return int(text, 16)
        except ValueError:
            raise BrokenAnswer("the API server's answer makes no sense") from None

    def _counted(self, size: int) -> Iterator[bytes]:
        if size:
            yield _exactly(self.stream, size)


def read_response(stream: BinaryIO) -> Response:
    """Read a response up to the end of its headers."""
    version, _, rest = _line(stream).partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise BrokenAnswer
    headers: dict[str, str] = {}
    while line := _line(stream):
        name, _, value = line.decode("latin-1").partition(":")
        key = name.lower()
        text = value.strip()
        headers[key] = f"{headers[key]}\n{text}" if key in headers else text
    return Response(int(rest[:3]), headers, stream)


def send(sock: socket.socket, message: bytes) -> None:
    """Send all of a request; a server that has gone is a `BrokenAnswer` like any other."""
    with _broken_if_lost():
        sock.sendall(message)


@contextlib.contextmanager
def _broken_if_lost() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise Unanswered from None
    except ConnectionError:
        raise BrokenAnswer from None
    except OSError as error:  # of TLS: this may be when the server says whom it does not admit
        raise BrokenAnswer(f"the connection was refused: {error.strerror or error}") from None


def _line(stream: BinaryIO) -> bytes:
    with _broken_if_lost():
        line = stream.readline(_LINE)
    if not line.endswith(b"\n"):
        raise BrokenAnswer
    return line.rstrip(b"\r\n")


def _some(stream: BinaryIO) -> bytes:
    with _broken_if_lost():
        return stream.read(65536)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    with _broken_if_lost():
        data = stream.read(size)
    if len(data) < size:
        raise BrokenAnswer
    return data
