"""Times as the API writes them: RFC 3339, in UTC, whole seconds but where it says otherwise."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as `2026-01-31T12:00:00Z`."""
    return _whole(int(seconds))


@lru_cache(maxsize=64)
def _whole(seconds: int) -> str:
    """One text for all that happens within a second: a lab's objects hold thousands of times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time(seconds: float) -> str:
    """Seconds since 1970 as a MicroTime: `2026-01-31T12:00:00.000000Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: object) -> float | None:
    """A timestamp as seconds since 1970; None for none, or for what is no time: annotations may
    have anything."""
    if not isinstance(text, str) or not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_RFC3339 = "2006-01-02T15:04:05Z07:00"
"""The form of a time, as Go writes it down, and its parts."""
_PARTS = (
    (r"\d{4}", "2006"), ("-", "-"), (r"\d\d", "01"), ("-", "-"), (r"\d\d", "02"), ("T", "T"),
    (r"\d\d", "15"), (":", ":"), (r"\d\d", "04"), (":", ":"), (r"\d\d(?:[.,]\d+)?", "05"),
    (r"Z|[+-]\d\d:\d\d", "Z07:00"),
)  # fmt: skip
_TIME = re.compile("".join(f"(?:{part})" for part, _ in _PARTS), re.ASCII)


def complaint(text: str) -> str:
    """Why a text is no time, in the words of Go's decoder; "" for one that is."""
    if _TIME.fullmatch(text):
        return "" if parse_time(text) is not None else f'parsing time "{text}": {_excess(text)}'
    rest = text
    for part, form in _PARTS:
        found = re.match(part, rest, re.ASCII)
        if found is None:
            return f'parsing time "{text}" as "{_RFC3339}": cannot parse "{rest}" as "{form}"'
        rest = rest[found.end() :]
    return f'parsing time "{text}": extra text: "{rest}"'


def _excess(text: str) -> str:
    """Which part is too great; days count from 1, by month and year."""
    _, month, _, hour, minute, second = map(int, re.findall(r"\d+", text)[:6])
    limits = (("month", month - 1, 12), ("hour", hour, 24), ("minute", minute, 60),
              ("second", second, 60))  # fmt: skip
    return (
        next((name for name, part, end in limits if not 0 <= part < end), "day") + " out of range"
    )


def seconds(text: object) -> float:
    """`parse_time`, with 0 for what is no time."""
    return parse_time(text) or 0.0


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str) -> float | None:
    """`30s`, `1m30s`, `500ms`, `-1s`, or a bare number, as seconds; None for what is none."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
    if rest.isdecimal():
        return sign * float(rest)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", rest)
    if not parts or "".join(map("".join, parts)) != rest:
        return None
    return sign * sum(float(number) * _UNITS[unit] for number, unit in parts)
