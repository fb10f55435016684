"""Whether a descriptor is ready, whatever its number: `select` knows none above 1,023, of which a
lab of some thousand pods has more."""

from __future__ import annotations

import select

READ, WRITE = select.POLLIN, select.POLLOUT


def is_ready(descriptor: int, seconds: float | None = 0.0, what: int = READ) -> bool:
    """Whether there is something to read, or its end, or room to write, within so many seconds;
    None: however long it takes."""
    poll = select.poll()
    poll.register(descriptor, what)
    return bool(poll.poll(None if seconds is None else max(0.0, seconds) * 1000))
