"""The life of a lab's controller, seen from outside: started, waited for, ended."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from netlab.errors import NetlabError
from netlab.kernel import basedir, lock, netns, paths, process
from netlab.kernel.readiness import is_ready

START_TIMEOUT = 15.0
"""Seconds that a controller may take to start, or to end."""


class Newborn:
    """A controller that has no lab yet: it imports its modules, and waits to hear of one.

    Only the lab with the uid `owner` can be its. Closed before it has one, it ends, as it does when
    whoever started it ends. `log` is for what it says until then.
    """

    def __init__(self, owner: str, log: Path | None = None) -> None:
        self.owner = owner
        self._has_lab = False
        told, self._tell = os.pipe()
        self._ready, ready = os.pipe()
        argv = [sys.executable, "-m", "netlab.boot", str(ready)]
        # `python -m` looks for modules in the working directory first: let that be our own
        home = Path(__file__).parents[1]
        try:
            self._process = process.spawn(
                argv, owner=owner, log=log, cwd=home, stdin=told, pass_fds=(ready,)
            )
        finally:
            os.close(told)
            os.close(ready)

    def can_have(self, directory: Path) -> bool:
        """Whether it lives, and this lab can be its."""
        return self._process.poll() is None and netns.owner(directory) == self.owner

    def take(self, directory: Path) -> None:
        """Run that lab; returns when the API answers, its last words are in the error.

        Returns as well when another one runs by then: an `up` that was killed has started it.
        """
        self._has_lab = True
        log = paths.controller_log(directory)
        with contextlib.suppress(BrokenPipeError):
            os.write(self._tell, f"{directory}\n".encode())
        if not is_ready(self._ready, START_TIMEOUT):
            raise NetlabError("the lab's controller does not start", hint=f"see {log}")
        if not os.read(self._ready, 1):  # closed without a word: it died
            code = self._process.wait(START_TIMEOUT)
            if not lock.controller_runs(directory):
                raise NetlabError(
                    f"the lab's controller ended at once (exit code {code})", hint=_last_words(log)
                )

    def close(self) -> None:
        """Leave it alone with its lab; without one, end it."""
        os.close(self._tell)
        os.close(self._ready)
        if not self._has_lab:
            self._process.end(grace=0.0)


@contextlib.contextmanager
def head_start() -> Iterator[Newborn | None]:
    """A controller for a lab that is yet to be read from its files.

    None where that would be for nothing: a lab that is up has one.
    """
    if os.geteuid() != 0 or basedir.lab_dirs():
        yield None
        return
    with contextlib.closing(Newborn(str(uuid.uuid4()))) as newborn:
        yield newborn


def ensure_controller(
    directory: Path, progress: Callable[[str], None], newborn: Newborn | None = None
) -> None:
    """Have a controller that answers: one that is about to start or to end is waited for.

    One that has to be started is `newborn`, if the lab can be its.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while not lock.answers(directory):
        if not lock.controller_runs(directory):
            progress("starting the controller")
            _start_controller(directory, newborn)
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


def _start_controller(directory: Path, newborn: Newborn | None) -> None:
    if newborn is not None and newborn.can_have(directory):
        newborn.take(directory)
        return
    owner, log = netns.owner(directory) or "", paths.controller_log(directory)
    with contextlib.closing(Newborn(owner, log)) as controller:
        controller.take(directory)


def end_controller(directory: Path) -> None:
    """End the controller in good order: pods, rules and names go on without one."""
    pid = int(paths.controller_pid(directory).read_text())
    process.end([pid], grace=START_TIMEOUT)


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:  # somebody takes the lab down
        lines = []
    return lines[-1] if lines else "it left no message"


def controller_name(directory: Path) -> str:
    """Which process it is, in words."""
    return lock.holder(paths.controller_pid(directory)) or "just now gone"
