"""nftables tables of one's own in somebody's namespace, which go with whoever made them.

They belong to a socket (`flags owner`), here that of an nft that reads our lines: when we end,
however that is, its input ends, and with it the socket and the tables. Nobody else can change them.
"""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from netlab.kernel import netns as namespaces
from netlab.kernel.run import environment, find

_GRACE = 2.0


class OwnedTables:
    """Takes commands of nft, one a line; a context manager."""

    def __init__(self, netns: Path | int) -> None:
        program = find("nft")
        with namespaces.entered(netns):
            self._nft = subprocess.Popen(
                [program, "-i"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment("nft", netns),
                text=True,
            )

    def __enter__(self) -> OwnedTables:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def say(self, *commands: str) -> None:
        """Have them carried out, one after the other; what comes of it is seen in the tables.
        `OSError` when nft has ended."""
        assert self._nft.stdin is not None
        self._nft.stdin.write("".join(f"{one}\n" for one in commands))
        self._nft.stdin.flush()

    def close(self) -> None:
        """Let go of all tables."""
        assert self._nft.stdin is not None
        with contextlib.suppress(OSError):
            self._nft.stdin.close()
        try:
            self._nft.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._nft.kill()
            self._nft.wait()
