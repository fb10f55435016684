"""RFC 6455 frames as a client sends and reads them, without the sockets. Pure."""

from __future__ import annotations

import struct
from binascii import b2a_base64
from collections.abc import Iterator
from os import urandom

from msgspec import Struct

from netlab.errors import NetlabError

BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
_LARGEST = 64 * 1024 * 1024


def upgrade_headers(protocols: str) -> dict[str, str]:
    """The headers that ask for a websocket speaking one of `protocols`."""
    return {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": b2a_base64(urandom(16), newline=False).decode(),
        "Sec-WebSocket-Protocol": protocols,
    }


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame. The mask is zero: it guards proxies, and unix sockets and TLS have none."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + b"\0\0\0\0" + payload


class WebSocketMessage(Struct, frozen=True):
    """One message: `opcode` is BINARY for anything that carries data."""

    opcode: int
    payload: bytes


class WebSocketFrameReader:
    """Takes bytes as they arrive and gives the messages that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[WebSocketMessage]:
        """Add what arrived; yields each message that it completes, fragments joined."""
        self._buffer += data
        while (found := self._take()) is not None:
            final, opcode, payload = found
            if opcode >= CLOSE:
                yield WebSocketMessage(opcode, payload)
                continue
            self._parts.append(payload)
            if final:
                yield WebSocketMessage(BINARY, b"".join(self._parts))
                self._parts.clear()

    def _take(self) -> tuple[bool, int, bytes] | None:
        """(final, opcode, payload) of the first whole frame in the buffer."""
        if len(self._buffer) < 2:
            return None
        first, size, start = self._buffer[0], self._buffer[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(self._buffer) < start:
                return None
            size = int.from_bytes(self._buffer[2:start], "big")
        if size > _LARGEST:
            raise NetlabError("the controller sent a websocket frame that is too large")
        if len(self._buffer) < start + size:
            return None
        payload = bytes(self._buffer[start : start + size])
        del self._buffer[: start + size]
        return bool(first & 0x80), first & 0x0F, payload
