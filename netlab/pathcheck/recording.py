"""All packets of a conversation, in every namespace, as they pass, into a pcapng file.

open what is there → hear, sort by time, write → open what has come, let go of what went → …
"""

from __future__ import annotations

import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from netlab.errors import NetlabError
from netlab.kernel.netns import identity
from netlab.pathcheck import bpf, capture, pcapng
from netlab.pathcheck.capture import Frame
from netlab.pathcheck.conversation import Conversation

_STAMPING_SECONDS = 0.02
"""So long the kernel may take until it stamps packets, from when somebody first asks for it."""

_TRANSIT_NANOSECONDS = 5_000_000
"""So long a packet may take from its stamp to our socket: younger ones wait for those before."""

_BATCH_SECONDS = 0.005
"""So long is waited for more when there is something: each look has its price."""


class Copy(Struct, frozen=True):
    """A packet at an interface of a place, as `pcapng` writes it."""

    place: str
    ifname: str
    outgoing: bool
    time: int
    data: bytes


class _Tap(Struct):
    place: str
    namespace: tuple[int, int]
    socket: socket.socket


class Recording:
    """A capture that runs; a context manager. `write` is given the bytes of the file, in order.

    `packets` are those written, `points` where they were seen, `lost` how many each place had no
    room for.
    """

    def __init__(self, write: Callable[[bytes], None], conversation: Conversation) -> None:
        self.packets = 0
        self.points: set[tuple[str, str]] = set()
        self.lost: Counter[str] = Counter()
        self._write = write
        self._conversation = conversation
        self._filter = bpf.of_addresses(conversation.addresses())
        self._file = pcapng.Writer()
        self._taps: dict[str, _Tap] = {}
        self._epoll = select.epoll()
        self._young: list[Copy] = []

    def __enter__(self) -> Recording:
        self._write(self._file.header())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close(list(self._taps))
        self._epoll.close()

    @property
    def places(self) -> int:
        """How many namespaces are heard."""
        return len(self._taps)

    def follow(self, places: Mapping[str, Path]) -> None:
        """Hear these namespaces (by the name of the place), those that are there, and no others.

        A socket keeps its namespace alive, so that of one which went is closed.
        """
        there = {place: found for place, path in places.items() if (found := identity(path))}
        gone = [place for place, tap in self._taps.items() if there.get(place) != tap.namespace]
        self._close(gone)
        opened = False
        for place, namespace in there.items():
            if place not in self._taps:
                opened = self._open(place, namespace, places[place]) or opened
        if opened:
            time.sleep(_STAMPING_SECONDS)

    def ask_for(self, conversation: Conversation) -> None:
        """Keep the packets of another conversation from now on."""
        self._conversation = conversation
        wanted = bpf.of_addresses(conversation.addresses())
        if wanted != self._filter:
            self._filter = wanted
            for tap in self._taps.values():
                capture.attach(tap.socket, wanted)

    def round(self, seconds: float, at_most: int | None = None) -> None:
        """Hear for that long, at most, and write what is old enough; no more than `at_most`."""
        now = time.time_ns()
        for place in self._ready(seconds):
            self._young += self._heard(place)
        self._young.sort(key=lambda copy: copy.time)
        old = sum(copy.time <= now - _TRANSIT_NANOSECONDS for copy in self._young)
        self._put(old, at_most)

    def finish(self, at_most: int | None = None) -> None:
        """Write all that was heard; count what was lost."""
        self._close(list(self._taps))
        self._young.sort(key=lambda copy: copy.time)
        self._put(len(self._young), at_most)

    def _put(self, number: int, at_most: int | None) -> None:
        ready, self._young = self._young[:number], self._young[number:]
        ready = ready[:at_most] if at_most is not None else ready
        if ready:
            self._write(b"".join(map(self._file.blocks, ready)))
        self.packets += len(ready)
        self.points |= {(copy.place, copy.ifname) for copy in ready}

    def _ready(self, seconds: float) -> Iterator[str]:
        by_descriptor = {tap.socket.fileno(): tap.place for tap in self._taps.values()}
        ready = self._epoll.poll(max(0.0, seconds))
        if ready:
            time.sleep(_BATCH_SECONDS)
        for descriptor, _ in ready:
            yield by_descriptor[descriptor]

    def _heard(self, place: str) -> Iterator[Copy]:
        frame: Frame
        for frame in capture.heard(self._taps[place].socket, self._filter.snap):
            if self._conversation.has(frame.data):
                yield Copy(place, frame.ifname, frame.outgoing, frame.time, frame.data)

    def _open(self, place: str, namespace: tuple[int, int], path: Path) -> bool:
        try:
            sock = capture.opened(path, self._filter)
        except (OSError, NetlabError):
            if identity(path) is None:  # it went meanwhile
                return False
            raise
        self._taps[place] = _Tap(place, namespace, sock)
        self._epoll.register(sock, select.EPOLLIN)
        return True

    def _close(self, places: Sequence[str]) -> None:
        closed = []
        for place in places:
            with suppress(OSError):  # its interface is down
                self._young += self._heard(place)
            tap = self._taps.pop(place)
            if missed := capture.lost(tap.socket):
                self.lost[place] += missed
            self._epoll.unregister(tap.socket)
            closed.append(tap.socket)
        capture.close_together(closed)
