"""A view of any object, field by field, as `kubectl describe` shows the kinds it does not know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.view.describing import described
from netlab.view.describing.described import Lines, Related

_ACRONYMS = frozenset({"api", "url", "uid", "osb", "guid"})
_SHOWN_ABOVE = frozenset({"name", "namespace", "labels", "annotations", "managedFields"})


def anything(obj: Object, related: Related) -> Lines:
    """All fields of any object, with their names made words."""
    yield f"Name:\t{meta.name(obj)}"
    yield f"Namespace:\t{meta.namespace(obj)}"
    yield from described.label_lines(obj)
    yield from described.annotation_lines(obj)
    shown = {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k not in _SHOWN_ABOVE}}
    yield from _fields(shown, "")
    yield from described.events(related)


def _fields(fields: Mapping[str, Any], indent: str) -> Lines:
    for name in sorted(fields):
        value = fields[name]
        if isinstance(value, dict):
            yield f"{indent}{title(name)}:"
            yield from _fields(value, indent + "  ")
        elif isinstance(value, list):
            yield f"{indent}{title(name)}:"
            for entry in value:
                yield from _entry(entry, indent + "  ")
        else:
            yield f"{indent}{title(name)}:\t{_scalar(value)}"


def _entry(entry: Any, indent: str) -> Lines:
    if isinstance(entry, dict):
        yield from _fields(entry, indent)
    else:
        yield f"{indent}{_scalar(entry)}"


def _scalar(value: object) -> str:
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def title(name: str) -> str:
    """`podCIDR` → `Pod CIDR`, `apiVersion` → `API Version`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^A-Z]+", name)
    return " ".join(
        word.upper() if word.lower() in _ACRONYMS else word[0].upper() + word[1:] for word in words
    )
