"""`-o custom-columns=NAME:.metadata.name,…` and `--sort-by=.spec.x`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from netlab.errors import UsageError
from netlab.objects.meta import Object
from netlab.objects.times import parse_time
from netlab.view import gotext, jsonpath
from netlab.view.table import align


def custom_columns(spec: str, objects: Iterable[Object], *, headers: bool = True) -> str:
    """A table with a row for each object and the columns that `spec` asks for."""
    columns = [_column(part) for part in _parts(spec)]
    rows = [[_cell(jsonpath.find(path, obj)) for _, path in columns] for obj in objects]
    return align(([[title for title, _ in columns]] if headers else []) + rows)


def _parts(spec: str) -> list[str]:
    """The columns' specs; a comma inside brackets separates none."""
    parts = re.findall(r"(?:\[[^\]]*\]|[^,\[])+", spec)
    if not parts:
        raise UsageError(
            "custom-columns format specified but no custom columns given",
            hint="-o custom-columns=NAME:.metadata.name,IP:.status.podIP",
        )
    return parts


def _column(part: str) -> tuple[str, str]:
    title, colon, path = part.partition(":")
    if not colon or not path:
        raise UsageError(
            f"unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>",
            hint="-o custom-columns=NAME:.metadata.name,IP:.status.podIP",
        )
    return title, path


def _cell(found: Sequence[Any]) -> str:
    return ",".join(_text(value) for value in found) or "<none>"


def _text(value: Any) -> str:
    """A value as Go prints it, which is what kubectl does here."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{_text(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(_text, value)) + "]"
    if value is None:
        return "<nil>"
    return gotext.text(value)


def sort_key(path: str) -> Callable[[Object], tuple[Any, ...]]:
    """A key that orders objects by the field at `path`: numbers and times as such, names with
    numbers in them by these; objects without the field come first."""

    def key(obj: Object) -> tuple[Any, ...]:
        found = jsonpath.find(path, obj)
        if not found:
            return (0,)
        value = found[0]
        if isinstance(value, int | float):
            return (1, value)
        moment = parse_time(value)
        return (2, moment) if moment is not None else (3, _natural(str(value)))

    return key


def _natural(text: str) -> list[tuple[int, int, str]]:
    """`10.244.1.3` before `10.244.1.12`."""
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in re.split(r"(\d+)", text)
        if part
    ]
