"""Words of an nginx configuration that were written by strangers.

Inside double quotes nginx takes everything as it stands but for `\\` and `"`, and `$` where a
directive expands variables. What could end a line is in no value that we let through.
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")

LITERAL_DOLLAR = "literal_dollar"
"""A variable that is a dollar sign: nothing escapes one."""


def is_plain(text: str) -> bool:
    """Whether a text has nothing in it that no quotes can hold."""
    return not _CONTROL.search(text)


def quoted(text: str) -> str:
    """One word, taken as it stands: a path, a regular expression. `ValueError` if it cannot be."""
    if not is_plain(text):
        raise ValueError(f"{text!r} has a control character")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(text: str) -> str:
    """One word, for a directive that expands variables: there are none in it."""
    return literal_dollars(quoted(text))


def literal_dollars(text: str) -> str:
    """A text in which no variable is."""
    return text.replace("$", f"${{{LITERAL_DOLLAR}}}")
