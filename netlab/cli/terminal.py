"""What goes out: nothing that somebody else wrote steers the terminal; its width and colour."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO, cast

from netlab.view.escape import escape


class _Escaped:
    """A text stream whose `write` shows what would steer a terminal; else the stream itself.

    One that is `prose` has no word broken at a terminal's edge.
    """

    def __init__(self, stream: TextIO, *, prose: bool) -> None:
        self.raw = stream
        self._folds = prose and stream.isatty()

    def write(self, text: str) -> int:
        shown = escape(text)
        self.raw.write(folded(shown, columns(self.raw)) if self._folds else shown)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def escaped(stream: TextIO, *, prose: bool = False) -> TextIO:
    """The stream for all that is printed, so that no verb needs to think of it."""
    return cast(TextIO, _Escaped(stream, prose=prose))


def raw(stream: TextIO) -> TextIO:
    """The stream behind `escaped`: for escape sequences of our own, and for what programs read."""
    return stream.raw if isinstance(stream, _Escaped) else stream


def width() -> int | None:
    """The terminal's columns; None when standard output is none."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def columns(stream: TextIO) -> int:
    """How wide the terminal behind a stream is; 80 where that is not known."""
    import shutil

    try:
        return os.get_terminal_size(stream.fileno()).columns or shutil.get_terminal_size().columns
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns


def cut(text: str, room: int) -> str:
    """The text, or its beginning, in so many columns."""
    return text if len(text) <= room else text[: max(room - 1, 0)] + "…"


def folded(text: str, width: int, indent: str = "    ") -> str:
    """The text with every line folded between words that is longer than `width`; what is carried
    over is indented by the line's own indentation and `indent`."""
    if all(len(line) <= width for line in text.split("\n")):
        return text
    return "\n".join("\n".join(_parts(line, width, indent)) for line in text.split("\n"))


def fit(text: str, indent: str = "    ") -> str:
    """The text folded for standard output, if that is a terminal."""
    columns = width()
    return text if columns is None else folded(text, columns, indent)


def _parts(line: str, width: int, indent: str) -> list[str]:
    import textwrap

    if len(line) <= width:
        return [line]
    own = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line.strip(),
        max(width, len(own + indent) + 20),
        initial_indent=own,
        subsequent_indent=own + indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def dim(text: str) -> str:
    """The text in a fainter colour, where there are colours. To be written `raw`."""
    return _coloured(text, "2")


def good(text: str) -> str:
    """The text in green, where there are colours. To be written `raw`."""
    return _coloured(text, "32")


def bad(text: str) -> str:
    """The text in red, where there are colours. To be written `raw`."""
    return _coloured(text, "31")


def _coloured(text: str, code: str) -> str:
    """See https://no-color.org."""
    plain = (
        not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    )
    return text if plain else f"\x1b[{code}m{text}\x1b[0m"
