"""Wilson's interval, against its definition and against chance itself."""

from __future__ import annotations

import math
import random

import pytest

from netlab.traffic.shares import interval, is_off


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (1, 10, 0.0179, 0.4042),
        (5, 10, 0.2366, 0.7634),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_published_values(count: int, total: int, low: float, high: float) -> None:
    """Of Newcombe's (1998, Statistics in Medicine 17, table I) and of textbooks."""
    found = interval(count, total)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_its_bounds_are_where_the_count_is_just_no_surprise() -> None:
    for count, total in ((3, 40), (20, 40), (400, 1000)):
        found = interval(count, total)
        for share in (found.low, found.high):
            deviation = math.sqrt(share * (1 - share) / total)
            assert abs(count / total - share) == pytest.approx(1.959964 * deviation, rel=1e-6)


def test_the_ends() -> None:
    assert (interval(0, 0).low, interval(0, 0).high) == (0.0, 1.0)
    assert interval(0, 50).low == 0.0
    assert interval(50, 50).high == pytest.approx(1.0)
    assert interval(50, 50).has(1.0)


def test_it_holds_what_is_right_as_often_as_it_says() -> None:
    draw = random.Random(7)
    tries, total, share = 2000, 60, 1 / 3
    counts = (sum(draw.random() < share for _ in range(total)) for _ in range(tries))
    held = sum(interval(count, total).has(share) for count in counts)
    assert 0.93 < held / tries < 0.97


def test_a_fair_service_is_hardly_ever_off() -> None:
    draw, endpoints, total, off = random.Random(8), 10, 300, 0
    for _ in range(500):
        counts = [0] * endpoints
        for _ in range(total):
            counts[draw.randrange(endpoints)] += 1
        off += any(is_off(count, total, 1 / endpoints, endpoints) for count in counts)
    assert off <= 5


def test_an_unfair_one_is() -> None:
    assert is_off(0, 100, 1 / 3, 3)
    assert is_off(60, 100, 1 / 3, 3)
    assert not is_off(0, 5, 1 / 3, 3), "of five, none is no wonder"
    assert not is_off(40, 100, 1 / 3, 3)
    assert is_off(20, 40, 0.0, 2), "nobody is to go there"
