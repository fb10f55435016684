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


def seconds(text: str | None) -> float:
    """A timestamp as seconds since 1970; 0 for none, or for what is no time: in a status anything
    may be written."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else 0.0
    except ValueError:
        return 0.0


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
