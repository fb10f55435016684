"""dnsmasq, as a program that a lab runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

from netlab.workload.confined_program import ConfinedProgram
from netlab.workload.published import Published

_ANSWER_SECONDS = 0.5

# A question for the text of `version.bind` in class CHAOS, with the id 1.
_VERSION = b"\0\1\1\0\0\1\0\0\0\0\0\0\7version\4bind\0\0\x10\0\3"


class Dnsmasq(ConfinedProgram):
    """A dnsmasq that answers on a `port` of an address of its namespace, which is its loopback's
    unless said; of files it sees what it is to `read`, and its `config`."""

    def __init__(
        self,
        arguments: Sequence[str],
        port: int,
        directory: Path,
        owner: str,
        uid: int,
        read: Sequence[Path] = (),
        *,
        name: str = "",
        address: str = "127.0.0.1",
        config: Published | None = None,
    ) -> None:
        name = name or f"dnsmasq on port {port}"
        super().__init__(name, arguments, directory, owner, uid, read, config=config)
        self.port = port
        self._address = address

    async def asked(self) -> None:
        """Ask for `version.bind`, which dnsmasq answers by itself."""
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        with self.entered():
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with sock:
            sock.connect((self._address, self.port))
            sock.send(_VERSION)
            async with asyncio.timeout(_ANSWER_SECONDS):
                await asyncio.get_running_loop().sock_recv(sock, 512)
