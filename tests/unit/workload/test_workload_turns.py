"""What a command has said is in its log when it has ended, however busy the logs are."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from netlab.workload import crilog, processes


class Said:
    """The outputs of a process that has ended, of which nothing has been read."""

    def __init__(self, *pieces: bytes) -> None:
        self.left = [*pieces, b""]

    async def read(self) -> bytes:
        return self.left.pop(0)

    def close(self) -> None:
        assert not self.left


async def test_who_waits_for_a_turn_at_the_log_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "DRAIN_SECONDS", 0.01)
    request: dict[str, Any] = {"uid": "u", "container": "c", "log": "log"}
    turn = asyncio.Lock()
    process = processes.ContainerProcess(request, "name", tmp_path / "log", turn)
    async with turn:  # others flood theirs
        output: Any = Said(b"one\n", b"two\n")
        process._pumps = [asyncio.create_task(process._pump("stdout", output))]
        draining = asyncio.create_task(process._drain())
        await asyncio.sleep(0.1)
        assert not draining.done()
    await asyncio.wait_for(draining, 10)
    process._over(0)
    assert [entry.data for entry in crilog.read(tmp_path / "log")] == [b"one\n", b"two\n"]
