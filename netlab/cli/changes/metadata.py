"""`label` and `annotate`: KEY=VALUE sets, KEY- removes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from msgspec import Struct

from netlab.cli import options, results, selection
from netlab.cli.changes import patching
from netlab.errors import NetlabError, UsageError
from netlab.objects.meta import Object


class Sort(Struct, frozen=True):
    """What is set, and how kubectl speaks of it."""

    field: str
    noun: str
    done: str


Marks = dict[str, str | None]
"""Each key with its value; None removes it."""


def add_arguments(parser: argparse.ArgumentParser, sort: Sort) -> None:
    """The objects, then what to set."""
    selection.add_arguments(
        parser, f"pod NAME KEY=VALUE, svc/web KEY- … (KEY- removes a {sort.noun})"
    )
    parser.add_argument("--overwrite", action="store_true", help="change what has a value already")
    parser.add_argument("--list", action="store_true", help=f"print the {sort.field}")
    results.add_arguments(parser)


def run(arguments: argparse.Namespace, sort: Sort) -> int:
    """Set and remove; nothing is changed if a value would be overwritten unasked."""
    arguments.targets, words = split(arguments.targets)
    marks = parse(words, sort)
    if not marks and not arguments.list:
        raise UsageError(f"at least one {sort.noun} update is required", hint="KEY=VALUE or KEY-")
    with options.client(arguments) as client:
        found = selection.objects(client, arguments)
        if not arguments.overwrite:
            for obj in found:
                refuse_overwriting(_of(obj, sort), marks, sort)
        for obj in found:
            before = _of(obj, sort)
            if sort.field == "labels":
                _say_missing(before, marks)
            now = obj
            if marks:
                patch = {"metadata": {sort.field: marks}}
                now = patching.change(client, obj, patch, arguments, patching.MERGE)
                results.report(now, _done(before, _of(now, sort), marks, sort), arguments)
            if arguments.list:
                print(*(f"{k}={v}" for k, v in sorted(_of(now, sort).items())), sep="\n")
    return 0


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(what names objects, what is to be set)."""
    at = next((i for i, word in enumerate(words) if "=" in word or word.endswith("-")), len(words))
    return list(words[:at]), list(words[at:])


def parse(words: Sequence[str], sort: Sort) -> Marks:
    """`a=b`, `c-` → {a: b, c: None}."""
    marks: Marks = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals and not word.endswith("-"):
            raise UsageError(
                f"'{word}' is neither KEY=VALUE nor KEY-",
                hint="objects come first, then what to set",
            )
        key = key if equals else word[:-1]
        if key in marks and (marks[key] is None) == bool(equals):
            raise UsageError(f"can not both modify and remove a {sort.noun} in the same command")
        marks[key] = value if equals else None
    return marks


def refuse_overwriting(have: Mapping[str, str], marks: Marks, sort: Sort) -> None:
    """A value that differs from the present one needs `--overwrite`."""
    taken = [
        f"'{key}' already has a value ({have[key]})"
        for key, value in marks.items()
        if value is not None and have.get(key, value) != value
    ]
    if not taken:
        return
    if sort.field == "labels":
        text = f"{taken[0]}, and --overwrite is false"
    else:
        text = f"--overwrite is false but found the following declared {sort.noun}(s): "
        text += "; ".join(taken)
    raise NetlabError(text, hint="--overwrite changes it")


def _of(obj: Object, sort: Sort) -> dict[str, str]:
    return obj["metadata"].get(sort.field) or {}


def _say_missing(have: Mapping[str, str], marks: Marks) -> None:
    for key, value in marks.items():
        if value is None and key not in have:
            print(f'label "{key}" not found.')


def _done(before: Mapping[str, str], now: Mapping[str, str], marks: Marks, sort: Sort) -> str:
    if sort.field == "annotations":
        return sort.done
    if before == now:
        return f"not {sort.done}"
    return sort.done if any(value is not None for value in marks.values()) else f"un{sort.done}"
