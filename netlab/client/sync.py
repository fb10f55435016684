"""The CLI's client: blocking, for a lab's socket or any API server, and quick to import."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from netlab.client.endpoint import Where, endpoint
from netlab.client.wire import (
    ANSWER_SECONDS,
    BrokenAnswer,
    Response,
    Unanswered,
    connect,
    read_response,
    request_bytes,
    send,
)
from netlab.errors import ApiError, NotFound
from netlab.objects import kinds
from netlab.objects.meta import Object

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

Query = Mapping[str, str | int | bool | Sequence[str]]
_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:,")


class Client:
    """One API server's. Keeps its connection for the next request; usable as a context manager.

    What the server warns of (unknown fields, say) goes to `warn`, which keeps it in `warnings`
    as long as nobody puts another in its place.
    Raises the `ApiError` that the server's Status stands for, `ControllerUnreachable`, and
    `Unanswered` when nothing comes for `timeout` seconds.
    """

    def __init__(self, where: Where, *, timeout: float = ANSWER_SECONDS) -> None:
        self.endpoint = endpoint(where)
        """Which server's."""

        self._timeout = timeout
        self._sock: socket.socket | None = None
        self._stream: BinaryIO | None = None
        self.warnings: list[str] = []
        self.warn: Callable[[str], None] = self.warnings.append

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connection, if there is one."""
        if self._stream is not None:
            self._stream.close()
        if self._sock is not None:
            self._sock.close()
        self._sock = self._stream = None

    # -- requests --------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Query | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        """Send a request and return the JSON answer; `body` is sent as JSON."""
        answer: Object = json.loads(
            self.raw(method, path, body, query=query, content_type=content_type, accept=accept)
        )
        return answer

    def raw(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Query | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        """Like `request`; the answer's bytes. Bytes as `body` are sent as they are."""
        content = b"" if body is None else body if isinstance(body, bytes) else _json(body)
        headers = {"Accept": accept}
        if content:
            headers["Content-Type"] = content_type
        message = request_bytes(self.endpoint, method, target(path, query), headers, content)
        try:
            response = self._exchange(message)
            data = response.read()
        except Unanswered:  # what comes later answers this request, not the next one
            self.close()
            raise
        if not response.keeps_alive:
            self.close()
        for text in _warnings(response):
            self.warn(text)
        return _checked(response, data)

    def stream(self, path: str, *, query: Query | None = None, accept: str = "*/*") -> Chunks:
        """A GET whose answer keeps coming, on a connection of its own."""
        sock = connect(self.endpoint, self._timeout)
        stream = sock.makefile("rb")
        try:
            send(sock, self._get(path, query, accept))
            response = read_response(stream)
            if response.code >= 300:
                _checked(response, response.read())
            sock.settimeout(None)
        except BaseException:
            stream.close()
            sock.close()
            raise
        return Chunks(sock, stream, response)

    def _get(self, path: str, query: Query | None, accept: str) -> bytes:
        return request_bytes(self.endpoint, "GET", target(path, query), {"Accept": accept}, b"")

    def _exchange(self, message: bytes) -> Response:
        """Send on the kept connection; once more on a fresh one if the server had closed it."""
        kept = self._stream is not None
        try:
            return self._send(message)
        except BrokenAnswer:
            self.close()
            if not kept:
                raise
        return self._send(message)

    def _send(self, message: bytes) -> Response:
        if self._sock is None or self._stream is None:
            self._sock = connect(self.endpoint, self._timeout)
            self._stream = self._sock.makefile("rb")
        send(self._sock, message)
        return read_response(self._stream)

    # -- verbs -----------------------------------------------------------------------------

    def get(self, kind: str, namespace: str, name: str) -> Any:
        """One object, of the type of that name as whoever asks declares."""
        return self.request("GET", _path(kind, namespace, name))

    def list(
        self, kind: str, namespace: str | None = None, *, query: Query | None = None
    ) -> Sequence[Any]:
        """All objects of a kind in one namespace, or (None) in all."""
        return self._listed(kind, self.request("GET", _path(kind, namespace), query=query))

    def some(self, kind: str, most: int) -> tuple[Sequence[Any], int]:
        """The first of a kind's objects, of all namespaces, and how many more there are."""
        answer = self.request("GET", _path(kind, None), query={"limit": str(most)})
        left = (answer.get("metadata") or {}).get("remainingItemCount")
        return self._listed(kind, answer), left or 0

    def _listed(self, kind: str, answer: Object) -> Sequence[Any]:
        return [kinds.BY_KIND[kind].typed(item) for item in answer.get("items") or []]

    def table(
        self,
        kind: str,
        namespace: str | None = None,
        name: str = "",
        *,
        query: Query | None = None,
    ) -> Object:
        """A collection or one object as the server prints it: a `meta.k8s.io/v1` Table."""
        return self.request("GET", _path(kind, namespace, name), query=query, accept=TABLE)

    def create(self, obj: Object, *, query: Query | None = None) -> Object:
        """Create an object; namespaced ones say where in their metadata."""
        metadata = obj["metadata"]
        path = _path(obj["kind"], metadata.get("namespace") or "default")
        return self.request("POST", path, obj, query=query)

    def update(self, obj: Object, *, subresource: str = "", query: Query | None = None) -> Object:
        """Replace an object."""
        metadata = obj["metadata"]
        space = metadata.get("namespace") or "default"
        path = _path(obj["kind"], space, metadata["name"], subresource)
        return self.request("PUT", path, obj, query=query)

    def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        patch: object,
        *,
        content_type: str = "application/merge-patch+json",
        subresource: str = "",
        query: Query | None = None,
    ) -> Object:
        """Change part of an object."""
        path = _path(kind, namespace, name, subresource)
        return self.request("PATCH", path, patch, query=query, content_type=content_type)

    def delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        *,
        grace_period: int | None = None,
        propagation: str = "Background",
    ) -> Object:
        """Ask for deletion; the answer is the object while it lingers, else a Status."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        options["propagationPolicy"] = propagation
        if grace_period is not None:
            options["gracePeriodSeconds"] = grace_period
        return self.request("DELETE", _path(kind, namespace, name), options)

    def watch(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        query: Query | None = None,
        table: bool = False,
    ) -> Iterator[Object]:
        """Watch events (`{"type": …, "object": …}`) until the server ends the watch.

        An ERROR event is raised as the `ApiError` it stands for.
        """
        accept = TABLE if table else "application/json"
        asked = {**(query or {}), "watch": True}
        with self.stream(_path(kind, namespace), query=asked, accept=accept) as chunks:
            for line in chunks.lines():
                event: Object = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError.from_status(event["object"])
                yield event

    def logs(self, namespace: str, pod: str, *, query: Query | None = None) -> Iterator[bytes]:
        """A container's output in chunks; goes on with `follow` until the container ends."""
        with self.stream(_path("Pod", namespace, pod, "log"), query=query) as chunks:
            yield from chunks


class Chunks:
    """The body of an answer that keeps coming. Close it, or use it as a context manager."""

    def __init__(self, sock: socket.socket, stream: BinaryIO, response: Response) -> None:
        self._sock = sock
        self._stream = stream
        self._response = response

    def __enter__(self) -> Chunks:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._sock.close()

    def __iter__(self) -> Iterator[bytes]:
        return self._response.chunks()

    def lines(self) -> Iterator[bytes]:
        """The body line by line, without the line ends; empty lines are left out."""
        rest = b""
        for chunk in self:
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line for line in whole if line)


def target(path: str, query: Query | None = None) -> str:
    """Path and query for the request line, quoted; True is `true`, a list repeats the name."""
    pairs = []
    for name, value in (query or {}).items():
        if isinstance(value, str | int):
            value = [_text(value)]
        pairs += [f"{quote(name)}={quote(one)}" for one in value]
    return "?".join([quote(path), "&".join(pairs)]) if pairs else quote(path)


def _text(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def quote(text: str) -> str:
    """Percent-encode what may not stand in a URL (urllib.parse would take 6 ms to import)."""
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in text.encode())


def _path(kind: str, namespace: str | None, name: str = "", subresource: str = "") -> str:
    return kinds.BY_KIND[kind].path(namespace or "", name, subresource)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _warnings(response: Response) -> list[str]:
    """The texts of `Warning: 299 - "…"` headers."""
    lines = response.headers.get("warning", "").split("\n")
    texts = [line.partition(' "')[2].removesuffix('"') for line in lines if line]
    return [text.replace('\\"', '"').replace("\\\\", "\\") for text in texts]


def _checked(response: Response, data: bytes) -> bytes:
    """The body of a good answer; the ApiError of a bad one."""
    if response.code < 300:
        return data
    raise error_from(response.code, data)


def error_from(code: int, data: bytes) -> ApiError:
    """The ApiError of an answer, whether or not a Status came with it."""
    try:
        status: Any = json.loads(data)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return ApiError.from_status(status)
    if code == NotFound.code:  # whose answer is Go's mux's: no API has such a path
        return NotFound("the server could not find the requested resource")
    text = data.decode("utf-8", "replace").strip()[:500]
    return ApiError(text or f"the server answered {code}", code=code, reason="Unknown")
