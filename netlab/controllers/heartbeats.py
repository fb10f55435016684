"""Which nodes are still heard of: kube-controller-manager's monitoring of node health.

A node renews its Lease while it lives. What counts is not what it writes there as its time, but
when we heard of it by our own clock; and of that only the time in which we listened. A controller
that was stopped for a minute, or had much to do, has not heard of anybody for a minute, and that
says nothing of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LOOKS = 8
"""Looks at the time while a node may be silent."""

PERIOD = 5.0
"""Seconds between two of them, at most: upstream's `--node-monitor-period`."""


class Heartbeats:
    """How long nodes have been silent; one that is silent for `grace` seconds is lost."""

    def __init__(self, grace: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.period = min(grace / LOOKS, PERIOD)
        self._grace = grace
        self._clock = clock
        self._listened = 0.0
        """Seconds that we have listened, in all."""
        self._looked = clock()
        self._heard: dict[str, float] = {}

    def heard(self, node: str) -> None:
        """It has said something just now."""
        self._heard[node] = self._listened

    def deaf(self) -> None:
        """Nobody could have said anything so far."""
        self._heard = dict.fromkeys(self._heard, self._listened)

    def forget(self, node: str) -> None:
        """There is no such node any more."""
        self._heard.pop(node, None)

    def is_silent(self, node: str) -> bool:
        """Whether it counts as lost; one of which nothing was known is heard of from now on."""
        return self._listened - self._heard.setdefault(node, self._listened) >= self._grace

    def silent(self) -> list[str]:
        """Look at the time: all that are lost."""
        now = self._clock()
        self._listened += min(max(now - self._looked, 0.0), 2 * self.period)
        self._looked = now
        return [node for node in self._heard if self.is_silent(node)]

    async def run(self, lost: Callable[[str], None]) -> None:
        """Look at the time for ever; `lost` is told of each node that is lost, again and again."""
        while True:
            await asyncio.sleep(self.period)
            for node in self.silent():
                lost(node)
