"""What `kubectl logs` shows of a built-in server: its last lines, in nginx's combined format."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable

from netlab.workload.http1 import Request, log_date

CAPACITY = 1000

# What nginx escapes, so that a client cannot forge lines or colour a terminal.
_UNSAFE = re.compile(r"[^ !#-\[\]-~]")

Entry = tuple[float, "str | tuple[str, str, int, int, str, str]"]
Follower = Callable[[float, str], None]


class AccessLog:
    """A ring of the last lines; they are formatted when read, as most never are."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=CAPACITY)
        self._followers: set[Follower] = set()

    def request(self, request: Request, status: int, size: int) -> None:
        """Note an answered request."""
        line = f"{request.method} {request.target} {request.version}"
        referer, agent = request.header("referer"), request.header("user-agent")
        self._add((time.time(), (request.client[0], line, status, size, referer, agent)))

    def refused(self, client: str, status: int) -> None:
        """Note bytes that were no request."""
        self._add((time.time(), (client, "", status, 0, "", "")))

    def line(self, text: str) -> None:
        """Note something else in its own words."""
        self._add((time.time(), text))

    def _add(self, entry: Entry) -> None:
        self._entries.append(entry)
        for follower in tuple(self._followers):
            follower(entry[0], formatted(entry))

    def lines(self, tail: int | None = None) -> list[tuple[float, str]]:
        """(Unix time, line) of the last `tail` lines (None: all that are kept), oldest first."""
        entries = list(self._entries)
        if tail is not None:
            entries = entries[max(0, len(entries) - tail) :]
        return [(entry[0], formatted(entry)) for entry in entries]

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Call `follower(time, line)` for each line to come; returns what ends that."""
        self._followers.add(follower)
        return lambda: self._followers.discard(follower)


def formatted(entry: Entry) -> str:
    """The line that an entry stands for."""
    timestamp, content = entry
    if isinstance(content, str):
        return content
    client, request, status, size, referer, agent = content
    quoted = (request, referer or "-", agent or "-")
    line, referer, agent = (_UNSAFE.sub(_escaped, text) for text in quoted)
    return f'{client} - - [{log_date(timestamp)}] "{line}" {status} {size} "{referer}" "{agent}"'


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))
