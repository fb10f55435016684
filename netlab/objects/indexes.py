"""Sets of completion indexes as a Job's status writes them: `0,3-5`. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.objects.numbers import whole


class IndexesError(ValueError):
    """What is no set of indexes, in the API server's words."""


def render(indexes: Iterable[int]) -> str:
    """`{0, 3, 4, 5}` → `0,3-5`."""
    spans: list[list[int]] = []
    for index in sorted(set(indexes)):
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ",".join(_span(first, last) for first, last in spans)


def _span(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def parse(text: str, completions: int) -> set[int]:
    """The indexes below `completions`; `IndexesError` for what is not in order or too large."""
    found: set[int] = set()
    last = -1
    for part in text.split(",") if text else ():
        first, high = _interval(part, completions)
        if first <= last:
            raise IndexesError(f"non-increasing order, previous: {last}, current: {first}")
        last = high
        found.update(range(first, high + 1))
    return found


def known(text: str, completions: int) -> set[int]:
    """As `parse`, of a status that anybody may have written: what is wrong in it is left out."""
    found: set[int] = set()
    for part in text.split(","):
        try:
            first, last = _interval(part, completions)
        except IndexesError:
            continue
        found.update(range(first, last + 1))
    return found


def _interval(part: str, completions: int) -> tuple[int, int]:
    limits = part.split("-")
    if len(limits) > 2:
        raise IndexesError(
            f'the fragment "{part}" violates the requirement that an index interval can have at '
            "most two parts separated by '-'"
        )
    first, last = _index(limits[0], completions), _index(limits[-1], completions)
    if len(limits) > 1 and first >= last:
        raise IndexesError(f"non-increasing order, previous: {first}, current: {last}")
    return first, last


def _index(text: str, completions: int) -> int:
    number = whole(text)
    if number is None or number < 0:
        raise IndexesError(f'cannot convert string to integer for index: "{text}"')
    if number >= completions:
        raise IndexesError(f'too large index: "{text}"')
    return number
