"""What goes out: nothing that somebody else wrote steers the terminal; its width and colour."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO, cast

from netlab.view.escape import escape


class _Escaped:
    """A text stream whose `write` shows what would steer a terminal; else the stream itself."""

    def __init__(self, stream: TextIO) -> None:
        self.raw = stream

    def write(self, text: str) -> int:
        return self.raw.write(escape(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def escaped(stream: TextIO) -> TextIO:
    """The stream for all that is printed, so that no verb needs to think of it."""
    return cast(TextIO, _Escaped(stream))


def raw(stream: TextIO) -> TextIO:
    """The stream behind `escaped`: for escape sequences of our own, and for what programs read."""
    return stream.raw if isinstance(stream, _Escaped) else stream


def width() -> int | None:
    """The terminal's columns; None when standard output is none."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def dim(text: str) -> str:
    """The text in a fainter colour, where there are colours (https://no-color.org).

    To be written `raw`.
    """
    plain = (
        not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    )
    return text if plain else f"\x1b[2m{text}\x1b[0m"
