"""exec and attach: a process in a pod joined to this one's stdin, stdout and stderr.

Speaks v5.channel.k8s.io (and v4): every message starts with the number of its channel.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
from collections.abc import Sequence

from msgspec import Struct, field

from netlab.client import terminal
from netlab.client.endpoint import ApiEndpoint, Where, endpoint
from netlab.client.sync import error_from, target
from netlab.client.websocket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    WebSocketFrameReader,
    frame,
    upgrade_headers,
)
from netlab.client.wire import BrokenAnswer, connect, read_response, request_bytes, send
from netlab.errors import ApiError
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import Object

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE_CHANNEL = 0, 1, 2, 3, 4, 255
_PROTOCOLS = "v5.channel.k8s.io, v4.channel.k8s.io"
_CHUNK = 32 * 1024
_HIGH_WATER = 128 * 1024


class Terminals(Struct, frozen=True):
    """The local descriptors that the remote process is joined to."""

    stdin: int = 0
    stdout: int = 1
    stderr: int = 2


class Join(Struct, frozen=True):
    """What to join: the pod's container, and whether with input and as a terminal."""

    namespace: str
    pod: str
    container: str = ""
    stdin: bool = False
    tty: bool = False
    terminals: Terminals = field(default_factory=Terminals)

    def query(self) -> dict[str, str | bool | Sequence[str]]:
        """The query parameters of exec and attach. A terminal has no stderr of its own."""
        query: dict[str, str | bool | Sequence[str]] = {
            "stdin": self.stdin,
            "stdout": True,
            "stderr": not self.tty,
            "tty": self.tty,
        }
        return {**query, "container": self.container} if self.container else query


def exec_(where: Where, join: Join, argv: Sequence[str]) -> int:
    """Run a command in a container and return its exit code."""
    return _run(where, "exec", join, {**join.query(), "command": list(argv)})


def attach(where: Where, join: Join) -> int:
    """Join a container's main process until it ends; returns its exit code."""
    return _run(where, "attach", join, join.query())


def _run(
    where: Where,
    verb: str,
    join: Join,
    query: dict[str, str | bool | Sequence[str]],
) -> int:
    path = BY_KIND["Pod"].path(join.namespace, join.pod, verb)
    sock, protocol = _open(endpoint(where), target(path, query))
    local = join.terminals.stdin
    with contextlib.closing(sock), terminal.resizes() as resized:
        session = _Session(sock, join, resized, can_close=protocol.startswith("v5"))
        with terminal.raw(local) if join.tty and join.stdin else contextlib.nullcontext():
            return exit_code(session.run())


def _open(server: ApiEndpoint, request_target: str) -> tuple[socket.socket, str]:
    """A websocket to the server, and the protocol that it chose."""
    sock = connect(server)
    try:
        send(sock, request_bytes(server, "GET", request_target, upgrade_headers(_PROTOCOLS), b""))
        with sock.makefile("rb", buffering=0) as stream:  # unbuffered: frames may follow at once
            response = read_response(stream)  # type: ignore[arg-type]
            if response.code != 101:
                raise error_from(response.code, response.read())
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return sock, response.headers.get("sec-websocket-protocol", "")


def exit_code(status: Object) -> int:
    """The exit code that the final Status tells; raises it when it tells of a failure."""
    if status.get("status") == "Success":
        return 0
    details = status.get("details") or {}
    for cause in details.get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise ApiError.from_status(status)


class _Session:
    """Moves bytes between the descriptors and the websocket until the final Status.

    Input is read only while little waits to be sent, and sending never blocks: otherwise a
    process such as `cat`, full on both sides, would stand still for ever.
    """

    def __init__(self, sock: socket.socket, join: Join, resized: int, *, can_close: bool) -> None:
        self._sock = sock
        self._join = join
        self._resized = resized
        self._can_close = can_close
        self._frames = WebSocketFrameReader()
        self._unsent = bytearray()
        self._status: Object | None = None
        self._closed = False
        self._input_open = join.stdin
        self._selector = selectors.DefaultSelector()
        self._polled: set[int] = set()

    def run(self) -> Object:
        """Until the server's Status, which is returned."""
        with self._selector:
            self._selector.register(self._sock, selectors.EVENT_READ)
            self._selector.register(self._resized, selectors.EVENT_READ)
            self._send_size()
            while not self._closed:
                self._step()
        if self._status is None:
            raise BrokenAnswer
        return self._status

    def _step(self) -> None:
        writes = selectors.EVENT_WRITE if self._unsent else 0
        self._selector.modify(self._sock, selectors.EVENT_READ | writes)
        for fd in self._ready():
            if fd == self._sock.fileno():
                self._receive()
                self._flush()
            elif fd == self._resized:
                os.read(self._resized, 4096)
                self._send_size()
            else:
                self._read_input()

    def _ready(self) -> list[int]:
        """The descriptors with something to do; regular files as input are always ready."""
        stdin = self._join.terminals.stdin
        wanted = self._input_open and len(self._unsent) < _HIGH_WATER
        pollable = self._poll_input(stdin, wanted)
        timeout = 0 if wanted and not pollable else None
        ready = [key.fd for key, _ in self._selector.select(timeout)]
        return [*ready, stdin] if wanted and not pollable else ready

    def _poll_input(self, stdin: int, wanted: bool) -> bool:
        """Have the input watched or not; False when it cannot be (epoll refuses files)."""
        if wanted and stdin not in self._polled:
            try:
                self._selector.register(stdin, selectors.EVENT_READ)
            except PermissionError:
                return False
            self._polled.add(stdin)
        elif not wanted and stdin in self._polled:
            self._selector.unregister(stdin)
            self._polled.discard(stdin)
        return True

    def _read_input(self) -> None:
        try:
            data = os.read(self._join.terminals.stdin, _CHUNK)
        except OSError:
            data = b""
        if data:
            self._send(STDIN, data)
            return
        self._input_open = False
        if self._can_close:
            self._send(CLOSE_CHANNEL, bytes([STDIN]))

    def _receive(self) -> None:
        """Take what has come: more than a record of TLS has, or the rest would not wake us."""
        try:
            data = self._sock.recv(256 * 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._closed = True
        for message in self._frames.feed(data):
            if message.opcode == BINARY:
                self._take(message.payload)
            elif message.opcode == PING:
                self._unsent += frame(PONG, message.payload)
            elif message.opcode == CLOSE:
                self._closed = True

    def _take(self, payload: bytes) -> None:
        channel, data = payload[0], payload[1:]
        if channel == STDOUT:
            _write(self._join.terminals.stdout, data)
        elif channel == STDERR:
            _write(self._join.terminals.stderr, data)
        elif channel == ERROR and data:
            self._status = json.loads(data)
            self._closed = True

    def _send_size(self) -> None:
        found = terminal.size(self._join.terminals.stdin) if self._join.tty else None
        if found:
            self._send(RESIZE, json.dumps({"Width": found[0], "Height": found[1]}).encode())

    def _send(self, channel: int, data: bytes) -> None:
        self._unsent += frame(BINARY, bytes([channel]) + data)
        self._flush()

    def _flush(self) -> None:
        if not self._unsent:
            return
        try:
            sent = self._sock.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._closed = self._closed or not self._unsent
            self._unsent.clear()
            return
        del self._unsent[:sent]


def _write(fd: int, data: bytes) -> None:
    """All of it, also to a descriptor that somebody made non-blocking."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            with selectors.DefaultSelector() as selector:
                selector.register(fd, selectors.EVENT_WRITE)
                selector.select()
