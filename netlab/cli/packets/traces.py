"""Traces that were saved, as command lines name them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.trace.saved import Saved


def read(file: str) -> Saved:
    """The trace in a file; `-` is standard input."""
    from netlab.trace import saved

    if file == "-":
        return saved.read(sys.stdin.buffer.read(), "standard input")
    try:
        return saved.read(Path(file).read_bytes(), file)
    except OSError as error:
        why = (error.strerror or "").lower()
        raise UsageError(f"{file} cannot be read: {why}", hint=f"ls -ld {file}") from None
