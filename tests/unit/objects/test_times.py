import pytest

from netlab.objects.times import complaint, parse_time, seconds, timestamp


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


_FORM = '"2006-01-02T15:04:05Z07:00"'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-01-31T12:00:00Z", ""),
        ("2026-01-31T12:00:00.5+09:00", ""),
        ("0001-01-01T00:00:00Z", ""),
        ("", f'parsing time "" as {_FORM}: cannot parse "" as "2006"'),
        ("soon", f'parsing time "soon" as {_FORM}: cannot parse "soon" as "2006"'),
        ("2026-01-31", f'parsing time "2026-01-31" as {_FORM}: cannot parse "" as "T"'),
        (
            "2026-01-31T12:00:00",
            f'parsing time "2026-01-31T12:00:00" as {_FORM}: cannot parse "" as "Z07:00"',
        ),
        ("2026-01-31T12:00:00Zulu", 'parsing time "2026-01-31T12:00:00Zulu": extra text: "ulu"'),
        ("2026-13-31T12:00:00Z", 'parsing time "2026-13-31T12:00:00Z": month out of range'),
        ("2026-02-30T12:00:00Z", 'parsing time "2026-02-30T12:00:00Z": day out of range'),
        ("2026-01-31T12:60:00Z", 'parsing time "2026-01-31T12:60:00Z": minute out of range'),
    ],
)
def test_what_is_no_time_is_told_as_go_tells_it(text: str, said: str):
    assert complaint(text) == said
