"""Where in the lab's files an object's field is written: looked for anew, when it is asked for.

A file that has changed since is not taken for where the field comes from: what stands there must
be what the object has. Of a big file the documents alone are parsed that hold the object's name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from netlab.objects import meta
from netlab.objects.yamltext import Document, read
from netlab.trace.origins import Where

_SEPARATOR = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_MISSING = object()


def finder(files: Sequence[str], object_of: Callable[[str, str], Any]) -> Where:
    """What finds fields in these files; `object_of` gives an object by kind and key."""

    @cache
    def text(file: str) -> str:
        try:
            return Path(file).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):  # it was there when the lab came up
            return ""

    @cache
    def find(kind: str, key: str, field: str) -> str:
        found = object_of(kind, key)
        if found is None:
            return ""
        path = steps(field)
        for file in files:
            for document, start, value in _documents(text(file), kind, key):
                if _value(value, path) in (_MISSING, _value(found, path)):
                    return f"{_shown(file)}:{document.line((*start, *path))}"
        return ""

    return find


def steps(field: str) -> tuple[str | int, ...]:
    """`spec.ports[0].port` → its parts."""
    return tuple(name or int(number) for name, number in _STEP.findall(field))


def _documents(
    text: str, kind: str, key: str
) -> Iterator[tuple[Document, tuple[str | int, ...], Any]]:
    """The documents that hold that object, where it begins in them, and it."""
    space, _, name = key.partition("/")
    begin = 0
    for end in [*(match.end() for match in _SEPARATOR.finditer(text)), len(text)]:
        chunk = text[begin:end]
        if name in chunk and kind in chunk:
            lines = text.count("\n", 0, begin)
            for document in read("\n" * lines + _SEPARATOR.sub("", chunk))[0]:
                for start, value in _objects(document.value):
                    if _is_it(value, kind, space, name):
                        yield document, start, value
        begin = end


def _objects(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    items = value.get("items") if isinstance(value, dict) else None
    if isinstance(items, list) and str(value.get("kind", "")).endswith("List"):
        yield from ((("items", index), item) for index, item in enumerate(items))
    else:
        yield (), value


def _is_it(value: Any, kind: str, space: str, name: str) -> bool:
    if not isinstance(value, dict) or value.get("kind") != kind:
        return False
    if not isinstance(value.get("metadata"), dict):
        return False
    return (meta.namespace(value) or "default", meta.name(value)) == (space, name)


def _value(found: Any, path: tuple[str | int, ...]) -> Any:
    """What stands there, or `_MISSING`: a default, or what the cluster chose."""
    for part in path:
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return found


def _shown(file: str) -> str:
    """Below where we are as seen from here."""
    near = os.path.relpath(file)
    return file if near.startswith("..") else near
