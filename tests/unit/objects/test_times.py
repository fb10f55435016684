import pytest

from netlab.objects.times import parse_time, seconds, timestamp


def test_times_there_and_back():
    assert timestamp(1_767_268_800.9) == "2026-01-01T12:00:00Z"
    assert seconds("2026-01-01T12:00:00Z") == 1_767_268_800
    assert seconds("2026-01-01T12:00:00.500000Z") == 1_767_268_800.5
    assert seconds(None) == seconds("") == 0


def test_times_are_read_with_and_without_fractions():
    assert parse_time("1970-01-01T00:01:00Z") == 60
    assert parse_time("1970-01-01T00:01:00.500000Z") == 60.5
    assert parse_time("1970-01-01T00:01:00") == 60  # of no zone: of ours, which is UTC


@pytest.mark.parametrize("broken", [None, "", "yesterday", 5])
def test_a_time_that_is_none_reads_as_none(broken):
    assert parse_time(broken) is None
    assert seconds(broken) == 0.0
