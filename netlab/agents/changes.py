"""What pods are configured with changes: who waits to try again need not wait any longer."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

Source = tuple[str, str, str]
"""An object that files are made of: kind, namespace, name. All PersistentVolumes are one."""


class Changes:
    """How often something that pods read has changed, by namespace; "" for what is in none.

    Who is about to try takes the `count` first: what comes while he tries is not missed.
    """

    def __init__(self) -> None:
        self._counts = Counter[str]()
        self._next = asyncio.Event()

    def note(self, namespace: str) -> None:
        """Something has come, gone or changed."""
        self._counts[namespace] += 1
        self._next.set()  # wakes those who wait now; who comes later waits for the next one
        self._next = asyncio.Event()

    def count(self, namespace: str) -> int:
        """What a moment is known by."""
        return self._counts[namespace] + self._counts[""]

    async def after(self, namespace: str, count: int, seconds: float) -> None:
        """Return once something has changed since there were so many, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.count(namespace) == count:
                    await self._next.wait()

    async def next(self) -> None:
        """Return once anything has changed, wherever."""
        await self._next.wait()


class Touched:
    """Which objects have changed since somebody took them: he misses none that change meanwhile."""

    def __init__(self) -> None:
        self._sources: set[Source] = set()
        self._some = asyncio.Event()

    def note(self, source: Source) -> None:
        """It has come, gone or changed."""
        self._sources.add(source)
        self._some.set()

    async def taken(self, seconds: float) -> frozenset[Source]:
        """Those that have changed, as soon as there are any; none after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._some.wait()
        found, self._sources = frozenset(self._sources), set()
        self._some.clear()
        return found
