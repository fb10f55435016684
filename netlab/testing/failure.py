"""What a test that failed says: what was expected, the trace, and where its packets are."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from netlab.errors import NetlabError
from netlab.kernel import caller
from netlab.testing.trace import Trace

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 80
_NOT = "it is not so that "


class NotAsExpected(AssertionError):
    """An assertion about packets does not hold. `files` are what was kept, by what they are."""

    __module__ = "netlab.testing"  # where it is asked for, and what pytest prints

    def __init__(self, said: str, trace: Trace | None, files: dict[str, Path]) -> None:
        super().__init__(said)
        self.trace = trace
        self.files = files


def failure(
    sentence: str, reasons: tuple[str, ...], trace: Trace | NetlabError, kept: Path
) -> NotAsExpected:
    """The error, with the trace of another such packet, or why there is none."""
    told = f"{_NOT}{sentence}: {'; '.join(reasons)}"
    if isinstance(trace, NetlabError):
        return NotAsExpected(f"{told}\nno packet could be traced: {trace}", None, {})
    files = _write(sentence, trace, kept)
    return NotAsExpected("\n".join((told, *_lines(trace, files))), trace, files)


def _lines(trace: Trace, files: dict[str, Path]) -> Iterator[str]:
    yield "the trace of such a packet:"
    yield from (f"  {line}" for line in str(trace).splitlines())
    if trace.outcome != "reachable" and trace.nearest:
        yield f"nearest to take it: {trace.nearest}"
    yield f"its packets: {files['pcapng']}"
    yield f"again: netlab trace --show {files['trace']} --explain"


def _write(sentence: str, trace: Trace, kept: Path) -> dict[str, Path]:
    """Under a number that is nobody else's: the directory may be several processes'."""
    stem = _UNFIT.sub("-", sentence)[:_LONGEST].strip("-")
    for number in itertools.count(1):
        saved = kept / f"{number}-{stem}.json"
        with contextlib.suppress(FileExistsError):
            _new(saved, trace.saved())
            break
    captured = saved.with_suffix(".pcapng")
    _new(captured, trace.pcap())
    return {"pcapng": captured, "trace": saved}


def _new(path: Path, data: bytes) -> None:
    """A file of who called sudo, at a path where nothing was: no link leads elsewhere."""
    with path.open("xb") as file:
        os.fchown(file.fileno(), caller.uid(), caller.gid())
        file.write(data)
