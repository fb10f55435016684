"""The pods that have their links, and whose turn it is to change that."""

from __future__ import annotations

import contextlib

from netlab.agents.attached import Attached


def test_a_turn_is_told_when_it_begins_and_when_it_ends():
    attached, told = Attached(), []
    attached.on_turn = told.append
    with attached.turn():
        assert told == [True]
    assert told == [True, False]


def test_a_turn_that_fails_ends_all_the_same():
    attached, told = Attached(), []
    attached.on_turn = told.append
    with contextlib.suppress(OSError), attached.turn():
        raise OSError
    assert told == [True, False]
    with attached.free() as free:
        assert free


def test_nobody_else_looks_at_pods_during_a_turn():
    attached = Attached()
    with attached.turn(), attached.free() as free:
        assert not free
