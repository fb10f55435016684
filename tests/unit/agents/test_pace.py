"""When work is done again as changes come: alone, a few, a flood without end."""

from __future__ import annotations

import os
from collections import deque
from itertools import pairwise

import pytest

from netlab.agents.pace import Pace
from netlab.agents.proxy import crowd

CHEAP, DEAR = 0.02, 0.3


class Clock:
    """Somebody who does what a `Pace` says, in a time of his own; a turn costs `cost` seconds, as
    did one long ago. `turns` is when each began."""

    def __init__(self, cost: float, burst: int = 0) -> None:
        self.pace, self.cost, self.now = Pace(burst=burst), cost, 1000.0
        self.pace.ended(self.now - 100 - cost, self.now - 100)
        self.turns: list[float] = []

    def run(self, changes: list[float]) -> None:
        """Have changes come, so many seconds from now each, until all are worked on."""
        coming = deque(self.now + at for at in changes)
        waiting = self._heard(coming)
        while coming or waiting:
            seconds = self.pace.wait(self.now) if waiting else coming[0] - self.now
            if seconds > 0:
                self.now = min([self.now + seconds, *list(coming)[:1]])
                waiting |= self._heard(coming)
            else:
                waiting = self._turn(coming)

    def _heard(self, coming: deque[float]) -> bool:
        """Whether anything has come by now."""
        heard = False
        while coming and coming[0] <= self.now:
            self.pace.came(coming.popleft())
            heard = True
        return heard

    def _turn(self, coming: deque[float]) -> bool:
        """Whether anything came while it lasted."""
        began = self.now
        self.turns.append(began)
        self.pace.begun()
        self.now += self.cost
        self.pace.ended(began, self.now)
        return self._heard(coming)


@pytest.mark.parametrize(("cost", "settled"), [(CHEAP, 0.003), (DEAR, 0.015), (9.0, 0.02)])
def test_a_lone_change_waits_for_what_belongs_to_it_and_no_longer(
    cost: float, settled: float
) -> None:
    clock = Clock(cost)
    began = clock.now
    clock.run([0.0, settled * 0.9])
    assert clock.turns == pytest.approx([began + settled])


def test_one_that_comes_right_after_another_waits_hardly_longer() -> None:
    clock = Clock(DEAR)
    began = clock.now
    clock.run([0.0, 0.35])
    assert clock.turns[1] - began - 0.35 == pytest.approx(0.03)


def test_a_change_that_came_while_the_last_was_written_goes_as_soon_as_that_is() -> None:
    clock = Clock(DEAR)
    pace, began = clock.pace, clock.now
    pace.came(began)
    pace.begun()
    pace.came(began + 0.01)  # as the EndpointSlice of a Service does
    pace.ended(began, began + DEAR)
    assert pace.wait(began + DEAR) <= 0


def test_the_first_of_a_flood_waits_for_no_more_than_a_lone_one() -> None:
    pace = Clock(DEAR).pace
    for number in range(100):
        pace.came(2000 + number / 1000)
    assert pace.wait(2000.015) <= 0


def stream(clock: Clock, seconds: float) -> list[float]:
    """A change each millisecond; how far apart turns were."""
    clock.run([number / 1000 for number in range(round(seconds * 1000))])
    return [after - before for before, after in zip(clock.turns, clock.turns[1:], strict=False)]


def test_a_flood_is_taken_in_batches_in_time_to_what_one_costs() -> None:
    apart = stream(Clock(0.05), 5.0)
    assert apart[1:-1] == pytest.approx([0.05 * (1 + 4)] * len(apart[1:-1]), abs=0.003)


def test_of_many_on_one_machine_each_leaves_more_to_the_others() -> None:
    clock = Clock(0.05)
    clock.pace.crowd = 5.0
    apart = stream(clock, 10.0)
    assert apart[1:-1] == pytest.approx([0.05 * (1 + 5 * 4)] * len(apart[1:-1]), abs=0.003)
    clock.now += 1.5
    began = clock.now
    clock.turns.clear()
    clock.pace.burst = 5
    clock.run([0.0])
    assert clock.turns == pytest.approx([began + 0.003]), "a lone one waits for nobody"


@pytest.mark.parametrize(("nodes", "expected"), [(0, 1.0), (3, 1.0), (8, 2.0), (50, 12.5)])
def test_how_many_make_a_crowd(
    monkeypatch: pytest.MonkeyPatch, nodes: int, expected: float
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert crowd(nodes) == expected


def test_however_dear_a_turn_nobody_waits_longer_than_the_bound() -> None:
    apart = stream(Clock(2.0), 20.0)
    assert len(apart) > 4
    assert max(apart) <= 2.0 + 1.0 + 0.02


def test_a_burst_is_no_flood_yet() -> None:
    """As many turns as it may have follow each other; those behind them are in pace."""
    clock = Clock(CHEAP, burst=3)
    clock.run([number * 0.001 for number in range(1000)])
    between = [after - before for before, after in pairwise(clock.turns)]
    assert all(each < 1.5 * CHEAP for each in between[:2])
    assert all(each > 4 * CHEAP for each in between[2:-1])


def test_after_a_rest_there_may_be_another_burst() -> None:
    clock = Clock(CHEAP, burst=2)
    clock.run([number * 0.001 for number in range(500)])
    clock.turns.clear()
    clock.now += 1.5
    clock.run([number * 0.001 for number in range(100)])
    assert clock.turns[1] - clock.turns[0] < 2 * CHEAP
