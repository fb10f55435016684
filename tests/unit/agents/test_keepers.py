"""Who asks the responder or the runtime while it is away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netlab.agents.responder_keeper import ResponderKeeper
from netlab.agents.runtime_keeper import RuntimeKeeper
from netlab.workload.calls import Gone


class Call:
    """Something asked: it is `Gone` so many times first."""

    def __init__(self, lost: int) -> None:
        self.lost = lost
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.made <= self.lost:
            raise Gone("it went away")
        return "well"


async def test_who_asks_while_the_responder_is_away_waits(tmp_path):
    keeper, call = ResponderKeeper(tmp_path, "owner"), Call(3)
    asking = asyncio.create_task(keeper.reached(call))
    await asyncio.sleep(0.05)
    assert (call.made, asking.done()) == (0, False)
    keeper._up.set()
    assert await asking == "well"
    assert call.made == 4


@pytest.mark.parametrize(("lost", "outcome"), [(0, "well"), (2, "well"), (3, None)])
async def test_a_runtime_that_goes_away_is_started_again_but_not_for_ever(
    tmp_path, monkeypatch, lost, outcome
):
    keeper, call = RuntimeKeeper(tmp_path, "owner"), Call(lost)
    started: list[Any] = []

    async def ensure() -> None:
        started.append(None)

    monkeypatch.setattr(keeper, "ensure", ensure)
    if outcome:
        assert await keeper.reached(call) == outcome
    else:
        with pytest.raises(Gone):
            await keeper.reached(call)
    assert len(started) == call.made == min(lost + 1, 3)
