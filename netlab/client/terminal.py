"""The user's terminal while a remote one takes its place: raw, its size known, always restored."""

from __future__ import annotations

import contextlib
import os
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from types import FrameType


def size(fd: int) -> tuple[int, int] | None:
    """(columns, rows), or None when `fd` is no terminal."""
    try:
        found = os.get_terminal_size(fd)
    except OSError:
        return None
    return found.columns, found.lines


@contextlib.contextmanager
def raw(fd: int) -> Iterator[None]:
    """Pass every key through, ctrl-C included; a no-op when `fd` is no terminal.

    The terminal is restored on every way out, also when SIGTERM or SIGHUP ends the program.
    """
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    with _signal_exits():
        try:
            tty.setraw(fd)
            yield
        finally:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _signal_exits() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit, so that `finally` blocks run."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with _caught(signal.SIGTERM, leave), _caught(signal.SIGHUP, leave):
        yield


@contextlib.contextmanager
def resizes() -> Iterator[int]:
    """A descriptor that becomes readable each time the terminal changes its size."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)

    def changed(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):  # a full pipe says it already
            os.write(writer, b".")

    try:
        with _caught(signal.SIGWINCH, changed):
            yield reader
    finally:
        os.close(reader)
        os.close(writer)


@contextlib.contextmanager
def _caught(
    number: signal.Signals, on_signal: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    try:
        before = signal.signal(number, on_signal)
    except ValueError:  # only the main thread may; elsewhere the signal keeps its meaning
        yield
        return
    try:
        yield
    finally:
        signal.signal(number, before)
