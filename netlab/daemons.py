"""Starts those of a lab's own processes that are missing: `python -m netlab.daemons LAB`.

All import much the same, which takes longest: so one process does that, and becomes several.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from netlab.dns import process as names
from netlab.kernel import paths
from netlab.workload import launch, responder, runtime


def main(argv: list[str]) -> int:
    """The command line: one argument, the lab's directory."""
    if len(argv) != 1:
        print("usage: python -m netlab.daemons LAB", file=sys.stderr)
        return 2
    lab = Path(argv[0])
    missing = launch.missing(lab)
    for each in missing[1:]:
        if _is_detached():
            return _become(each, lab)
    return _become(missing[0], lab) if missing else 0


def _become(what: str, lab: Path) -> int:
    program: Callable[[list[str]], int]
    match what:
        case "responder":
            program, log = responder.main, paths.responder_log(lab)
            argument = paths.responder_socket(lab)
        case "runtime":
            program, log, argument = runtime.main, paths.runtime_log(lab), lab
        case _:
            program, log = names.main, paths.names_log(lab)
            argument = paths.names_socket(lab, what)
    _say_into(log)
    return program([str(argument)])


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
