"""How workloads may be brought up to date: their strategies, each with its own words.

Source: pkg/apis/apps/validation, whose words show strategies as its Go types have them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from netlab.objects import fields
from netlab.objects.problems import (
    FieldProblem,
    Path,
    did_you_mean,
    forbidden,
    invalid,
    not_supported,
    required,
)

Mapping = dict[str, Any]
Problems = Iterator[FieldProblem]

_ROLLING = "RollingUpdate"
_AMOUNTS = ("maxSurge", "maxUnavailable")
_DIGITS = 18
"""Of a number that is read; what has more is larger than any that is meant."""
_NUMBER = re.compile(rf"[+-]?[0-9]{{1,{_DIGITS}}}")
_PERCENT = re.compile(r"[0-9]+%")
_PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)


def deployment(path: Path, strategy: Mapping) -> Problems:
    """A Deployment's `strategy`."""
    type_, rolling = strategy.get("type") or _ROLLING, strategy.get("rollingUpdate")
    where: Path = (*path, "rollingUpdate")
    if type_ == "Recreate" and rolling is not None:
        yield forbidden(where, "may not be specified when strategy `type` is 'Recreate'")
    elif type_ == _ROLLING:
        yield from _of_deployment(where, rolling or {})
    elif type_ != "Recreate":
        choices = ("Recreate", _ROLLING)
        yield _guessed(not_supported(path, _shown(strategy), choices), type_, choices)


def _of_deployment(path: Path, rolling: Mapping) -> Problems:
    surge, unavailable = (rolling.get(field, "25%") for field in _AMOUNTS)
    yield from _amount((*path, "maxUnavailable"), unavailable)
    yield from _amount((*path, "maxSurge"), surge)
    if not _number(unavailable) and not _number(surge):
        where = (*path, "maxUnavailable")
        yield invalid(where, unavailable, "may not be 0 when `maxSurge` is 0")
    yield from _at_most_all((*path, "maxUnavailable"), unavailable)


def daemon_set(path: Path, strategy: Mapping) -> Problems:
    """A DaemonSet's `updateStrategy`."""
    type_ = strategy.get("type") or _ROLLING
    if type_ == _ROLLING:
        yield from _of_daemon_set((*path, "rollingUpdate"), strategy.get("rollingUpdate") or {})
    elif type_ != "OnDelete":
        choices = (_ROLLING, "OnDelete")
        yield _guessed(not_supported(path, _shown(strategy), choices), type_, choices)


def _of_daemon_set(path: Path, rolling: Mapping) -> Problems:
    surge, unavailable = rolling.get("maxSurge", 0), rolling.get("maxUnavailable", 1)
    for check in (_amount, _at_most_all):
        yield from check((*path, "maxUnavailable"), unavailable)
        yield from check((*path, "maxSurge"), surge)
    if _number(unavailable) and _number(surge):
        detail = "may not be set when maxUnavailable is non-zero"
        hint = None if "maxUnavailable" in rolling else "write maxUnavailable: 0"
        yield invalid((*path, "maxSurge"), surge, detail, hint)
    elif not _number(unavailable) and not _number(surge):
        yield required((*path, "maxUnavailable"), "cannot be 0 when maxSurge is 0")


def stateful_set(path: Path, strategy: Mapping) -> Problems:
    """A StatefulSet's `updateStrategy`."""
    type_, rolling = strategy.get("type") or _ROLLING, strategy.get("rollingUpdate")
    where: Path = (*path, "rollingUpdate")
    if type_ == "OnDelete" and rolling is not None:
        yield invalid(where, _partition(rolling), f"only allowed for updateStrategy '{_ROLLING}'")
    elif type_ == _ROLLING:
        yield from _of_stateful_set(where, rolling or {})
    elif type_ != "OnDelete":
        shown = {"Type": type_, _ROLLING: None if rolling is None else _partition(rolling)}
        problem = invalid(path, shown, f"must be '{_ROLLING}' or 'OnDelete'")
        yield _guessed(problem, type_, (_ROLLING, "OnDelete"))


def _of_stateful_set(path: Path, rolling: Mapping) -> Problems:
    yield from fields.non_negative((*path, "partition"), rolling.get("partition"))
    where, unavailable = (*path, "maxUnavailable"), rolling.get("maxUnavailable")
    if unavailable is not None:
        yield from _amount(where, unavailable)
        if not _number(unavailable):
            yield invalid(where, unavailable, "cannot be 0")
        yield from _at_most_all(where, unavailable)


def _amount(path: Path, amount: int | str) -> Problems:
    """A number of pods, or a percentage of them."""
    if isinstance(amount, int):
        yield from fields.non_negative(path, amount)
    elif not _PERCENT.fullmatch(amount):
        yield invalid(path, amount, _PERCENT_RULE)


def _at_most_all(path: Path, amount: int | str) -> Problems:
    if isinstance(amount, str) and _PERCENT.fullmatch(amount) and _number(amount) > 100:
        yield invalid(path, amount, "must not be greater than 100%")


def _number(amount: int | str) -> int:
    """Of a percentage the figure before its sign, of a text that is neither 0."""
    if isinstance(amount, int):
        return amount
    if _PERCENT.fullmatch(amount):
        return int(amount[:-1]) if len(amount) <= _DIGITS else 10**_DIGITS
    return int(amount) if _NUMBER.fullmatch(amount) else 0


def _shown(strategy: Mapping) -> Mapping:
    """A strategy as the Go types have it."""
    rolling = strategy.get("rollingUpdate")
    if rolling is not None:
        names = {"MaxUnavailable": "maxUnavailable", "MaxSurge": "maxSurge"}
        rolling = {name: rolling.get(field, 0) for name, field in names.items()}
    return {"Type": strategy.get("type"), _ROLLING: rolling}


def _partition(rolling: Mapping) -> Mapping:
    return {
        "Partition": rolling.get("partition", 0),
        "MaxUnavailable": rolling.get("maxUnavailable"),
    }


def _guessed(problem: FieldProblem, type_: Any, choices: tuple[str, ...]) -> FieldProblem:
    meant = did_you_mean(str(type_), choices)
    return replace(problem, hint=f'did you mean "{meant}"?' if meant else None)
