"""What standard output is: a terminal, how wide, and whether it wants colour."""

from __future__ import annotations

import os
import shutil
import sys


def width() -> int | None:
    """The terminal's columns; None when standard output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def dim(text: str) -> str:
    """The text in a fainter colour, where there are colours (https://no-color.org)."""
    plain = (
        not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    )
    return text if plain else f"\x1b[2m{text}\x1b[0m"
