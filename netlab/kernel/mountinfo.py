"""What is mounted where, as /proc/PID/mountinfo has it.

Whoever may mount names his mount points, and FUSE lets everybody: names are of any bytes, and of
those that would part a line the kernel writes in octal only blank, tab, newline and backslash.
Source: proc_pid_mountinfo(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from netlab.kernel import files

_OCTAL = re.compile(r"\\([0-7]{3})")


class Mounted(Struct, frozen=True):
    """A line of it; `root` is which directory of the file system is there."""

    device: tuple[int, int]
    root: str
    point: Path
    options: str
    kind: str
    source: str
    own_options: str


def here() -> Iterator[Mounted]:
    """What the calling thread sees, in the order in which it was mounted."""
    return parsed(files.text("/proc/thread-self/mountinfo"))


def parsed(text: str) -> Iterator[Mounted]:
    """The lines of the file's text."""
    for line in text.split("\n"):
        if not line:
            continue
        before, _, after = line.partition(" - ")
        _, _, device, root, point, options, *_ = before.split(" ")
        kind, source, own_options = after.split(" ", 2)
        major, _, minor = device.partition(":")
        yield Mounted(
            device=(int(major), int(minor)),
            root=_named(root),
            point=Path(_named(point)),
            options=options,
            kind=kind,
            source=_named(source),
            own_options=own_options,
        )


def _named(field: str) -> str:
    if "\\" not in field:
        return field
    return _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), field)
