"""A line that says what is being done, shown only when it takes long enough to wonder."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TextIO

from netlab.cli import terminal
from netlab.view.escape import escape_line

DELAY = 1.0
"""Seconds before anything is shown."""

PAUSE = (1.0, 2.0, 5.0)
"""Seconds between lines in a log, at least; the last goes on: what is waited for may change all
the time."""

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Progress:
    """Call it with what is being done. On a terminal it spins, in one line; elsewhere it
    prints a line when that is something else."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._what = ""
        self._began = time.monotonic()
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
        if self._ended.wait(DELAY):
            return
        if out.isatty():
            self._spin(out)
        else:
            self._log(out)

    def _spin(self, out: TextIO) -> None:
        turn = 0
        while not self._ended.wait(0.1):
            seconds = f" ({time.monotonic() - self._began:.0f} s)"
            room = terminal.columns(out) - len(seconds) - 3
            frame = FRAMES[turn % len(FRAMES)]
            out.write(f"\r\x1b[K{frame} {terminal.cut(self._what, room)}{seconds}")
            out.flush()
            turn += 1
        out.write("\r\x1b[K")
        out.flush()

    def _log(self, out: TextIO) -> None:
        shown, pauses = "", iter(PAUSE)
        while True:
            if self._what != shown:
                shown = self._what
                out.write(f"{shown} …\n")
                out.flush()
                if self._ended.wait(next(pauses, PAUSE[-1])):
                    return
            elif self._ended.wait(0.1):
                return
