"""What a container has to say of its end: a file that it is given, and that is read after it.

The file is the runtime's own from the beginning, on the container's own disk and of no name that
anything in the pod could put something else under: it is bound to where the container expects it,
and read by the descriptor that was opened before anything of the pod ran.
"""

from __future__ import annotations

import os
from pathlib import Path

LONGEST = 4096
"""Bytes: MaxContainerTerminationMessageLength of the kubelet."""


class LastWords:
    """Holds the file at `path` until it is `heard`."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def heard(self) -> str:
        """The end of what was written; lets go of the file."""
        try:
            start = max(0, os.fstat(self._descriptor).st_size - LONGEST)
            return os.pread(self._descriptor, LONGEST, start).decode(errors="replace")
        finally:
            os.close(self._descriptor)
