"""`status.conditions`: replacing one entry without disturbing the others or the times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Condition = dict[str, Any]


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The entry of that type."""
    return next((entry for entry in conditions if entry.get("type") == type_), None)


def conditions_with(
    conditions: Iterable[Condition], type_: str, fresh: Condition | None, *, touch: bool = False
) -> list[Condition]:
    """The conditions with the one of that type replaced (in its place), added, or (None) removed.

    One that says nothing new stays as it is, its times included, unless `touch`; the
    lastTransitionTime moves only with the status.
    """
    result: list[Condition] = []
    found = False
    for entry in conditions:
        if entry.get("type") != type_:
            result.append(entry)
        elif fresh is not None:
            result.append(_merged(entry, fresh, touch))
        found = found or entry.get("type") == type_
    return result if found or fresh is None else [*result, {"type": type_, **fresh}]


def _merged(old: Condition, fresh: Condition, touch: bool) -> Condition:
    same = all(old.get(field) == fresh.get(field) for field in ("status", "reason", "message"))
    if same and not touch:
        return old
    merged = {"type": old["type"], **fresh}
    if old.get("status") == fresh.get("status") and "lastTransitionTime" in old:
        merged["lastTransitionTime"] = old["lastTransitionTime"]
    return merged
