import pytest

from netlab.objects.fields import QUANTITY
from netlab.objects.numbers import whole


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("-12", -12), ("007", 7), (str(2**63 - 1), 2**63 - 1), (str(-(2**63)), -(2**63))],
)
def test_whole_numbers(text, number):
    assert whole(text) == number


@pytest.mark.parametrize(
    "text", ["", "-", "--1", "1.5", "1e3", " 1", "1\n", "²", "٣", str(2**63), "9" * 5000]
)
def test_other_text(text):
    assert whole(text) is None


@pytest.mark.parametrize("text", ["1", "0.5", ".5", "1.", "+1k", "100m", "64Mi", "1e3", "1E-3"])
def test_quantities(text):
    assert QUANTITY.fullmatch(text)


@pytest.mark.parametrize(
    "text", ["", ".", "1 ", "1mi", "1e", "1e999", "٣", "9" * 5000, "0." + "0" * 99]
)
def test_what_is_no_quantity(text):
    assert not QUANTITY.fullmatch(text)
