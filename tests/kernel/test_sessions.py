"""Ending all of a session, also what is just being born in it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from netlab.workload.child import kill_session

# A shell that forks without end: at any moment some child is on its way.
FORKING = "while :; do (sleep 7777 | sleep 7777) & done"


def alive(session: int) -> list[int]:
    """The members of a session that are not merely waiting to be reaped."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getsid(int(entry.name)) == session:
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                found += [int(entry.name)] if state != "Z" else []
    return found


def soon(session: int, holds: Callable[[list[int]], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not (held := holds(alive(session))) and time.monotonic() < deadline:
        time.sleep(0.01)
    return held


def test_what_is_being_forked_is_killed_as_well() -> None:
    for _ in range(10):
        leader = subprocess.Popen(["sh", "-c", FORKING], start_new_session=True)
        assert soon(leader.pid, lambda found: len(found) > 3)
        kill_session(leader.pid)
        gone = soon(leader.pid, lambda found: not found)  # what was missed would fork on
        for pid in alive(leader.pid):
            os.kill(pid, 9)
        leader.wait()
        assert gone
