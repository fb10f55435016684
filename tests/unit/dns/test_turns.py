"""Whose query is next, with times made up."""

from __future__ import annotations

import pytest

from netlab.dns.turns import AT_ONCE, HURRY, PATIENCE, UNDER_WAY, Turns

BUSY, OTHER = b"\n\0\0\1", b"\n\0\0\2"
NOW = 1000.0


class Box:
    """When the query in each slot came (those not named: now), and which were dropped."""

    def __init__(self) -> None:
        self.came: dict[int, float] = {}
        self.dropped: list[int] = []
        self.turns = Turns(lambda slot: self.came.get(slot, NOW), self.dropped.append)

    def begun(self, now: float = NOW) -> list[int]:
        """All that are begun now."""
        slots = []
        while (slot := self.turns.next(now)) is not None:
            slots.append(slot)
        return slots


@pytest.fixture
def box() -> Box:
    return Box()


def test_who_asks_one_thing_does_not_wait_for_who_asks_much(box: Box) -> None:
    for slot in range(10):
        box.turns.add(slot, BUSY)
    box.turns.add(10, OTHER)
    assert box.begun() == [0, 10, *range(1, 10)]


def test_of_one_address_only_so_many_are_under_way(box: Box) -> None:
    for slot in range(2 * AT_ONCE):
        box.turns.add(slot, BUSY)
    assert box.begun() == [*range(AT_ONCE)]
    assert box.turns.is_pressed(0)
    box.turns.add(1000, OTHER)
    assert box.begun() == [1000]
    assert not box.turns.is_pressed(1000)
    box.turns.done(7)
    assert box.turns.waits
    assert box.begun() == [AT_ONCE]


def test_of_all_only_so_many_are_under_way(box: Box) -> None:
    addresses = 2 * UNDER_WAY // AT_ONCE
    for slot in range(addresses * AT_ONCE):
        box.turns.add(slot, bytes([slot % addresses]))
    assert box.begun() == [*range(UNDER_WAY)]
    box.turns.done(0)
    assert box.begun() == [UNDER_WAY]


def test_what_nobody_waits_for_any_more_is_dropped(box: Box) -> None:
    box.came = {0: NOW - PATIENCE - 0.1, 1: NOW - PATIENCE + 0.1}
    box.turns.add(0, BUSY)
    box.turns.add(1, BUSY)
    assert box.begun() == [1]
    assert box.dropped == [0]


def test_the_longest_queue_loses_its_oldest_and_is_in_a_hurry_from_then_on(box: Box) -> None:
    box.came = dict.fromkeys(range(6), NOW - HURRY - 0.1)
    for slot in range(5):
        box.turns.add(slot, BUSY)
    box.turns.add(5, OTHER)
    box.turns.add(6, BUSY)
    box.turns.make_room(NOW)
    assert box.dropped == [0]
    assert box.begun() == [6, 5]
    assert box.dropped == [0, 1, 2, 3, 4]


def test_who_has_lost_all_that_waited_stands_in_line_once(box: Box) -> None:
    box.turns.add(0, BUSY)
    box.turns.make_room(NOW)
    box.turns.add(1, BUSY)
    box.turns.add(2, OTHER)
    assert box.begun() == [1, 2]
    box.turns.done(1)
    box.turns.done(2)
    box.turns.add(1, BUSY)
    assert box.begun() == [1]
