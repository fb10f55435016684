"""How the lab's own processes are started: what a controller does first, so this imports little."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from netlab.kernel import paths, process


def missing(lab: Path) -> list[str]:
    """Those of a lab's own processes that do not answer."""
    sockets = {
        "responder": paths.responder_socket(lab),
        "runtime": paths.runtime_socket(lab),
        **{which: paths.names_socket(lab, which) for which in paths.NAMES},
    }
    return [name for name, path in sockets.items() if not _answers(path)]


def start(socket_path: Path, *, owner: str, log: Path) -> process.Process:
    """Start a responder."""
    return _start("netlab.workload.responder", socket_path, owner, log)


def start_runtime(lab: Path, *, owner: str, log: Path) -> process.Process:
    """Start the runtime of the lab in that directory."""
    return _start("netlab.workload.runtime", lab, owner, log)


def start_names(socket_path: Path, *, owner: str, log: Path) -> process.Process:
    """Start a process that answers names."""
    return _start("netlab.dns.process", socket_path, owner, log)


def _start(module: str, argument: Path, owner: str, log: Path) -> process.Process:
    argv = [sys.executable, "-m", module, str(argument)]
    # `python -m` looks for modules in the working directory first: let that be our own
    return process.spawn(argv, owner=owner, log=log, cwd=Path(__file__).parents[2])


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True
