"""The relays of a node's cache, as a program that a lab runs (`relays`)."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from netlab.dns import relays
from netlab.workload.confined_program import ConfinedProgram

_ANSWER_SECONDS = 0.5
_PACKAGE = Path(__file__).parents[1]
_PYTHON = str(Path(sys.executable).resolve())

# Of netlab it sees what runs in pods, and nothing else.
_MAIN = """\
import sys
sys.path.append(sys.argv[1])
from netlab.workload.inside import coredns
coredns.serve(sys.argv[2])
"""


class Relay(ConfinedProgram):
    """The stand-in for CoreDNS with a server for each of the addresses `known` by what they pass
    queries on to."""

    def __init__(
        self, name: str, known: Mapping[str, str], directory: Path, owner: str, uid: int
    ) -> None:
        text = relays.corefile(known)
        super().__init__(
            name,
            [_PYTHON, "-ISB", "-c", _MAIN, str(_PACKAGE.parent), text],
            directory,
            owner,
            uid,
            read=[Path(sys.base_prefix) / "lib", _PACKAGE / "workload"],
        )
        self.known = known

    async def asked(self) -> None:
        """Connect to the last, which listens once all the others do."""
        with self.entered():
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with sock:
            async with asyncio.timeout(_ANSWER_SECONDS):
                address = (max(self.known.values()), relays.PORT)  # they are opened in order
                await asyncio.get_running_loop().sock_connect(sock, address)
