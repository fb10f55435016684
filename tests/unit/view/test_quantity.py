import pytest

from netlab.view import quantity


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
