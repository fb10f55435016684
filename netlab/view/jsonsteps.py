"""What each step of a JSONPath finds, from all that was found before it. Pure.

After client-go's util/jsonpath/jsonpath.go, so that a template finds here what it finds there: a
field that is missing is nothing, an index that is missing is a mistake.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

Values = list[Any]

Step = Callable[[Values], Values]
"""From what was found to what is found from there."""


class Failed(Exception):
    """A path that does not fit the value it is followed in."""


def follow(path: Sequence[Step], values: Values) -> Values:
    """What a path finds from these values."""
    for step in path:
        values = step(values)
    return values


def field(name: str) -> Step:
    """`.name`"""
    return lambda values: [
        value[name] for value in values if isinstance(value, dict) and name in value
    ]


def constant(value: Any) -> Step:
    """A number or truth value: in the place of each value that was found."""
    return lambda values: [value] * len(values)


def quoted(text: str) -> Step:
    """Quoted text: in the place of all that was found."""
    return lambda _values: [text]


def unknown(name: str) -> Step:
    """A word that is neither `range` nor `end`."""

    def step(_values: Values) -> Values:
        raise Failed(f"unrecognized identifier {name}")

    return step


def wildcard(values: Values) -> Values:
    """`.*`"""
    return [child for value in values for child in _children(value)]


def recursive(values: Values) -> Values:
    """`..`: the values themselves and all in them that has something in it."""
    found: Values = []
    for value in values:
        children = _children(value)
        if children:
            found += [value, *recursive(children)]
    return found


def _children(value: Any) -> Values:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case str():  # to Go a row of bytes
            return list(value.encode())
    return []


def union(paths: Sequence[Sequence[Step]]) -> Step:
    """`[a,b]`: all that the first finds, then all that the second does."""
    return lambda values: [found for path in paths for found in follow(path, values)]


def index(which: int) -> Step:
    """`[1]`, `[-1]`"""
    return _sliced(which, (which + 1) or None, None)


def elements(first: int | None, end: int | None, stride: int | None) -> Step:
    """`[0:2]`, `[:]`, `[::2]`"""
    return _sliced(first, end, stride)


def _sliced(first: int | None, end: int | None, stride: int | None) -> Step:
    def step(values: Values) -> Values:
        found: Values = []
        for value in values:
            if value is None:
                continue
            if not isinstance(value, list):
                raise Failed(f"{_go_type(value)} is not array or slice")
            bounds = _bounds(len(value), first, end)
            if bounds[0] == bounds[1]:
                return found  # as client-go has it: what comes after an empty list is not looked at
            if stride is not None and stride <= 0:
                raise Failed("step must be > 0")
            found += value[bounds[0] : bounds[1] : stride]
        return found

    return step


def _bounds(length: int, first: int | None, end: int | None) -> tuple[int, int]:
    """The bounds in a list of that length, counted from its start."""
    start = (first or 0) + (length if (first or 0) < 0 else 0)
    stop = length if end is None else end + (length if end < 0 else 0)
    if start == stop:
        return start, stop
    if not 0 <= start < length:
        raise Failed(f"array index out of bounds: index {start}, length {length}")
    if not 0 <= stop <= length:
        raise Failed(f"array index out of bounds: index {stop - 1}, length {length}")
    if start > stop:
        raise Failed(f"starting index {start} is greater than ending index {stop}")
    return start, stop


def _go_type(value: Any) -> str:
    match value:
        case dict():
            return "map[string]interface {}"
        case bool():
            return "bool"
        case int():
            return "int64"
        case float():
            return "float64"
    return "string"


def existing(path: Sequence[Step]) -> Step:
    """`[?(@.a)]`: the elements in which the path finds something, or what it cannot go on from."""

    def holds(element: Any) -> bool:
        values = [element]
        with contextlib.suppress(Failed):  # client-go looks at what the step that failed was given
            for step in path:
                values = step(values)
        return bool(values)

    return _filter(holds)


def comparing(left: Sequence[Step], operator: str, right: Sequence[Step]) -> Step:
    """`[?(@.a==1)]`: the elements for which that holds."""

    def holds(element: Any) -> bool:
        sides = [follow(side, [element]) for side in (left, right)]
        if not all(sides):
            return False
        if any(len(side) > 1 for side in sides):
            raise Failed("can only compare one element at a time")
        return _compare(sides[0][0], operator, sides[1][0])

    return _filter(holds)


def _filter(holds: Callable[[Any], bool]) -> Step:
    def step(values: Values) -> Values:
        for value in values:
            if not isinstance(value, list):
                raise Failed("what is not array or slice cannot be filtered")
        return [element for value in values for element in value if holds(element)]

    return step


def _compare(one: Any, operator: str, other: Any) -> bool:
    if any(value is None or isinstance(value, dict | list) for value in (one, other)):
        raise Failed("invalid type for comparison")
    if type(one) is not type(other):
        raise Failed("incompatible types for comparison")
    match operator:
        case "==":
            return bool(one == other)
        case "!=":
            return bool(one != other)
    if isinstance(one, bool):
        raise Failed("invalid type for comparison")
    match operator:
        case "<":
            return bool(one < other)
        case "<=":
            return bool(one <= other)
        case ">":
            return bool(one > other)
        case ">=":
            return bool(one >= other)
    raise Failed(f"unrecognized filter operator {operator}")
