"""A line that says what is being done, shown only when it takes long enough to wonder."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

from netlab.cli import terminal
from netlab.view.escape import escape_line

DELAY = 1.0
"""Seconds before anything is shown."""

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Progress:
    """Call it with what is being done. On a terminal it spins; elsewhere it prints lines."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._what = ""
        self._began = time.monotonic()
        self._shown = ""
        self._quiet = quiet
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __call__(self, what: str) -> None:
        """Say what is being done from now on."""
        self._what = escape_line(what)

    def __enter__(self) -> Progress:
        if not self._quiet:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _show(self) -> None:
        out = terminal.raw(sys.stderr)
        spins = out.isatty()
        turn = 0
        if self._ended.wait(DELAY):
            return
        while not self._ended.wait(0.1):
            if spins:
                seconds = time.monotonic() - self._began
                frame = FRAMES[turn % len(FRAMES)]
                out.write(f"\r\x1b[K{frame} {self._what} ({seconds:.0f} s)")
            elif self._what != self._shown:
                self._shown = self._what
                out.write(f"{self._what} …\n")
            out.flush()
            turn += 1
        if spins:
            out.write("\r\x1b[K")
            out.flush()
