"""How the responder is started: the first thing a controller does, so this imports little."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from netlab.kernel import process


def ensure_started(socket_path: Path, *, owner: str, log: Path) -> process.Process | None:
    """Start the lab's responder unless one answers; returns at once (it answers 60 ms later)."""
    return None if _answers(socket_path) else start(socket_path, owner=owner, log=log)


def start(socket_path: Path, *, owner: str, log: Path) -> process.Process:
    """Start a responder."""
    argv = [sys.executable, "-m", "netlab.workload.responder", str(socket_path)]
    # `python -m` looks for modules in the working directory first: let that be our own
    return process.spawn(argv, owner=owner, log=log, cwd=Path(__file__).parents[2])


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True
