"""What one room does with kinds: its records, by the families, each imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from netlab.later import Later
from netlab.objects.kinds import FAMILIES, KINDS, Kind

T = TypeVar("T")


class Records(Mapping[Kind, T]):
    """The records of all kinds that the package `room` has: those in `table` of its module of the
    kind's family, which is imported with the first question for one of them, and the `plain`."""

    def __init__(self, room: str, table: str, plain: Mapping[Kind, T] | None = None) -> None:
        self._room = room
        self._table = table
        self._known: dict[Kind, T] = dict(plain or {})

    def __getitem__(self, kind: Kind) -> T:
        """The record of a kind; KeyError if there is none."""
        if kind not in self._known:
            self._known |= self._of(FAMILIES[kind])
        return self._known[kind]

    def __iter__(self) -> Iterator[Kind]:
        """The kinds of which there is one; imports all families."""
        for family in {FAMILIES[kind]: None for kind in KINDS if kind not in self._known}:
            self._known |= self._of(family)
        return iter(self._known)

    def __len__(self) -> int:
        """How many there are."""
        return sum(1 for _ in self)

    def _of(self, family: str) -> Mapping[Kind, T]:
        return Later[Mapping[Kind, T]](f"{self._room}.{family}", self._table).get()
