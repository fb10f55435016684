"""Looks are free for who seldom wants one, and have their price for who always does."""

from __future__ import annotations

from clock import Clock

from netlab.agents.patience import AT_ONCE, INTERVAL, Patience


def looks(patience, clock, seconds, step=0.1):
    """How often a pod that never stops is looked at."""
    count = 0
    for _ in range(int(seconds / step)):
        patience.touch("pod")
        count += len(patience.due(10))
        clock.now += step
    return count


def test_the_first_look_is_at_once_and_wanted_once():
    clock = Clock()
    patience = Patience(clock)
    assert patience.wait() is None
    patience.touch("pod")
    patience.touch("pod")
    assert patience.wait() == 0
    assert patience.due(10) == ["pod"]
    assert patience.due(10) == []


def test_who_never_stops_is_looked_at_no_oftener_than_that():
    clock = Clock()
    patience = Patience(clock)
    assert looks(patience, clock, 60) <= 60 / INTERVAL + AT_ONCE
    before = clock.now
    patience.touch("pod")
    patience.touch("other")
    assert patience.due(10) == ["other"]
    clock.now += patience.wait() or 0
    assert patience.due(10) == ["pod"]
    assert clock.now - before <= INTERVAL, "and never later than that"


def test_quiet_makes_good():
    clock = Clock()
    patience = Patience(clock)
    looks(patience, clock, 60)
    clock.now += AT_ONCE * INTERVAL
    patience.keep(lambda _: True)
    for _ in range(AT_ONCE):
        patience.touch("pod")
        assert patience.due(10) == ["pod"]


def test_who_is_gone_is_forgotten():
    patience = Patience(Clock())
    patience.touch("pod")
    patience.keep({}.get)
    assert patience.wait() is None


def test_no_more_than_asked_for():
    patience = Patience(Clock())
    for number in range(5):
        patience.touch(str(number))
    assert patience.due(3) == ["0", "1", "2"]
    assert patience.due(3) == ["3", "4"]
