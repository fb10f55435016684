"""How fast guests are served."""

from __future__ import annotations

import pytest
from clock import Clock

from netlab.api.guests import Pace


def test_who_comes_too_soon_waits_his_turn() -> None:
    clock = Clock(100.0)
    pace = Pace(10, clock)
    burst = [pace.wait("a") for _ in range(11)]
    assert burst == [0.0] * 11  # a second's worth at once, and the next is just due
    assert pace.wait("a") == pytest.approx(0.1)
    assert pace.wait("a") == pytest.approx(0.2)
    assert pace.wait("b") == 0.0
    assert pace.wait("c", 25) == 0.0
    assert pace.wait("c") == pytest.approx(1.5)  # 25 turns, of which 10 were saved up
    clock.now += 0.3
    assert pace.wait("a") == pytest.approx(0.0)
    clock.now += 100
    assert [pace.wait("a") for _ in range(11)] == [0.0] * 11


def test_what_is_long_ago_is_forgotten() -> None:
    clock = Clock()
    pace = Pace(10, clock)
    for number in range(10_000):
        clock.now += 1
        pace.wait(str(number))
    assert len(pace._due) < 1000
