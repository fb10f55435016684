"""The lab's API for kubectl: TLS on 127.0.0.1, for holders of the lab's client certificate."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from netlab.api import kubeconfig
from netlab.api.identity import Identity
from netlab.errors import NetlabError
from netlab.kernel import caller, files, paths
from netlab.serving import undocumented

_HANDSHAKE_SECONDS = 5.0
SEND_BUFFER = 128 * 1024
"""Bytes in the kernel for each connection; by itself it takes megabytes for who never reads."""


class SecureListener:
    """Listens next to the unix socket of the same runner; `close` ends it.

    The port is the kernel's choice. It and the certificates are kept in the lab's directory, so
    that a kubeconfig stays good when the controller is started again. `names` are those of the
    server's certificate.
    """

    def __init__(
        self, runner: web.AppRunner, lab: str, directory: Path, names: Sequence[str] = ()
    ) -> None:
        self._runner = runner
        self._lab = lab
        self._directory = directory
        self._names = names
        self._identity = Identity(paths.tls(directory))
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Make what is missing, listen, and write the kubeconfig."""
        await asyncio.to_thread(self._identity.ensure_server, self._names)
        sock = _bound(self._recorded_port())
        port: int = sock.getsockname()[1]
        files.write(paths.api_port(self._directory), f"{port}\n")
        protocol = self._runner.server
        assert protocol is not None
        undocumented.bound_tls_buffers()
        self._server = await asyncio.get_running_loop().create_server(
            protocol,
            sock=sock,
            ssl=self._identity.server_context(),
            ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            backlog=128,
        )
        text = kubeconfig.render(self._lab, f"https://127.0.0.1:{port}", self._identity)
        files.write(paths.kubeconfig(self._directory), text, owner=caller.uid())

    async def close(self) -> None:
        """Listen no more; the connections are the runner's to end."""
        if self._server is not None:
            self._server.close()

    def _recorded_port(self) -> int:
        """The port of a former controller; 0, any, when there was none."""
        try:
            text = paths.api_port(self._directory).read_text().strip()
        except FileNotFoundError:
            return 0
        return int(text) if text.isdigit() and int(text) < 65536 else 0


def _bound(wanted: int) -> socket.socket:
    """A socket on 127.0.0.1 at the wanted port, or at any other if somebody has that one."""
    for port in dict.fromkeys((wanted, 0)):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            sock.close()
            refusal = error
        else:
            return sock
    raise NetlabError(
        f"cannot listen on 127.0.0.1: {refusal.strerror}",
        hint="ip link set lo up; the lab itself works without it, kubectl does not",
    )
