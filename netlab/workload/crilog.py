"""Containers' log files, in the form the kubelet's own have: `TIME STREAM F|P TEXT` a line.

F ends a line of output, P is a part of one. https://github.com/kubernetes/design-proposals-archive
(node/kubelet-cri-logging) describes it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Literal

from msgspec import Struct

MAX_PART = 16 * 1024
MAX_FILE = 8 * 1024 * 1024

Stream = Literal["stdout", "stderr"]


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 with nanoseconds, UTC."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"


class LogWriter:
    """Writes what a container says; unfinished lines wait for their end, as text comes in pieces.

    At 8 MiB the file becomes `NAME.1`, in place of the one before: a lab's files are memory. What
    cannot be written, as the disk is full, is lost, and nothing else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._torn = False
        self._partial: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

    def write(self, stream: Stream, data: bytes) -> bool:
        """Take a piece of output; True when that put something into the file."""
        written, self._partial[stream] = _entries(stream, self._partial[stream] + data)
        if not written:
            return False
        self._append(b"".join(written))
        return True

    def _append(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            size = self._file.seek(0, os.SEEK_END)
            if size and size + len(data) > MAX_FILE:
                self._rotate()
            if self._torn:  # readers pass over what is left of an entry, if that is by itself
                data = b"\n" + data
            self._torn = self._file.write(data) != len(data)

    def _rotate(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # it was, and there was no room for the next
            self._path.rename(rotated(self._path))
        following = self._path.open("ab", buffering=0)
        self._file.close()
        self._file, self._torn = following, False

    def close(self) -> None:
        """Write unfinished lines as they are, and close."""
        for stream, rest in self._partial.items():
            if rest:
                self._append(_head(stream, b"P") + rest + b"\n")
        self._partial = {"stdout": b"", "stderr": b""}
        with contextlib.suppress(OSError):
            self._file.close()


def _head(stream: Stream, tag: bytes) -> bytes:
    return b"%s %s %s " % (timestamp(time.time_ns()).encode(), stream.encode(), tag)


def _entries(stream: Stream, text: bytes) -> tuple[list[bytes], bytes]:
    """The entries of some output, and the rest of it, whose end is still to come.

    As many lines as fit into a part are done at once, however short: a container that writes
    nothing but line ends must not cost more than another.
    """
    full, part = _head(stream, b"F"), _head(stream, b"P")
    entries, at = [], 0
    while True:
        end = text.rfind(b"\n", at, at + MAX_PART + 1)
        if end >= 0:
            entries.append(full + text[at:end].replace(b"\n", b"\n" + full) + b"\n")
            at = end + 1
        elif len(text) - at >= MAX_PART:
            entries.append(part + text[at : at + MAX_PART] + b"\n")
            at += MAX_PART
        else:
            return entries, text[at:]


def entry(seconds: float, text: str) -> bytes:
    """A whole line that was said on stdout at a Unix time, as it is in a file."""
    return b"%s stdout F %s\n" % (timestamp(round(seconds * 1e9)).encode(), text.encode())


class LogEntry(Struct, frozen=True):
    """One entry: when (RFC 3339), on which stream, and the bytes, a line end included for F."""

    time: str
    stream: Stream
    data: bytes


def rotated(path: Path) -> Path:
    """Where the older part of a log is."""
    return path.with_name(f"{path.name}.1")


def read(path: Path) -> Iterator[LogEntry]:
    """All entries that are kept, oldest first; nothing when there is no such log."""
    for part in (rotated(path), path):
        with contextlib.suppress(FileNotFoundError), part.open("rb") as file:
            yield from _parsed(file)


def last(path: Path, count: int) -> list[LogEntry]:
    """The last entries of a log, as far as they are in the last 64 KiB of its newer part."""
    with path.open("rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - 4 * MAX_PART)
        file.seek(start)
        lines = file.readlines()
    whole = lines[1:] if start else lines  # the first may have begun before
    return list(_parsed(whole[-count:]))


def _parsed(lines: Iterable[bytes]) -> Iterator[LogEntry]:
    """Their entries; what a full disk has left of one is none."""
    for line in lines:
        with contextlib.suppress(ValueError):
            yield parse(line)


def parse(line: bytes) -> LogEntry:
    """One line of the file; `ValueError` for what is none."""
    when, stream, tag, text = line.removesuffix(b"\n").split(b" ", 3)
    name: Stream = "stderr" if stream == b"stderr" else "stdout"
    return LogEntry(when.decode(), name, text + b"\n" if tag == b"F" else text)


class LogFollower:
    """Reads a log that is still written to: `new()` returns the entries since the last call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._pending = b""

    def new(self) -> list[LogEntry]:
        """What was added; follows the file through its rotation."""
        entries = self._more()
        if self._was_rotated():
            self.close()
            entries += self._more()
        return entries

    def _more(self) -> list[LogEntry]:
        if self._file is None:
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                return []
        *lines, self._pending = (self._pending + self._file.read()).split(b"\n")
        return list(_parsed(lines))

    def _was_rotated(self) -> bool:
        if self._file is None:
            return False
        try:
            return self._path.stat().st_ino != Path(f"/dev/fd/{self._file.fileno()}").stat().st_ino
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file, self._pending = None, b""
