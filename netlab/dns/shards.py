"""Which of the host files a Service's names are in. Pure.

dnsmasq reads a file that changed whole, and compares each address in it with all that it has. So
files are short, whatever the number of Services; and those that come one after another share one,
or each would have others' names read again.
"""

from __future__ import annotations

from collections.abc import Mapping

FULL = 8
"""Services in one file."""


class Shards:
    """The files by number, and the keys of the Services in each. A Service stays where it is: in
    two files, one after the other, its names would be gone in between.

    `left` says where the names are that a former controller has written.
    """

    def __init__(self, left: Mapping[str, int]) -> None:
        self._left = dict(left)
        self._fresh = max(left.values(), default=-1) + 1
        self._number: dict[str, int] = {}
        self._keys: dict[int, set[str]] = {}
        self._with_room: list[int] = []

    def keys(self, number: int) -> set[str]:
        """The Services in a file."""
        return self._keys.get(number, set())

    def put(self, key: str, name: str) -> int:
        """The file of a Service that is called so."""
        if key not in self._number:
            left = self._left.pop(name, None)
            number = self._room() if left is None else left
            self._number[key] = number
            self._keys.setdefault(number, set()).add(key)
        return self._number[key]

    def drop(self, key: str) -> int | None:
        """The file that a Service has left, if it was in one."""
        number = self._number.pop(key, None)
        if number is not None:
            self._keys[number].remove(key)
            self._with_room.append(number)
        return number

    def _room(self) -> int:
        while self._with_room and len(self.keys(self._with_room[-1])) >= FULL:
            self._with_room.pop()
        if not self._with_room:
            self._with_room.append(self._fresh)
            self._fresh += 1
        return self._with_room[-1]
