"""What a container's process is to those who wait for it, whatever goes wrong around it."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from pathlib import Path

import pytest

from netlab.errors import KernelRefused
from netlab.workload.bounding import Bounding
from netlab.workload.crilog import Stream
from netlab.workload.processes import ContainerProcess
from netlab.workload.running_process import UNSEEN_LIMIT


class Unreadable(Bounding):
    """Control groups that somebody has taken away."""

    def oom_kills(self, uid: str) -> int:
        raise KernelRefused(f"read the events of {uid}", 5)


def container(log: Path, turn: asyncio.Lock | None = None) -> ContainerProcess:
    request = {"uid": "u", "container": "main", "log": str(log), "process": {"terminal": False}}
    return ContainerProcess(request, "c1", log, turn or asyncio.Lock())


async def test_who_waits_is_told_of_the_end_although_something_fails_at_it(tmp_path: Path) -> None:
    process = container(tmp_path / "0.log")
    process._bounding = Unreadable("nobody")
    waiting = asyncio.create_task(process.wait())
    with pytest.raises(KernelRefused):
        process._over(-signal.SIGKILL)
    assert (await asyncio.wait_for(waiting, 10))["returncode"] == -signal.SIGKILL


async def test_floods_leave_time_for_others(tmp_path: Path) -> None:
    """Between two looks of the loop's at what else there is, one of them has written a piece."""
    turn = asyncio.Lock()
    flooding = [container(tmp_path / f"{number}.log", turn) for number in range(20)]
    flood = b"\n" * 65536
    floods = [asyncio.create_task(each._spread("stdout", flood)) for each in flooding]
    sizes = [0]
    while not all(each.done() for each in floods):
        await asyncio.sleep(0)
        sizes.append(sum(log.stat().st_size for log in tmp_path.iterdir()))
    most = max(later - before for before, later in itertools.pairwise(sizes))
    assert sizes[-1] == len(flooding) * len(flood) * most // 16384
    for each in flooding:
        each._log.close()


@pytest.mark.parametrize("streams", [("stdout",), ("stdout", "stderr")])
async def test_what_nobody_has_seen_yet_is_bounded_in_pieces_too(
    tmp_path: Path, streams: tuple[Stream, ...]
) -> None:
    process = container(tmp_path / "0.log")
    seen: list[tuple[Stream, bytes]] = []

    async def sink(stream: Stream, data: bytes) -> None:
        seen.append((stream, data))

    for number in range(200_000 // len(streams)):
        for stream in streams:
            process._keep(stream, b"%d" % (number % 10))
    assert sum(map(sys.getsizeof, process._unseen)) < UNSEEN_LIMIT
    await process.attach(sink)
    for stream in streams:
        text = b"".join(data for each, data in seen if each == stream)
        assert len(text) > 200
        assert (b"0123456789" * 10_000).endswith(text)
    process._log.close()
