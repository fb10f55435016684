"""Starts a lab's responder and its runtime: `python -m netlab.workload.daemons LAB`.

Both import much the same, which takes longest: so one process does that, and becomes two.
"""

from __future__ import annotations

import os
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
    if _is_detached():
        _say_into(paths.runtime_log(lab))
        return runtime.main([str(lab)])
    return responder.main([str(paths.responder_socket(lab))])


def _is_detached() -> bool:
    """Fork: true in a process of its own session, whose parent has ended, so that nobody has to
    collect it; false in this one."""
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    return True


def _say_into(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
