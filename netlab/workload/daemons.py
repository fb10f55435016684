"""Starts a lab's responder and its runtime: `python -m netlab.workload.daemons LAB`.

Both import much the same, which takes longest: so one process does that, and becomes two.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from netlab.kernel import paths
from netlab.workload import responder, runtime


def main(argv: list[str]) -> int:
    """The command line: one argument, the lab's directory. This process is the responder."""
    if len(argv) != 1:
        print("usage: python -m netlab.workload.daemons LAB", file=sys.stderr)
        return 2
    lab = Path(argv[0])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the runtime: it is by itself
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        _say_into(paths.runtime_log(lab))
        return runtime.main([str(lab)])
    return responder.main([str(paths.responder_socket(lab))])


def _say_into(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
