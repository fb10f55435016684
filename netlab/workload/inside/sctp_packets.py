"""SCTP by packets, over raw sockets, for kernels that have no others for it.

As much of RFC 9260 as agnhost needs: one address and one stream each way, messages that fit into a
packet, sent again until they are acknowledged. The packets are ordinary, so connection tracking and
NAT on the way do with them as with the kernel's own.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

from netlab.workload.crc32c import crc32c

PROTOCOL = 132
AGAIN = 1.0
"""Seconds after which what is not answered is sent again."""
TRIES = 5
PATIENCE = 10.0
"""Seconds in which who has connected says something."""
LONGEST = 1200
"""Bytes of a message."""

DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, SHUTDOWN, SHUTDOWN_ACK = range(9)
COOKIE_ECHO, COOKIE_ACK, SHUTDOWN_COMPLETE = 10, 11, 14
_COOKIE = 7
_WINDOW = 1 << 16
_WHOLE = 3  # flags of a message that is one chunk

Chunk = tuple[int, bytes]


def packed(ports: tuple[int, int], tag: int, *chunks: Chunk, flags: int = 0) -> bytes:
    """A packet from the first port to the second."""
    body = b"".join(_padded(struct.pack("!BBH", kind, flags, 4 + len(value)) + value)
                    for kind, value in chunks)  # fmt: skip
    head = struct.pack("!HHI", *ports, tag)
    return head + struct.pack("<I", crc32c(head + bytes(4) + body)) + body


def read(packet: bytes) -> tuple[tuple[int, int], int, list[Chunk]] | None:
    """Ports, tag and chunks; None for what is damaged."""
    if len(packet) < 16 or packet[8:12] != struct.pack(
        "<I", crc32c(packet[:8] + bytes(4) + packet[12:])
    ):
        return None
    source, target, tag = struct.unpack("!HHI", packet[:8])
    return (source, target), tag, list(_chunks(packet[12:]))


def _chunks(body: bytes) -> Iterator[Chunk]:
    while len(body) >= 4:
        kind, _, size = struct.unpack("!BBH", body[:4])
        if size < 4 or size > len(body):
            return
        yield kind, body[4:size]
        body = body[size + -size % 4 :]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def opened(family: int = socket.AF_INET) -> socket.socket:
    """A raw socket; `OSError` for who may have none."""
    return socket.socket(family, socket.SOCK_RAW, PROTOCOL)


class Association:
    """One that stands, from either end; `transmit` sends chunks to the other one."""

    def __init__(
        self, transmit: Callable[..., None], peer: tuple[str, int], tsn: int, expected: int
    ) -> None:
        self._transmit = transmit
        self._peer = peer
        self._tsn = tsn
        self._sent = 0
        self._expected = expected
        self._messages: queue.Queue[bytes | OSError] = queue.Queue()
        self._acknowledged = threading.Event()
        self.over = threading.Event()

    def take(self, kind: int, value: bytes) -> None:
        """What the other end has sent."""
        if kind == DATA and len(value) > 12:
            self._take_message(value)
        elif kind == SACK and len(value) >= 4:
            if value[:4] == _number(self._tsn + self._sent - 1):
                self._acknowledged.set()
        elif kind == HEARTBEAT:
            self._transmit((HEARTBEAT_ACK, value))
        elif kind == SHUTDOWN:
            self._messages.put(b"")
            self._transmit((SHUTDOWN_ACK, b""))
        elif kind == SHUTDOWN_ACK:
            self._transmit((SHUTDOWN_COMPLETE, b""))
            self._end(b"")
        elif kind == SHUTDOWN_COMPLETE:
            self._end(b"")
        elif kind == ABORT:
            self._end(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))

    def _take_message(self, value: bytes) -> None:
        if value[:4] == _number(self._expected):
            self._expected += 1
            self._messages.put(value[12:])
        known = _number(self._expected - 1)
        self._transmit((SACK, known + struct.pack("!IHH", _WINDOW, 0, 0)))

    def _end(self, last: bytes | OSError) -> None:
        self._messages.put(last)
        self.over.set()

    def getpeername(self) -> tuple[str, int]:
        """Its other end."""
        return self._peer

    def recv(self, size: int, seconds: float = PATIENCE) -> bytes:
        """A message; empty when the other end says no more."""
        try:
            found = self._messages.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(errno.ETIMEDOUT, "i/o timeout") from None
        if isinstance(found, OSError):
            raise found
        return found[:size]

    def sendall(self, message: bytes) -> None:
        """Send a message, until it is acknowledged."""
        if len(message) > LONGEST:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        head = _number(self._tsn + self._sent) + struct.pack("!HHI", 0, self._sent & 0xFFFF, 0)
        self._sent += 1
        self._acknowledged.clear()
        for _ in range(TRIES):
            self._transmit((DATA, head + message), flags=_WHOLE)
            if self._acknowledged.wait(AGAIN):
                return
        raise TimeoutError(errno.ETIMEDOUT, "i/o timeout")

    def close(self) -> None:
        """Say that nothing follows, and wait until the other end knows."""
        for _ in range(TRIES):
            if self.over.is_set():
                return
            self._transmit((SHUTDOWN, _number(self._expected - 1)))
            self.over.wait(AGAIN)

    def __enter__(self) -> Association:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _number(value: int) -> bytes:
    return struct.pack("!I", value & 0xFFFFFFFF)


def _random() -> int:
    return int.from_bytes(os.urandom(4), "big") or 1


class Listener:
    """Takes associations at a port, of every family that there is."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._secret = os.urandom(16)
        self._known: dict[tuple[str, int], tuple[bytes, Association]] = {}
        self._came: queue.Queue[Association] = queue.Queue()
        for raw in _of_all_families():
            threading.Thread(target=self._read, args=(raw,), daemon=True).start()

    def accept(self) -> tuple[Association, tuple[str, int]]:
        """The next one, and its other end."""
        found = self._came.get()
        return found, found.getpeername()

    def _read(self, raw: socket.socket) -> None:
        while True:
            packet, sender = raw.recvfrom(1 << 16)
            found = read(_content(raw, packet))
            if found is None or found[0][1] != self._port or not found[2]:
                continue
            peer = (sender[0], found[0][0])
            try:
                self._take(raw, peer, found[1], found[2])
            except (OSError, struct.error):
                continue  # nobody can be told

    def _take(
        self, raw: socket.socket, peer: tuple[str, int], tag: int, chunks: list[Chunk]
    ) -> None:
        kind, value = chunks[0]
        if kind == INIT:
            self._greet(raw, peer, value)
            return
        if kind == COOKIE_ECHO:
            self._begin(raw, peer, tag, value)
            chunks = chunks[1:]
        own, association = self._known.get(peer, (b"", None))
        if association is None or own[:4] != _number(tag):
            return
        for each in chunks:
            association.take(*each)
        if association.over.is_set():
            self._known.pop(peer, None)

    def _greet(self, raw: socket.socket, peer: tuple[str, int], value: bytes) -> None:
        theirs, _, _, _, first = struct.unpack("!IIHHI", value[:16])
        mine, tsn = _random(), _random()
        state = struct.pack("!IIII", mine, theirs, tsn, first)
        cookie = state + self._signature(peer, state)
        said = struct.pack("!IIHHI", mine, _WINDOW, 1, 1, tsn)
        said += struct.pack("!HH", _COOKIE, 4 + len(cookie)) + cookie
        raw.sendto(packed((self._port, peer[1]), theirs, (INIT_ACK, said)), (peer[0], 0))

    def _signature(self, peer: tuple[str, int], state: bytes) -> bytes:
        return hashlib.blake2b(repr(peer).encode() + state, key=self._secret).digest()[:16]

    def _begin(self, raw: socket.socket, peer: tuple[str, int], tag: int, cookie: bytes) -> None:
        state = cookie[:16]
        mine, theirs, tsn, first = struct.unpack("!IIII", state)
        if cookie[16:] != self._signature(peer, state) or tag != mine:
            return

        def transmit(*chunks: Chunk, flags: int = 0) -> None:
            packet = packed((self._port, peer[1]), theirs, *chunks, flags=flags)
            raw.sendto(packet, (peer[0], 0))

        if self._known.get(peer, (b"",))[0] != state:
            association = Association(transmit, peer, tsn, first)
            self._known[peer] = state, association
            self._came.put(association)
        transmit((COOKIE_ACK, b""))


def _of_all_families() -> list[socket.socket]:
    found = [opened()]
    with contextlib.suppress(OSError):  # of a machine of IPv4 alone
        found.append(opened(socket.AF_INET6))
    return found


def _content(raw: socket.socket, packet: bytes) -> bytes:
    """Without the header that sockets of IPv4 show."""
    return packet[(packet[0] & 15) * 4 :] if raw.family == socket.AF_INET else packet


class Caller:
    """One end of an association that it begins itself."""

    def __init__(self, raw: socket.socket, place: tuple[str, int], seconds: float) -> None:
        self._raw = raw
        self._place = place
        self._ports = (32768 + _random() % 28000, place[1])
        self._end = time.monotonic() + seconds
        self._tag, self._peer_tag = _random(), 0

    def connect(self) -> Association:
        """As soon as the other end agrees; `OSError` if it does not."""
        tsn = _random()
        said = struct.pack("!IIHHI", self._tag, _WINDOW, 1, 1, tsn)
        answer = self._ask((INIT, said), INIT_ACK)
        self._peer_tag, _, _, _, first = struct.unpack("!IIHHI", answer[:16])
        parameters = answer[16:]
        while parameters[:2] != struct.pack("!H", _COOKIE):
            size = int.from_bytes(parameters[2:4], "big")
            if size < 4:
                raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
            parameters = parameters[size + -size % 4 :]
        cookie = parameters[4 : int.from_bytes(parameters[2:4], "big")]
        self._ask((COOKIE_ECHO, cookie), COOKIE_ACK)
        association = Association(self._transmit, self._place, tsn, first)
        threading.Thread(target=self._read, args=(association,), daemon=True).start()
        return association

    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    def _transmit(self, *chunks: Chunk, flags: int = 0) -> None:
        self._raw.send(packed(self._ports, self._peer_tag, *chunks, flags=flags))

    def _ask(self, chunk: Chunk, wanted: int) -> bytes:
        while True:
            self._transmit(chunk)
            again = time.monotonic() + AGAIN
            while (seconds := min(again - time.monotonic(), self.left())) > 0:
                for kind, value in self._heard(seconds):
                    if kind == wanted:
                        return value
                    if kind == ABORT:
                        raise _refused()
            if self.left() <= 0:
                raise TimeoutError(errno.ETIMEDOUT, "i/o timeout")

    def _heard(self, seconds: float) -> list[Chunk]:
        """What comes in so many seconds for this association, if anything."""
        self._raw.settimeout(seconds)
        try:
            found = read(_content(self._raw, self._raw.recv(1 << 16)))
        except TimeoutError:
            return []
        except OSError as error:
            if error.errno == errno.ENOPROTOOPT:  # nobody there has SCTP
                raise _refused() from None
            raise
        if found is None or found[0] != self._ports[::-1] or found[1] != self._tag:
            return []
        return found[2]

    def _read(self, association: Association) -> None:
        while not association.over.is_set():
            try:
                for kind, value in self._heard(AGAIN):
                    association.take(kind, value)
            except OSError:
                association.take(ABORT, b"")


def _refused() -> ConnectionRefusedError:
    return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def ask(host: str, port: int, message: str, seconds: float) -> str:
    """What a message is answered with."""
    with opened(socket.AF_INET6 if ":" in host else socket.AF_INET) as raw:
        raw.connect((host, 0))
        caller = Caller(raw, (host, port), seconds or 3600.0)
        with caller.connect() as association:
            association.sendall(message.encode())
            return association.recv(1024, max(0.0, caller.left())).decode(errors="replace")
