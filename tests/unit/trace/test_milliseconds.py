"""What is told of a time is the same before it was saved and afterwards."""

from hypothesis import given
from hypothesis import strategies as st

from netlab.trace.milliseconds import in_words, milliseconds


@given(st.floats(0, 100))
def test_saved_times_are_told_as_measured_ones(seconds: float) -> None:
    assert in_words(milliseconds(seconds) / 1000) == in_words(seconds)


def test_where_rounding_twice_told_another_one() -> None:
    assert in_words(0.00164996) == in_words(milliseconds(0.00164996) / 1000)
