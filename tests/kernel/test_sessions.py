"""Ending all of a session, also what is just being born in it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
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


def test_what_is_being_forked_is_killed_as_well() -> None:
    for _ in range(10):
        leader = subprocess.Popen(["sh", "-c", FORKING], start_new_session=True)
        time.sleep(0.03)
        assert len(alive(leader.pid)) > 3
        kill_session(leader.pid)
        time.sleep(0.05)
        left = alive(leader.pid)
        for pid in left:
            os.kill(pid, 9)
        leader.wait()
        assert not left
