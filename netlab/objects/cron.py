"""When a CronJob is due: schedules of five fields, as robfig/cron's ParseStandard reads them. Pure.

A field is `*`, `?`, a number, a name (`jan`, `mon`), a range `1-5`, any of them with a step `/15`,
or several with commas. Of the days of the month and of the week either will do, if both are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo

from msgspec import Struct

from netlab.objects.numbers import whole

NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_LONGEST = 64
"""Characters of a number of any sort: what is longer is a mistake."""

YEARS = 5
"""How far ahead a time is looked for; beyond, there is none, as upstream sees it."""


class ScheduleError(ValueError):
    """What is no schedule, in robfig/cron's words."""


class _Field(Struct, frozen=True):
    first: int
    last: int
    names: Mapping[str, int] = {}


def _numbered(names: str, first: int) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split(), first)}


_FIELDS = (
    _Field(0, 59),
    _Field(0, 23),
    _Field(1, 31),
    _Field(1, 12, _numbered("jan feb mar apr may jun jul aug sep oct nov dec", 1)),
    _Field(0, 6, _numbered("sun mon tue wed thu fri sat", 0)),
)


class Schedule(Struct, frozen=True):
    """The minutes, hours, days … that it names; `either_day`: both kinds of days are given; `every`
    seconds instead of all that."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    either_day: bool = False
    every: float = 0.0

    def after(self, moment: float, zone: tzinfo = UTC) -> float | None:
        """The next time that is due after `moment`, both in seconds since 1970; None: never."""
        if self.every:
            return float(int(moment) + int(self.every))
        at = datetime.fromtimestamp(moment // 60 * 60 + 60, zone)
        limit = at.year + YEARS
        while at.year <= limit:
            step = self._miss(at)
            if step is None:
                return at.timestamp()
            at = step
        return None

    def _miss(self, at: datetime) -> datetime | None:
        """None if it is due at that time; else the next one that may be."""
        if at.month not in self.months:
            later = at.replace(day=28) + timedelta(days=4)
            return _wall(later.replace(day=1, hour=0, minute=0))
        if not self._is_day(at):
            return _wall((at + timedelta(days=1)).replace(hour=0, minute=0))
        if at.hour not in self.hours:
            return _later(at, 3600 - at.minute * 60)
        if at.minute not in self.minutes:
            return _later(at, 60)
        return None

    def _is_day(self, at: datetime) -> bool:
        day, weekday = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        return day or weekday if self.either_day else day and weekday


def _later(at: datetime, seconds: int) -> datetime:
    """So many seconds later, as clocks that are put forward or back show it."""
    return datetime.fromtimestamp(at.timestamp() + seconds, at.tzinfo)


def _wall(at: datetime) -> datetime:
    """The time that such a wall clock shows, where it skips that one the next."""
    return datetime.fromtimestamp(at.replace(fold=0).timestamp(), at.tzinfo)


def parse(text: str) -> Schedule:
    """The schedule; `ScheduleError` says what is wrong with it."""
    if not text:
        raise ScheduleError("empty spec string")
    if text.startswith("@"):
        return _described(text)
    words = text.split()
    if len(words) != len(_FIELDS):
        shown = " ".join(words)
        raise ScheduleError(f"expected exactly 5 fields, found {len(words)}: [{shown}]")
    minutes, hours, days, months, weekdays = map(_values, words, _FIELDS)
    either_day = not _is_any(words[2]) and not _is_any(words[4])
    return Schedule(minutes, hours, days, months, weekdays, either_day)


def _is_any(word: str) -> bool:
    """Whether a field says nothing; `*/2` does."""
    return any(part in ("*", "?", "*/1", "?/1") for part in word.split(","))


def _described(text: str) -> Schedule:
    if text in NAMED:
        return parse(NAMED[text])
    if text.startswith(_EVERY):
        return Schedule(every=max(1.0, _duration(text.removeprefix(_EVERY), text)))
    raise ScheduleError(f"unrecognized descriptor: {text}")


def _duration(text: str, whole_text: str) -> float:
    """Go's `1h30m10s`, in seconds."""
    seconds, digits = 0.0, ""
    for sign in text[:_LONGEST]:
        if sign.isascii() and (sign.isdigit() or sign == "."):
            digits += sign
        elif sign in _UNITS and digits.strip(".") and digits.count(".") < 2:
            seconds, digits = seconds + float(digits) * _UNITS[sign], ""
        else:
            digits = "?"
            break
    if digits or not text or len(text) > _LONGEST:
        raise ScheduleError(
            f'failed to parse duration {whole_text}: time: invalid duration "{text}"'
        )
    return seconds


def _values(text: str, field: _Field) -> frozenset[int]:
    return frozenset(value for part in text.split(",") if part for value in _range(part, field))


def _range(text: str, field: _Field) -> range:
    """One range: `*`, `3`, `1-5`, `*/2`, `3/4` (from 3 on)."""
    span, *steps = text.split("/")
    first, *others = span.split("-")
    if len(others) > 1:
        raise ScheduleError(f"too many hyphens: {text}")
    if len(steps) > 1:
        raise ScheduleError(f"too many slashes: {text}")
    if first in ("*", "?"):
        low, high = field.first, field.last
    else:
        low = _value(first, field)
        high = _value(others[0], field) if others else low
    step = _number(steps[0]) if steps else 1
    if steps and not others and first not in ("*", "?"):
        high = field.last
    return _within(low, high, step, text, field)


def _within(low: int, high: int, step: int, text: str, field: _Field) -> range:
    if low < field.first:
        raise ScheduleError(f"beginning of range ({low}) below minimum ({field.first}): {text}")
    if high > field.last:
        raise ScheduleError(f"end of range ({high}) above maximum ({field.last}): {text}")
    if low > high:
        raise ScheduleError(f"beginning of range ({low}) beyond end of range ({high}): {text}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {text}")
    return range(low, high + 1, step)


def _value(text: str, field: _Field) -> int:
    named = field.names.get(text.lower())
    return _number(text) if named is None else named


def _number(text: str) -> int:
    number = whole(text)
    if number is None or len(text) > _LONGEST:
        quoted = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise ScheduleError(f"failed to parse int from {text}: {quoted}")
    if number < 0:
        raise ScheduleError(f"negative number ({number}) not allowed: {text}")
    return number


def zone(name: str | None) -> tzinfo:
    """A time zone by its IANA name, UTC where there is none; `ValueError` if nobody knows it."""
    if not name:
        return UTC
    from zoneinfo import ZoneInfo  # few CronJobs have one

    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"unknown time zone {name}") from error
