from __future__ import annotations

import math

import pytest

from netlab.pathcheck.spread import FALSE_ALARM, bounds, tries_for


@pytest.mark.parametrize("endpoints", [2, 3, 10, 50])
def test_seeing_all_fails_for_half_a_billionth_and_one_try_less_does_not_suffice(
    endpoints: int,
) -> None:
    def chance(tries: int) -> float:
        return endpoints * (1 - 1 / endpoints) ** tries

    tries = tries_for(endpoints)
    assert chance(tries) <= FALSE_ALARM / 2 < chance(tries - 1)


def test_more_each_takes_more_tries() -> None:
    assert tries_for(1, 5) == 5
    assert tries_for(3) < tries_for(3, 5) < tries_for(3, 20)


@pytest.mark.parametrize(("tries", "endpoints"), [(100, 2), (100, 3), (226, 10)])
def test_bounds_are_the_tightest_that_hold(tries: int, endpoints: int) -> None:
    p = 1 / endpoints

    def chance(count: int) -> float:
        return math.comb(tries, count) * p**count * (1 - p) ** (tries - count)

    found = bounds(tries, endpoints)
    tail = FALSE_ALARM / (4 * endpoints)
    assert sum(map(chance, range(found.low))) <= tail < sum(map(chance, range(found.low + 1)))
    above = range(found.high + 1, tries + 1)
    assert sum(map(chance, above)) <= tail < sum(map(chance, range(found.high, tries + 1)))


def test_one_endpoint_gets_everything() -> None:
    found = bounds(7, 1)
    assert (found.low, found.high) == (7, 7)
