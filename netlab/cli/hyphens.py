"""Options whose hyphens are not two: one, or the dash that word processors and web pages make of
them, as the em dash in `—image=nginx`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

from netlab.errors import UsageError

_LONG = "\N{EM DASH}\N{EN DASH}\N{HORIZONTAL BAR}\N{FIGURE DASH}\N{MINUS SIGN}\N{HYPHEN}"
_LONG += "\N{NON-BREAKING HYPHEN}\N{FULLWIDTH HYPHEN-MINUS}"
_BEGUN_LONG = re.compile(rf"-?[{_LONG}][{_LONG}-]*([a-zA-Z].*)", re.DOTALL)
_BEGUN_SHORT = re.compile(r"-([a-z][a-z-]+)(=.*)?", re.DOTALL)


def meant(word: str, flags: Container[str] = ()) -> str | None:
    """The option that a word is most likely to be; None for one that is written as it should be.

    `flags` are long options (`--image`) that one hyphen is not enough for.
    """
    if begun := _BEGUN_LONG.fullmatch(word):
        name = begun[1]
        return f"-{name}" if len(name) == 1 else f"--{name}"
    begun = _BEGUN_SHORT.fullmatch(word)
    return f"-{word}" if begun and f"--{begun[1]}" in flags else None


def hint(words: Iterable[str], flags: Container[str] = ()) -> str | None:
    """What to type instead of those of the words; None when all are well."""
    wrong = [(word, right) for word in words if (right := meant(word, flags))]
    if not wrong:
        return None
    return f"type two hyphens: {' '.join(dict.fromkeys(right for _, right in wrong))}"


def refuse(words: Iterable[str], flags: Container[str]) -> None:
    """Raise `UsageError` for the first of them; all are in its hint."""
    words = list(words)
    for word in words:
        if meant(word, flags):
            is_long = not word.startswith("-")
            what = "begins with a dash that is no hyphen" if is_long else "has one hyphen"
            raise UsageError(f"{word} {what}", hint=hint(words, flags))
