"""The first moments of a lab's controller: what need not wait for its imports begins before them.

    python -m netlab.boot READY_FD

Importing the controller's modules is by far the most of its start. Meanwhile a thread reads from
standard input which lab it is (its directory, a line) and has the lab's CA made, and a process
forked off before connects the nodes and becomes the responder (`zygote`). When whoever started us
ends without a word, so do we.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import resource
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from netlab import inventory, later, standing
from netlab.kernel import files, lock, paths, syscalls
from netlab.kernel.process import Process
from netlab.view.escape import escape
from netlab.zygote import Zygote

log = logging.getLogger("netlab")

_FILES = 1 << 18

_GARBAGE = (10_000, 5, 5)
"""Objects made and not dropped after which the youngest are looked through for circles, and how
often that is done between looks at the older and at all. Nearly all that a controller makes goes
by itself or stays: by Python's own numbers (700, 10, 10) looking is 8 % of what it computes while
a thousand pods go, by these 2 %; a circle that nobody has any more stays for longer."""


class Entries(logging.Formatter):
    """Log records, of which none passes for two or steers the terminal of who reads the log."""

    def format(self, record: logging.LogRecord) -> str:
        """The record; its further lines are indented."""
        return escape(super().format(record)).replace("\n", "\n    ")


class Begun(Struct, frozen=True):
    """What has begun without the controller: `responder`, where one had to be started, and
    `network`, which ends when the nodes are connected."""

    directory: Path
    responder: Process | None
    network: Future[None]


def main(arguments: list[str]) -> int:
    """Run the controller until it is told to end (SIGTERM)."""
    ready = int(arguments[0])
    os.umask(0o022)  # that of the shell it was started from must not show in a lab
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Entries("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    _raise_file_limit()
    syscalls.give_back_freed_memory(64 << 10)  # rules of 1,000 Services are 10 MB of text at a time
    gc.disable()  # imports make much and drop little: looking for garbage is a tenth of their time
    zygote = Zygote(_connect_nodes)
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(2, "beginning") as thread:
        beginning = thread.submit(_begin, stack, thread, zygote)
        # of all imports, a tenth is aiohttp's client half, which few labs need
        later.import_parts_of("aiohttp", __version__="")
        from netlab import daemon

        log.info("the controller's modules are imported")
        gc.freeze()
        gc.set_threshold(*_GARBAGE)
        gc.enable()
        begun = beginning.result()
        if begun is None:
            return 1
        daemon.run(begun.directory, ready, begun.responder, begun.network)
    return 0


def _begin(stack: contextlib.ExitStack, thread: ThreadPoolExecutor, zygote: Zygote) -> Begun | None:
    """Begin what needs the lab alone; None if another controller runs it."""
    stack.callback(zygote.close)
    directory = _told()
    if not stack.enter_context(lock.held(paths.controller_pid(directory))):
        sys.stderr.write("another controller runs this lab\n")
        return None
    log.info("the controller starts")
    responder, network = zygote.take(directory), thread.submit(zygote.wait)
    thread.submit(_ensure_authority, directory)
    return Begun(directory, responder, network)


def _told() -> Path:
    """The lab's directory, once it is known; from then on, what we say is in the lab's log."""
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    directory = Path(line.rstrip("\n"))
    descriptor = files.opened(paths.controller_log(directory), os.O_WRONLY | os.O_APPEND)
    for ours in (sys.stdout, sys.stderr):
        os.dup2(descriptor, ours.fileno())
    os.close(descriptor)
    return directory


def _connect_nodes(directory: Path) -> None:
    from netlab.network import apply, plan

    lab = inventory.read_lab(directory)
    there = standing.read(lab, directory)
    apply.ensure_cluster(plan.cluster(lab, there.nodes, there.off), directory)
    log.info("the nodes are connected")


def _ensure_authority(directory: Path) -> None:
    """Pods wait for its certificate. What goes wrong here is told by who makes the server's."""
    from netlab.api.identity import Identity

    Identity(paths.tls(directory)).ensure()


def _raise_file_limit() -> None:
    """Each pod, watcher and stream takes some descriptors: the soft limit of 1,024 is too low, and
    for 10,000 pods the hard one may be, which the machine's own root may raise."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, _FILES), max(hard, _FILES)))
            return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
