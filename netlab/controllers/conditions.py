"""`status.conditions`: replacing one entry without disturbing the others or the times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

C = TypeVar("C", bound=Mapping[str, Any])
"""The condition of some kind of object."""


def find(conditions: Iterable[C], type_: str) -> C | None:
    """The entry of that type."""
    return next((entry for entry in conditions if entry.get("type") == type_), None)


def conditions_without(conditions: Iterable[C], type_: str) -> list[C]:
    """The conditions but the one of that type."""
    return [entry for entry in conditions if entry["type"] != type_]


def conditions_with(
    conditions: Iterable[C],
    fresh: C,
    *,
    touch: bool = False,
    told_by: Sequence[str] = ("status", "reason", "message"),
) -> list[C]:
    """The conditions with `fresh` in the place of the one of its type, or behind the others.

    One that says nothing new in the fields that it is `told_by` stays as it is, its times included,
    unless `touch`; the lastTransitionTime moves only with the status.
    """
    result = [
        _merged(entry, fresh, touch, told_by) if entry["type"] == fresh["type"] else entry
        for entry in conditions
    ]
    return result if find(result, fresh["type"]) else [*result, fresh]


def _merged(old: C, fresh: C, touch: bool, told_by: Sequence[str]) -> C:
    same = all(old.get(field) == fresh.get(field) for field in told_by)
    if same and not touch:
        return old
    merged: Any = dict(fresh)
    if old.get("status") == fresh.get("status") and "lastTransitionTime" in old:
        merged["lastTransitionTime"] = old["lastTransitionTime"]
    kept: C = merged
    return kept
