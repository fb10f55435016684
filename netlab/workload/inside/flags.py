"""Command lines and durations as Go programs take them (spf13/pflag, time.ParseDuration)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
_TRUTH = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}


class Seconds(float):
    """A flag's default that says: it takes durations."""


def duration(text: str) -> float:
    """Seconds of `1m30s`; `ValueError` for what is none."""
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError(f'time: invalid duration "{text}"')
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def parse(
    words: Sequence[str],
    defaults: Mapping[str, Any],
    *,
    shorts: Mapping[str, str] | None = None,
    most: int = 0,
) -> tuple[dict[str, Any], list[str]]:
    """The flags' values, and what else there is, which may be `most` words.

    A flag's default says what it takes: True or False, a number, a text, or `Seconds`. Who gives
    others gets told on stderr, and the program ends.
    """
    values, rest = dict(defaults), []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            rest += left
            break
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        name, equals, text = word.lstrip("-").partition("=")
        if not word.startswith("--"):
            name = (shorts or {}).get(name, name)
        if name not in defaults:
            fail(f"unknown flag: {word.partition('=')[0]}")
        if not equals and isinstance(defaults[name], bool):
            text = "true"
        elif not equals:
            text = left.pop(0) if left else fail(f"flag needs an argument: {word}")
        values[name] = _value(name, text, defaults[name])
    if len(rest) > most:
        fail(f'unknown command "{rest[most]}"')
    return values, rest


def _value(name: str, text: str, default: Any) -> Any:
    try:
        if isinstance(default, bool):
            return _TRUTH[text.lower()]
        if isinstance(default, Seconds):
            return duration(text)
        return int(text) if isinstance(default, int) else text
    except (ValueError, KeyError):
        fail(f'invalid argument "{text}" for "--{name}" flag')


def fail(message: str) -> NoReturn:
    """Say what is wrong, and end."""
    print(f"Error: {message}", file=sys.stderr)
    sys.exit(1)
