"""Text of others on a terminal: what could steer it is shown instead of sent. Pure.

Labels, events, messages of pods and of the API server are written by whoever writes a manifest. An
escape sequence in them could move the cursor, hide lines, or type for who reads. As kubectl does,
ESC becomes `^[` and a carriage return `\\r`; here the other control characters, C1 among them,
the controls of Unicode's bidirectional algorithm and lone surrogates are shown as well.
"""

from __future__ import annotations

import re

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # Unicode's Bidi_Control
_STEERING = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_BIDI}\ud800-\udfff]")
_BREAK = re.compile("[\n\f\r]")


def escape(text: str) -> str:
    """The text with what steers a terminal made visible; lines and tabs stay.

    Idempotent, and not reversible: for people.
    """
    return _STEERING.sub(_visible, text)


def _visible(found: re.Match[str]) -> str:
    character = found[0]
    if character == "\r":
        return "\\r"
    return _caret(character) if character <= "\x7f" else _code(character)


def _caret(character: str) -> str:
    return f"^{chr(ord(character) ^ 0x40)}"


def _code(character: str) -> str:
    return f"\\u{ord(character):04x}"


def escape_line(text: str) -> str:
    """As `escape`, but on one line and in one column: what must not pass for a row of its own."""
    return escape(text).replace("\n", "\\n").replace("\t", "\\t")


def first_line(text: str) -> str:
    """A table's cell: one line, and `...` where there would be more of them, as kubectl does."""
    found = _BREAK.search(text)
    return escape_line(text if found is None else f"{text[: found.start()]}...")


def escape_json(text: str) -> str:
    """JSON that means the same, with what steers a terminal written as `\\uXXXX`."""
    return _STEERING.sub(lambda found: _code(found[0]), text)
