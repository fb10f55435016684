"""The first moments of a lab's controller: what need not wait for its imports begins before them.

    python -m netlab.boot DIRECTORY READY_FD

Importing the controller's modules is by far the most of its start. Meanwhile the responder comes
up in a process of its own, and a thread has the kernel build the network.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import resource
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from netlab import lab as labs
from netlab.kernel import lock, netns, paths, syscalls
from netlab.view.escape import escape
from netlab.workload import launch

log = logging.getLogger("netlab")

_AUTHORITIES = "SSL_CERT_FILE"


class Entries(logging.Formatter):
    """Log records, of which none passes for two or steers the terminal of who reads the log."""

    def format(self, record: logging.LogRecord) -> str:
        """The record; its further lines are indented."""
        return escape(super().format(record)).replace("\n", "\n    ")


def main(arguments: list[str]) -> int:
    """Run the controller until it is told to end (SIGTERM)."""
    directory, ready = Path(arguments[0]), int(arguments[1])
    os.umask(0o022)  # that of the shell it was started from must not show in a lab
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Entries("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    _raise_file_limit()
    syscalls.give_back_freed_memory(64 << 10)  # rules of 1,000 Services are 10 MB of text at a time
    with lock.held(paths.controller_pid(directory)) as is_ours:
        if not is_ours:
            sys.stderr.write("another controller runs this lab\n")
            return 1
        _run(directory, ready)
    return 0


def _run(directory: Path, ready: int) -> None:
    log.info("the controller starts")
    gc.disable()  # imports make much and drop little: looking for garbage is a tenth of their time
    responder = launch.ensure_started(directory, owner=netns.owner(directory) or "")
    with ThreadPoolExecutor(1, thread_name_prefix="network") as thread:
        network = thread.submit(_ensure_network, directory)
        with _without_certificates():
            from netlab import daemon
        log.info("the controller's modules are imported")
        gc.freeze()
        gc.enable()
        daemon.run(directory, ready, responder, network)


@contextlib.contextmanager
def _without_certificates() -> Iterator[None]:
    """aiohttp, when imported, reads all authorities this machine trusts (25 ms); we ask none."""
    if _AUTHORITIES in os.environ:
        yield
        return
    os.environ[_AUTHORITIES] = os.devnull
    try:
        yield
    finally:
        del os.environ[_AUTHORITIES]


def _ensure_network(directory: Path) -> None:
    from netlab.network import apply, plan

    apply.ensure_cluster(plan.cluster(labs.read_lab(directory)), directory)
    log.info("the nodes are connected")


def _raise_file_limit() -> None:
    """A descriptor for each namespace, watcher and stream: the soft limit of 1,024 is too low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
