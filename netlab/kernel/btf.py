"""Where a running kernel has things: its own description of its types (BTF). Pure.

Layout: linux/btf.h.
"""

from __future__ import annotations

import array
import struct
from collections.abc import Iterator

_HEADER = struct.Struct("=HBBIIIII")  # magic, version, flags, its own size, types, strings
_MAGIC = 0xEB9F
_INT, _ARRAY, _STRUCT, _UNION, _ENUM = 1, 3, 4, 5, 6
_PROTOTYPE, _VARIABLE, _SECTION, _TAG, _ENUM64 = 13, 14, 15, 17, 19

# What follows a type's first three words: so many more, and so many for each of its members.
_MORE = {_INT: 1, _ARRAY: 3, _VARIABLE: 1, _TAG: 1}
_EACH = {_STRUCT: 3, _UNION: 3, _ENUM: 2, _PROTOTYPE: 2, _SECTION: 3, _ENUM64: 3}


class Types:
    """The types that such a description tells of; `ValueError` for what is none."""

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEADER.size:
            raise ValueError("no BTF")
        magic, _, _, size, types, length, strings, more = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise ValueError("no BTF")
        self._words = array.array("I")
        self._words.frombytes(data[size + types : size + types + length])
        self._strings = data[size + strings : size + strings + more]
        self._places = self._indexed()

    def _indexed(self) -> list[int]:
        """Where each type begins, by its number, which is from 1."""
        more, each = ([table.get(kind, 0) for kind in range(32)] for table in (_MORE, _EACH))
        places, at, words = [0], 0, self._words
        while at < len(words):
            places.append(at)
            kind, members = words[at + 1] >> 24 & 0x1F, words[at + 1] & 0xFFFF
            at += 3 + more[kind] + each[kind] * members
        return places

    def offset(self, name: str, member: str) -> int:
        """Bytes from the beginning of a struct to a member of its; `KeyError` for none such."""
        for found, bits in self._members(self._named(name, _STRUCT)):
            if found == member:
                return bits // 8
        raise KeyError(member)

    def values(self, name: str) -> dict[int, str]:
        """The names of an enumeration's values; `KeyError` for none such."""
        at, words = self._named(name, _ENUM), self._words
        first = [at + 3 + 2 * number for number in range(words[at + 1] & 0xFFFF)]
        return {words[one + 1]: self._text(words[one]) for one in first}

    def _named(self, name: str, kind: int) -> int:
        wanted = self._strings.find(f"\0{name}\0".encode()) + 1
        for at in self._places[1:] if wanted else ():
            if self._words[at] == wanted and self._words[at + 1] >> 24 & 0x1F == kind:
                return at
        raise KeyError(name)

    def _members(self, at: int, base: int = 0) -> Iterator[tuple[str, int]]:
        """Names and bits; those of a member that has no name are the struct's own."""
        words = self._words
        has_sizes = words[at + 1] >> 31
        for number in range(words[at + 1] & 0xFFFF):
            name, kind, bits = words[at + 3 + 3 * number : at + 6 + 3 * number]
            bits = base + (bits & 0xFFFFFF if has_sizes else bits)
            if name:
                yield self._text(name), bits
            elif words[self._places[kind] + 1] >> 24 & 0x1F in (_STRUCT, _UNION):
                yield from self._members(self._places[kind], bits)

    def _text(self, at: int) -> str:
        return self._strings[at : self._strings.index(b"\0", at)].decode()
