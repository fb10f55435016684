"""TLS over a connection that is no socket of ours, as one to a pod that its kubelet holds."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import cache
from typing import TypeVar

from netlab.client.kubelets import PodConnection

T = TypeVar("T")

_CHUNK = 32 * 1024


@cache
def trusting_all() -> ssl.SSLContext:
    """Of who takes any certificate: an API server that reaches into pods, a kubelet's probe."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class TlsConnection:
    """Implements `client.kubelets.PodConnection`; `ssl.SSLError`s are `OSError`s."""

    def __init__(self, raw: PodConnection, context: ssl.SSLContext) -> None:
        self._raw = raw
        self._from_peer, self._to_peer = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from_peer, self._to_peer)

    @staticmethod
    async def open(raw: PodConnection, context: ssl.SSLContext) -> TlsConnection:
        """The connection after its handshake."""
        connection = TlsConnection(raw, context)
        await connection._done(connection._tls.do_handshake)
        return connection

    async def read(self) -> bytes:
        """As the protocol says."""
        try:
            return await self._done(lambda: self._tls.read(_CHUNK))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def write(self, data: bytes) -> None:
        """As the protocol says."""
        await self._done(lambda: self._tls.write(data))

    async def end(self) -> None:
        """Nothing: to end one direction alone is not for TLS."""

    async def close(self) -> None:
        """As the protocol says."""
        await self._raw.close()

    async def _done(self, step: Callable[[], T]) -> T:
        """What a step gives, once the peer has sent what it needs."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            else:
                await self._flush()
                return result

    async def _fill(self) -> None:
        if data := await self._raw.read():
            self._from_peer.write(data)
        else:
            self._from_peer.write_eof()

    async def _flush(self) -> None:
        if data := self._to_peer.read():
            await self._raw.write(data)
