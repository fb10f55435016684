import pytest

from netlab.objects import quantity


@pytest.mark.parametrize(
    ("summands", "total"),
    [
        (["50m", "50m"], "100m"),
        (["500m", "0.5"], "1"),
        (["1", "500m"], "1500m"),
        (["1000"], "1k"),
        (["1Mi", "1Mi"], "2Mi"),
        (["512Ki", "512Ki"], "1Mi"),
        (["1e3"], "1k"),
        ([], "0"),
    ],
)
def test_total_is_canonical(summands: list[str], total: str) -> None:
    assert quantity.total(summands) == total


def test_what_is_no_quantity_counts_nothing() -> None:
    assert quantity.parse("many") == 0
    assert quantity.parse("5x") == 0


def test_per_cent_of_the_unknown_is_none() -> None:
    assert quantity.per_cent("1", None) == 0
    assert quantity.per_cent("500m", "2") == 25


@pytest.mark.parametrize("text", ["1e999999999", "1e-999999999", "9" * 100_000, "1.2.3", ".", ""])
def test_what_no_machine_has_counts_nothing_and_takes_no_time(text: str) -> None:
    assert quantity.parse(text) == 0


def test_an_exponent_may_have_zeros_in_front() -> None:
    assert quantity.parse("1e003") == 1000
