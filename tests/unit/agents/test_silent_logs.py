"""The logs of containers that have no process and serve nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from netlab.agents import containerlogs
from netlab.agents.containerlogs import LogOptions


@pytest.mark.parametrize("follow", [False, True])
async def test_a_silent_log_is_empty_and_followed_ends_with_its_container(follow):
    state = SimpleNamespace(running=True)
    run = SimpleNamespace(state=lambda _: state)
    if follow:
        asyncio.get_running_loop().call_later(0.1, lambda: setattr(state, "running", False))
    lines = containerlogs.of_silent(run, "c", LogOptions(follow, None, None, timestamps=False))
    assert ([line async for line in lines]) == []
    assert state.running is not follow
