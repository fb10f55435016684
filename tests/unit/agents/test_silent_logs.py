"""The logs of containers that have no process and serve nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from netlab.agents import containerlogs
from netlab.agents.containerlogs import LogOptions

STARTED = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize(("says", "log"), [("", []), ("Paused", [(STARTED, b"Paused\n")])])
async def test_a_silent_log_has_a_line_at_most_and_ends_with_its_container(follow, says, log):
    state = SimpleNamespace(running=True, started_at=STARTED)
    run = SimpleNamespace(state=lambda _: state)
    if follow:
        asyncio.get_running_loop().call_later(0.1, lambda: setattr(state, "running", False))
    wanted = LogOptions(follow, None, None, timestamps=False)
    lines = containerlogs.of_silent(run, "c", says, wanted)
    assert [(line.time, line.data) async for line in lines] == log
    assert state.running is not follow
