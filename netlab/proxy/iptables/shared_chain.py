"""A chain to which many Services add rules of their own, in the order of the Services' keys. Pure.

With 10,000 Services it has as many rules: what changes of it is cut in, not put together anew.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

_FEW = 50
"""Changed Services up to which each is cut in by itself: for each, all places before it are
counted."""


class SharedChain:
    """`share` tells what a Service (`ns/name`) has there now, `services` which ones there are, in
    the order of their keys."""

    def __init__(
        self, share: Callable[[str], Sequence[str]], services: Callable[[], Iterable[str]]
    ) -> None:
        self._share = share
        self._services = services
        self._rules: list[str] = []
        self._keys: list[str] = []
        self._sizes: list[int] = []
        self._changed: set[str] | None = None
        """None: nobody has looked yet."""

    def changed(self, key: str) -> None:
        """What that Service has is not what it was."""
        if self._changed is not None:
            self._changed.add(key)

    def rules(self) -> Sequence[str]:
        """What all of them have there now; of use until the next call."""
        changed, self._changed = self._changed, set()
        if changed is None or len(changed) > _FEW:
            self._gather()
        else:
            for key in changed:
                self._cut_in(key)
        return self._rules

    def _gather(self) -> None:
        shares = [(key, share) for key in self._services() if (share := self._share(key))]
        self._keys = [key for key, _ in shares]
        self._sizes = [len(share) for _, share in shares]
        self._rules = [rule for _, share in shares for rule in share]

    def _cut_in(self, key: str) -> None:
        at, share = bisect_left(self._keys, key), self._share(key)
        there = slice(at, at + (self._keys[at : at + 1] == [key]))
        start = sum(self._sizes[:at])
        self._rules[start : start + sum(self._sizes[there])] = share
        self._keys[there] = [key] if share else []
        self._sizes[there] = [len(share)] if share else []
