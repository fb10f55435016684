"""The connection tracking of all nodes, heard together, while nodes come and go."""

from __future__ import annotations

import contextlib
import select
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from netlab.errors import NetlabError
from netlab.kernel.netns import identity
from netlab.kernel.new_connections import NewConnections
from netlab.traffic.reading import Told

_AT_ONCE = 4000
"""So many are read of one node before the others have their turn."""


class _Ear(Struct):
    node: str
    namespace: tuple[int, int]
    new: NewConnections
    lost: int = 0


class Listening:
    """A context manager. `lost` is how many each node told of that there was no room for."""

    def __init__(self, *, translated: bool) -> None:
        self.lost: Counter[str] = Counter()
        self._translated = translated
        self._ears: dict[str, _Ear] = {}
        self._epoll = select.epoll()

    def __enter__(self) -> Listening:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for node in list(self._ears):
            self._close(node)
        self._epoll.close()

    @property
    def nodes(self) -> tuple[str, ...]:
        """Whom it hears."""
        return tuple(self._ears)

    def follow(self, nodes: Mapping[str, Path]) -> None:
        """Hear these nodes, those that are there, and no others. A socket keeps its namespace
        alive, so that of one which went is closed."""
        there = {node: found for node, path in nodes.items() if (found := identity(path))}
        for node, ear in list(self._ears.items()):
            if there.get(node) != ear.namespace:
                self._close(node)
        for node, namespace in there.items():
            if node not in self._ears:
                self._open(node, namespace, nodes[node])

    def round(self, seconds: float) -> list[Told]:
        """Wait until there is something, at most so long; what there is."""
        by_descriptor = {ear.new.fileno(): ear for ear in self._ears.values()}
        found: list[Told] = []
        for descriptor, _ in self._epoll.poll(max(0.0, seconds)):
            ear = by_descriptor[descriptor]
            found += [(ear.node, new) for new in ear.new.collect(_AT_ONCE)]
            self._count_lost(ear)
        return found

    def _count_lost(self, ear: _Ear) -> None:
        lost = ear.new.lost
        if lost > ear.lost:
            self.lost[ear.node] += lost - ear.lost
            ear.lost = lost

    def _open(self, node: str, namespace: tuple[int, int], path: Path) -> None:
        try:
            new = NewConnections(path, translated=self._translated)
        except (OSError, NetlabError):
            if identity(path) is None:  # it went meanwhile
                return
            raise
        self._ears[node] = _Ear(node, namespace, new)
        self._epoll.register(new, select.EPOLLIN)

    def _close(self, node: str) -> None:
        ear = self._ears.pop(node)
        with contextlib.suppress(OSError):
            self._count_lost(ear)
        self._epoll.unregister(ear.new)
        ear.new.close()
