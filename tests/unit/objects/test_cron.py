from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.objects import cron


def seconds(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def following(schedule, moment, zone=None):
    due = cron.parse(schedule).after(seconds(moment), cron.zone(zone))
    return None if due is None else datetime.fromtimestamp(due, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize(
    ("schedule", "moment", "due"),
    [
        ("* * * * *", "2026-01-31T12:00:00", "2026-01-31T12:01:00"),
        ("* * * * *", "2026-01-31T12:00:59", "2026-01-31T12:01:00"),
        ("*/15 * * * *", "2026-01-31T12:50:00", "2026-01-31T13:00:00"),
        ("5/20 * * * *", "2026-01-31T12:26:00", "2026-01-31T12:45:00"),
        ("10-12,40 8 * * *", "2026-01-31T08:12:00", "2026-01-31T08:40:00"),
        ("0 3 * * mon-fri", "2026-01-30T03:00:00", "2026-02-02T03:00:00"),
        ("0 0 1 JAN *", "2026-01-31T12:00:00", "2027-01-01T00:00:00"),
        ("0 0 29 2 *", "2026-01-31T12:00:00", "2028-02-29T00:00:00"),
        ("0 0 30 2 *", "2026-01-31T12:00:00", None),
        ("0 0 13 * fri", "2026-02-01T00:00:00", "2026-02-06T00:00:00"),  # either of the days
        ("0 0 */2 * fri", "2026-02-01T00:00:00", "2026-02-03T00:00:00"),
        ("0 0 * * fri", "2026-02-01T00:00:00", "2026-02-06T00:00:00"),
        ("0 0 31 * ?", "2026-02-01T00:00:00", "2026-03-31T00:00:00"),
        ("@hourly", "2026-01-31T12:00:00", "2026-01-31T13:00:00"),
        ("@daily", "2026-01-31T12:00:00", "2026-02-01T00:00:00"),
        ("@weekly", "2026-01-31T12:00:00", "2026-02-01T00:00:00"),
        ("@monthly", "2026-01-31T12:00:00", "2026-02-01T00:00:00"),
        ("@yearly", "2026-01-31T12:00:00", "2027-01-01T00:00:00"),
        ("@every 1h30m", "2026-01-31T12:00:00", "2026-01-31T13:30:00"),
    ],
)
def test_a_schedule_is_due(schedule, moment, due):
    assert following(schedule, moment) == due


@pytest.mark.parametrize(
    ("schedule", "zone", "moment", "due"),
    [
        ("0 9 * * *", "Europe/Berlin", "2026-01-31T07:00:00", "2026-01-31T08:00:00"),
        ("0 9 * * *", "Europe/Berlin", "2026-07-31T06:00:00", "2026-07-31T07:00:00"),
        # clocks are put forward from 2 to 3, and back from 3 to 2
        ("30 1 * * *", "Europe/Berlin", "2026-03-28T23:00:00", "2026-03-29T00:30:00"),
        ("0 4 * * *", "Europe/Berlin", "2026-03-29T00:30:00", "2026-03-29T02:00:00"),
        ("30 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00", "2026-04-04T14:30:00"),
        ("0 4 * * *", "Australia/Lord_Howe", "2026-04-04T15:05:00", "2026-04-04T17:30:00"),
    ],
)
def test_a_schedule_goes_by_the_clocks_of_its_zone(schedule, zone, moment, due):
    assert following(schedule, moment, zone) == due


@pytest.mark.parametrize(
    ("schedule", "wrong"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("9-5 * * * *", "beginning of range (9) beyond end of range (5): 9-5"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("*/2/3 * * * *", "too many slashes: */2/3"),
        ("* * * smarch *", "failed to parse int from smarch"),
        ("@noon", "unrecognized descriptor: @noon"),
        ("@every now", 'failed to parse duration @every now: time: invalid duration "now"'),
        ("1" * 5000 + " * * * *", "failed to parse int"),
    ],
)
def test_what_is_no_schedule_is_told_as_upstream_tells_it(schedule, wrong):
    with pytest.raises(cron.ScheduleError) as caught:
        cron.parse(schedule)
    assert str(caught.value).startswith(wrong)


@pytest.mark.parametrize("name", ["Europe/Atlantis", "../../etc/passwd", "/etc", "Africa", "\0"])
def test_a_zone_that_nobody_knows(name):
    with pytest.raises(ValueError, match="unknown time zone"):
        cron.zone(name)


_FIELDS = st.sampled_from(["*", "0", "1", "*/2", "1-5", "2,4", "?", "*/7", "3/4"])


@given(
    st.tuples(_FIELDS, _FIELDS, _FIELDS, _FIELDS, _FIELDS),
    st.integers(0, 2**32),
    st.sampled_from([None, "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"]),
)
def test_each_time_is_later_than_the_one_before(words, moment, zone):
    try:
        schedule = cron.parse(" ".join(words))
    except cron.ScheduleError:
        return
    times = [float(moment)]
    for _ in range(3):
        due = schedule.after(times[-1], cron.zone(zone))
        if due is None:
            break
        times.append(due)
    assert all(one < two for one, two in pairwise(times))


@given(st.text(max_size=30))
def test_any_text_is_a_schedule_or_a_mistake(text):
    try:
        cron.parse(text).after(0.0)
    except cron.ScheduleError as error:
        assert str(error)
