"""What holds data, and a plain view of every kind that has none of its own. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from netlab.objects.meta import Object
from netlab.view import described
from netlab.view.described import Lines, Related

_ACRONYMS = frozenset({"api", "url", "uid", "osb", "guid"})
_SHOWN_ABOVE = frozenset({"name", "namespace", "labels", "annotations", "managedFields"})


def config_map(obj: Object, related: Related) -> Lines:
    """A ConfigMap with all it holds."""
    yield from described.head(obj)
    yield from ("", "Data", "====")
    for name, value in sorted((obj.get("data") or {}).items()):
        yield from (f"{name}:", "----", *str(value).split("\n"), "")
    yield from ("", "BinaryData", "====")
    for name, value in sorted((obj.get("binaryData") or {}).items()):
        yield f"{name}: {_size(value)} bytes"
    yield ""
    yield from described.events(related)


def secret(obj: Object, related: Related) -> Lines:
    """A Secret: how much it holds, not what."""
    del related
    yield from described.head(obj)
    yield from ("", f"Type:\t{obj.get('type', 'Opaque')}", "", "Data", "====")
    for name, value in sorted((obj.get("data") or {}).items()):
        yield f"{name}:\t{_size(value)} bytes"


def service_account(obj: Object, related: Related) -> Lines:
    """A ServiceAccount; tokens are made when asked for, and listed nowhere."""
    yield from described.head(obj)
    for heading, field in (
        ("Image pull secrets", "imagePullSecrets"),
        ("Mountable secrets", "secrets"),
    ):
        yield from described.listed(heading, [one["name"] for one in obj.get(field) or []])
    yield "Tokens:\t<none>"
    yield from described.events(related)


def _size(encoded: str) -> int:
    return len(base64.b64decode(encoded))


def anything(obj: Object, related: Related) -> Lines:
    """All fields of any object, with their names made words."""
    yield from described.head(obj)
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
