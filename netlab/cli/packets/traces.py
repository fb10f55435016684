"""Traces that were saved, as command lines name them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab import given
from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.trace.saved import Saved


MOST = 64 << 20
"""So many bytes a trace may have: what is longer is none, and is not read to its end."""


def read(file: str) -> Saved:
    """The trace in a file; `-` is standard input."""
    from netlab.trace import saved

    if file == "-":
        return saved.read(sys.stdin.buffer.read(MOST), "standard input")
    try:
        with given.opened(file) as stream:
            return saved.read(stream.read(MOST), file)
    except OSError as error:
        why = (error.strerror or "").lower()
        raise UsageError(f"{file} cannot be read: {why}", hint=f"ls -ld {file}") from None
