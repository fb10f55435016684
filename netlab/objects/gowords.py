"""What Go's decoders say of texts that are none of theirs. Pure.

Source: encoding/base64 and encoding/json of Go's standard library.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode

_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_LINE_BREAKS = b"\r\n"
_QUANTUM = 4
_LEAST_BEFORE_PADDING = 2


def base64_fault(text: str) -> str | None:
    """Why a text is no base64; line breaks may stand anywhere in it."""
    data = text.encode(errors="surrogatepass")
    at = _fault_at(data)
    return None if at is None else f"illegal base64 data at input byte {at}"


def base64_size(text: str) -> int:
    """How many bytes a text in base64 stands for; 0 if it is none."""
    try:
        return len(b64decode(text))
    except (ValueError, binascii.Error):
        return 0


def _fault_at(data: bytes) -> int | None:
    """Where the decoder gives up: four characters at a time, the last ones may be padding."""
    held = 0
    for at, character in enumerate(data):
        if character in _ALPHABET:
            held = (held + 1) % _QUANTUM
        elif character not in _LINE_BREAKS:
            return _fault_of_padding(data, at, held)
    return len(data) - held if held else None


def _fault_of_padding(data: bytes, at: int, held: int) -> int | None:
    """The same from a character that is not of the alphabet."""
    if data[at : at + 1] != b"=" or held < _LEAST_BEFORE_PADDING:
        return at
    end = _after_breaks(data, at + 1)
    if held == _LEAST_BEFORE_PADDING:
        if end == len(data):
            return end
        if data[end : end + 1] != b"=":
            return end - 1
        end = _after_breaks(data, end + 1)
    return None if end == len(data) else end


def _after_breaks(data: bytes, at: int) -> int:
    while data[at : at + 1] and data[at] in _LINE_BREAKS:
        at += 1
    return at


_TYPES = {list: "array", str: "string", int: "number", float: "number", bool: "bool"}
_JSON_WORDS = {
    "Extra data": "after top-level value",
    "Expecting property name": "looking for beginning of object key string",
    "Expecting ',' delimiter": "after object key:value pair",
    "Expecting ':' delimiter": "after object key",
}


def json_fault(text: str) -> str | None:
    """Why a text is no mapping in JSON."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        return json_words(error)
    if found is None or isinstance(found, dict):
        return None
    kind = _TYPES[type(found)]
    return f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"


def json_words(error: json.JSONDecodeError) -> str:
    """A mistake in JSON as Go tells it."""
    if error.pos >= len(error.doc):
        return "unexpected end of JSON input"
    what = (words for start, words in _JSON_WORDS.items() if error.msg.startswith(start))
    found = repr(error.doc[error.pos])
    return f"invalid character {found} {next(what, 'looking for beginning of value')}"
