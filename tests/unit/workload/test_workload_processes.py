"""What a container's process is to those who wait for it, whatever goes wrong around it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from netlab.errors import KernelRefused
from netlab.workload.bounding import Bounding
from netlab.workload.processes import ContainerProcess


class Unreadable(Bounding):
    """Control groups that somebody has taken away."""

    def oom_kills(self, uid: str) -> int:
        raise KernelRefused(f"read the events of {uid}", 5)


def container(log: Path) -> ContainerProcess:
    request = {"uid": "u", "container": "main", "log": str(log), "process": {"terminal": False}}
    return ContainerProcess(request, "c1", log)


def test_who_waits_is_told_of_the_end_although_something_fails_at_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        process = container(tmp_path / "0.log")
        process._bounding = Unreadable("nobody")
        waiting = asyncio.create_task(process.wait())
        with pytest.raises(KernelRefused):
            process._over(-signal.SIGKILL)
        assert (await asyncio.wait_for(waiting, 10))["returncode"] == -signal.SIGKILL

    asyncio.run(scenario())
