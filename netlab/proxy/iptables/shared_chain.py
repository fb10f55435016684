"""A chain to which many Services add rules of their own, in the order of the Services' keys. Pure.

With 10,000 Services it has as many rules. What is kept is how many each Service has, so that those
of one are found, and numbered, without all others being looked at.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

_BLOCK = 256
"""Services that are counted together; twice as many are two blocks."""

Numbered = list[tuple[int, str]]
"""Rules, each with its number in the chain, from 1, in order."""


class _Block(Struct):
    """Some Services that follow one another, and how many rules each has: one at least."""

    keys: list[str]
    sizes: list[int]
    total: int

    @property
    def first(self) -> str:
        return self.keys[0] if self.keys else ""


def _block(entries: Sequence[tuple[str, int]]) -> _Block:
    sizes = [size for _, size in entries]
    return _Block([key for key, _ in entries], sizes, sum(sizes))


class SharedChain:
    """`entries` are the Services (`ns/name`) that have rules there, in order, and how many."""

    def __init__(self, entries: Sequence[tuple[str, int]]) -> None:
        starts = range(0, len(entries) or 1, _BLOCK)
        self._blocks = [_block(entries[start : start + _BLOCK]) for start in starts]

    def __len__(self) -> int:
        return sum(block.total for block in self._blocks)

    def services(self) -> Iterator[str]:
        """The keys of those that have rules there, in order."""
        return (key for block in self._blocks for key in block.keys)

    def change(
        self, shares: Mapping[str, tuple[Sequence[str], Sequence[str]]]
    ) -> tuple[Numbered, Numbered]:
        """Take what some Services had there and have now. Returns the rules that go, as they were
        numbered, and those that come, as they are numbered then."""
        differing = {key: _differing(*shares[key]) for key in sorted(shares)}
        gone = self._numbered({key: old for key, (old, _) in differing.items()})
        for key, (_, new) in shares.items():
            self._count(key, len(new))
        return gone, self._numbered({key: new for key, (_, new) in differing.items()})

    def _numbered(self, rules: Mapping[str, Numbered]) -> Numbered:
        return [
            (start + at, rule)
            for key, some in rules.items()
            for start in (self._start(key),)
            for at, rule in some
        ]

    def _of(self, key: str) -> int:
        """The number of the block that a Service belongs in."""
        return max(bisect_right(self._blocks, key, key=lambda block: block.first) - 1, 0)

    def _start(self, key: str) -> int:
        """How many rules stand before those of a Service."""
        at = self._of(key)
        block = self._blocks[at]
        before = sum(other.total for other in self._blocks[:at])
        return before + sum(block.sizes[: bisect_left(block.keys, key)])

    def _count(self, key: str, size: int) -> None:
        at = self._of(key)
        block = self._blocks[at]
        inside = bisect_left(block.keys, key)
        there = slice(inside, inside + (block.keys[inside : inside + 1] == [key]))
        block.total += size - sum(block.sizes[there])
        block.keys[there], block.sizes[there] = ([key], [size]) if size else ([], [])
        if len(block.keys) > 2 * _BLOCK:
            entries = list(zip(block.keys, block.sizes, strict=True))
            self._blocks[at : at + 1] = [_block(entries[:_BLOCK]), _block(entries[_BLOCK:])]
        elif not block.keys and len(self._blocks) > 1:
            del self._blocks[at]


def _differing(old: Sequence[str], new: Sequence[str]) -> tuple[Numbered, Numbered]:
    """The rules that go and those that come, numbered among the Service's own. All of them where
    the others stand in another order, or one stands there twice: each is deleted by its text."""
    had, has = set(old), set(new)
    stay = [rule for rule in old if rule in has] == [rule for rule in new if rule in had]
    if not stay or len(had) < len(old) or len(has) < len(new):
        had = has = set()
    return _without(old, has), _without(new, had)


def _without(rules: Iterable[str], others: set[str]) -> Numbered:
    return [(number, rule) for number, rule in enumerate(rules, 1) if rule not in others]
