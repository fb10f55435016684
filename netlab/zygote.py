"""Starts those of a lab's own processes that are missing: `python -m netlab.zygote LAB`.

All import much the same, which takes longest: so one process does that, and becomes several.
"""

from __future__ import annotations

import os
from pathlib import Path

from netlab.dns import process as names
from netlab.kernel import paths
from netlab.workload import control, launch, responder, runtime


def run(lab: Path) -> None:
    """Be one of those that are missing, and have others be the rest, until TERM or INT."""
    missing = launch.missing(lab)
    for each in missing[1:]:
        if _is_detached():
            return _become(each, lab)
    return _become(missing[0], lab) if missing else None


def _become(what: str, lab: Path) -> None:
    match what:
        case "responder":
            _say_into(paths.responder_log(lab))
            responder.run(paths.responder_socket(lab))
        case "runtime":
            _say_into(paths.runtime_log(lab))
            runtime.run(lab)
        case _:
            _say_into(paths.names_log(lab))
            names.run(paths.names_socket(lab, what))


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
    control.main("netlab.zygote", "LAB", run)
