"""Services of a running lab, of many those that are asked for: nearly all are of no interest.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from netlab.objects.types import Service

_FEW = 16
"""Of more Services than these all are read at once."""


class Services(Mapping[str, Service]):
    """All of a lab's by `namespace/name`: so many that `read_one` is asked for one of them, and
    `read` for all as soon as somebody goes through them."""

    def __init__(
        self,
        count: int,
        read: Callable[[], Mapping[str, Service]],
        read_one: Callable[[str], Service | None],
    ) -> None:
        self._count = count
        self._read = read
        self._read_one = read_one
        self._known: dict[str, Service | None] = {}
        self._has_all = False

    @cached_property
    def _all(self) -> Mapping[str, Service]:
        self._has_all = True
        return self._read()

    def __getitem__(self, key: str) -> Service:
        found = self._one(key)
        if found is None:
            raise KeyError(key)
        return found

    def _one(self, key: str) -> Service | None:
        if key not in self._known:
            if self._has_all or len(self._known) >= _FEW:
                return self._all.get(key)
            self._known[key] = self._read_one(key)
        return self._known[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all) if self._has_all else self._count
