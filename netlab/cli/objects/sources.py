"""The values that `create configmap` and `create secret` are given: text, files, directories."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path

from netlab import given
from netlab.errors import UsageError

_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--from-literal`, `--from-file`, `--from-env-file`; read them with `read`."""
    parser.add_argument(
        "--from-literal", action="append", default=[], metavar="KEY=VALUE", help="a value"
    )
    parser.add_argument(
        "--from-file",
        action="append",
        default=[],
        metavar="FILE",
        help="a file's content, as [KEY=]FILE; of a directory all files",
    )
    parser.add_argument(
        "--from-env-file", action="append", default=[], metavar="FILE", help="lines of KEY=VALUE"
    )


def read(arguments: argparse.Namespace, kind: str) -> dict[str, bytes]:
    """All keys with their values; `kind` is what errors speak of."""
    if arguments.from_env_file and (arguments.from_file or arguments.from_literal):
        raise UsageError("from-env-file cannot be combined with from-file or from-literal")
    values: dict[str, bytes] = {}
    for key, value in _all(arguments):
        if not _KEY.fullmatch(key) or key in (".", ".."):
            raise UsageError(
                f'"{key}" is not a valid key name for a {kind}: a valid config key must consist '
                "of alphanumeric characters, '-', '_' or '.'",
                hint="such as key.name, KEY_NAME or key-name",
            )
        if key in values:
            raise UsageError(
                f'cannot add key "{key}", another key by that name already exists in Data for '
                f'{kind} "{arguments.name}"'
            )
        values[key] = value
    return values


def _all(arguments: argparse.Namespace) -> Iterator[tuple[str, bytes]]:
    for text in arguments.from_literal:
        yield _literal(text)
    for text in arguments.from_file:
        yield from _files(text)
    for text in arguments.from_env_file:
        yield from _variables(Path(text))


def _literal(text: str) -> tuple[str, bytes]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"invalid literal source {text}, expected key=value")
    return key, value.encode("utf-8", "surrogateescape")


def _files(text: str) -> Iterator[tuple[str, bytes]]:
    key, equals, name = text.partition("=")
    path = Path(name if equals else text)
    if path.is_dir():
        if equals:
            raise UsageError("cannot give a key name for a directory path", hint=f"just {name}")
        for one in sorted(path.iterdir()):
            if one.is_file() and _KEY.fullmatch(one.name):
                yield one.name, _content(one)
        return
    if equals and not (key and name):
        raise UsageError(f"'{text}' is not of the form KEY=FILE")
    yield (key if equals else path.name), _content(path)


def _content(path: Path) -> bytes:
    with given.opened(path) as stream:
        return stream.read()


def _variables(path: Path) -> Iterator[tuple[str, bytes]]:
    """A KEY alone takes its value from the environment, if it is there."""
    for line in _content(path).decode("utf-8-sig").splitlines():
        line = line.lstrip()
        key, equals, value = line.partition("=")
        if not line or line.startswith("#"):
            continue
        if equals or key in os.environ:
            yield key, (value if equals else os.environ[key]).encode()
