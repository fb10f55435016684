"""How long what failed is left alone."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.errors import EnvironmentLacks, NetlabError
from netlab.retry import Retry


def delays(retry: Retry, error: Exception) -> Iterator[float]:
    return (retry.after(error, failures) for failures in (1, 2, 3, 9, 10_000))


def test_delays_double_up_to_the_cap() -> None:
    assert list(delays(Retry(0.5, 5.0), NetlabError("x"))) == [0.5, 1.0, 2.0, 5.0, 5.0]


def test_what_somebody_must_mend_is_not_hurried() -> None:
    assert list(delays(Retry(0.5, 5.0), EnvironmentLacks("no crun"))) == [5.0] * 5
