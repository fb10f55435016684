"""What is spoken in a websocket: channels, each message beginning with its number, or one stream.

In the subprotocols called `base64` every message is text: a channel is a digit, its data Base64.
Without a subprotocol it is as with the plainest of them.

Source: k8s.io/apimachinery/pkg/util/httpstream/wsstream.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiohttp import web
from aiohttp.http import WSMsgType

from netlab.errors import BadRequest

V5 = "v5.channel.k8s.io"
V4, V4_BASE64 = "v4.channel.k8s.io", "v4.base64.channel.k8s.io"
CHANNEL, CHANNEL_BASE64 = "channel.k8s.io", "base64.channel.k8s.io"
BINARY, BINARY_BASE64 = "binary.k8s.io", "base64.binary.k8s.io"
NONE = ""

_ZERO = ord("0")


def is_socket(request: web.Request) -> bool:
    """Whether a request is for a websocket."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


def asked(request: web.Request) -> list[str]:
    """The subprotocols that the client speaks, in its order; none is [""]."""
    text = ",".join(request.headers.getall("Sec-WebSocket-Protocol", []))
    return [part.strip() for part in text.split(",") if part.strip()] or [NONE]


def negotiated(request: web.Request, accepted: Sequence[str]) -> str:
    """The first that the client asks for and is accepted; `BadRequest` if there is none."""
    wanted = asked(request)
    for protocol in wanted:
        if protocol in accepted:
            return protocol
    raise BadRequest(
        "unable to upgrade: unable to negotiate protocol: client supports "
        f"[{', '.join(wanted)}], server accepts [{' '.join(filter(None, accepted))}]"
    )


async def opened(request: web.Request, protocol: str, **how: Any) -> web.WebSocketResponse:
    """Accept the websocket, with the subprotocol that was negotiated."""
    socket = web.WebSocketResponse(protocols=(protocol,) if protocol else (), **how)
    await socket.prepare(request)
    return socket


class ChannelSocket:
    """Numbered channels in both directions."""

    def __init__(self, socket: web.WebSocketResponse, protocol: str) -> None:
        self.socket = socket
        self._is_text = "base64." in protocol

    async def send(self, channel: int, data: bytes) -> None:
        """Pass data on; waits while the client does not read."""
        if self._is_text:
            await self.socket.send_str(f"{channel}{base64.b64encode(data).decode()}")
        else:
            await self.socket.send_bytes(bytes([channel]) + data)

    async def received(self) -> AsyncIterator[tuple[int, bytes]]:
        """(channel, data) as it comes, until the client goes; what is no message is passed over."""
        async for message in self.socket:
            data = message.data
            if message.type is WSMsgType.TEXT:
                data = data.encode()
            elif message.type is not WSMsgType.BINARY:
                continue
            if not data:
                continue
            if not self._is_text:
                yield data[0], bytes(data[1:])
            elif (decoded := _decoded(data[1:])) is not None and data[0] >= _ZERO:
                yield data[0] - _ZERO, decoded


class SocketStream:
    """One stream of bytes to the client, who says nothing."""

    def __init__(self, socket: web.WebSocketResponse, protocol: str) -> None:
        self.socket = socket
        self._is_text = protocol == BINARY_BASE64

    async def write(self, data: bytes) -> None:
        """Pass data on; waits while the client does not read."""
        if self._is_text:
            await self.socket.send_str(base64.b64encode(data).decode())
        else:
            await self.socket.send_bytes(data)

    async def until_closed(self) -> None:
        """Return when the client has gone."""
        async for _ in self.socket:
            pass


def _decoded(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
