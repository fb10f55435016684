"""JSON answers."""

from __future__ import annotations

import json

import msgspec
from aiohttp import web

_dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

_GO_ESCAPES = tuple((c.encode(), f"\\u{ord(c):04x}".encode()) for c in "<>&\u2028\u2029")


def to_json(value: object) -> bytes:
    """Compact JSON in UTF-8, its strings written as Go writes them.

    kubectl compares a ControllerRevision's data with what its own encoder makes of a template.
    """
    try:
        text = msgspec.json.encode(value)
    except (TypeError, UnicodeEncodeError):  # a text of a type of its own; half of a surrogate pair
        text = _dumps(value).encode("utf-8", "backslashreplace")
    for character, escape in _GO_ESCAPES:  # outside of strings JSON has none of these
        text = text.replace(character, escape)
    return text


def plain_answer(document: object, code: int = 200) -> web.Response:
    """A JSON document that is no object of the store."""
    return web.Response(body=to_json(document), status=code, content_type="application/json")
