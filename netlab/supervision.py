"""The life of a lab's controller, seen from outside: started, waited for, ended."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

from netlab.errors import NetlabError
from netlab.kernel import lock, netns, paths, process

START_TIMEOUT = 15.0
"""Seconds that a controller may take to start, or to end."""


def ensure_controller(directory: Path, progress: Callable[[str], None]) -> None:
    """Have a controller that answers: one that is about to start or to end is waited for."""
    deadline = time.monotonic() + START_TIMEOUT
    while not lock.answers(directory):
        if not lock.controller_runs(directory):
            progress("starting the controller")
            _start_controller(directory)
        elif time.monotonic() > deadline:
            name = controller_name(directory)
            raise NetlabError(
                f"the lab's controller does not answer, and does not end ({name})",
                hint=f"see {paths.controller_log(directory)}",
            )
        else:
            progress(
                f"waiting for the lab's controller to answer or end ({controller_name(directory)})"
            )
            time.sleep(0.02)


def end_controller(directory: Path) -> None:
    """End the controller in good order: pods, rules and names go on without one."""
    pid = int(paths.controller_pid(directory).read_text())
    process.end([pid], grace=START_TIMEOUT)


def _start_controller(directory: Path) -> None:
    """Start the controller and wait until its API answers; its last words are in the error.

    Returns as well when another one runs by then: an `up` that was killed has started it.
    """
    ready, theirs = os.pipe()
    owner = netns.owner(directory) or ""
    log = paths.controller_log(directory)
    argv = [sys.executable, "-m", "netlab.boot", str(directory), str(theirs)]
    try:
        # `python -m` looks for modules in the working directory first: let that be our own
        home = Path(__file__).parents[1]
        controller = process.spawn(argv, owner=owner, log=log, cwd=home, pass_fds=(theirs,))
    finally:
        os.close(theirs)
    try:
        answered, _, _ = select.select([ready], [], [], START_TIMEOUT)
        if not answered:
            raise NetlabError("the lab's controller does not start", hint=f"see {log}")
        if not os.read(ready, 1):  # closed without a word: it died
            code = controller.wait(START_TIMEOUT)
            if lock.controller_runs(directory):
                return
            raise NetlabError(
                f"the lab's controller ended at once (exit code {code})", hint=_last_words(log)
            )
    finally:
        os.close(ready)


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:  # somebody takes the lab down
        lines = []
    return lines[-1] if lines else "it left no message"


def controller_name(directory: Path) -> str:
    """Which process it is, in words."""
    return lock.holder(paths.controller_pid(directory)) or "just now gone"
