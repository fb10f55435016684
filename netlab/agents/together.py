"""The seam between nodes and the one machine they are on: what several ask for at once is one call.

One batch of netlink messages costs little more than one pod, whichever nodes the pods are on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from netlab.agents.podrun import PodRun

QUIET = 0.2
"""Seconds without another pod that goes, before those that went are let go of."""

LONGEST = 3.0
"""Seconds that the first of them is kept at the most."""

Item = TypeVar("Item")
T = TypeVar("T")


class Blocking(Protocol):
    """Gives pods their namespaces and links; both calls run in a thread."""

    def attach(self, runs: Sequence[PodRun]) -> dict[str, Exception]:
        """Make namespaces and links; what exists already is adopted. Failures by the pod's uid."""

    def detach(self, runs: Sequence[PodRun]) -> None:
        """Take namespaces, links and files away; what is gone already is no error."""

    def let_go(self) -> None:
        """Have the kernel take apart what was detached: others wait for it meanwhile."""


class Together:
    """Attaches and detaches the pods of all nodes in as few calls as can be.

    What is detached is let go of when no more has come for a moment.
    """

    def __init__(self, pod_network: Blocking) -> None:
        self._attaching = Batch(pod_network.attach)
        self._detaching = Batch(pod_network.detach)
        self._pod_network = pod_network
        self._letting_go: asyncio.Task[None] | None = None
        self._leaving = 0
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def attach(self, runs: Sequence[PodRun]) -> dict[str, Exception]:
        """As `Blocking.attach`; failures of others' pods may be among those returned."""
        return await self._attaching.add(runs)

    async def detach(self, runs: Sequence[PodRun]) -> None:
        """As `Blocking.detach`."""
        self._leaving += 1
        try:
            await self._detaching.add(runs)
        finally:
            self._leaving -= 1
            self._let_go_later()

    def _let_go_later(self) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._since = loop.time()
        else:
            self._timer.cancel()
        when = min(loop.time() + QUIET, self._since + LONGEST)
        self._timer = loop.call_at(when, self._let_go)

    def _let_go(self) -> None:
        if self._leaving and asyncio.get_running_loop().time() < self._since + LONGEST:
            return  # who is being detached will set the timer
        self._timer = None
        work = asyncio.to_thread(self._pod_network.let_go)
        self._letting_go = asyncio.create_task(work, name="let go of pods")


class Batch(Generic[Item, T]):
    """Makes a blocking call for many at once.

    What is added while one is made, or in one turn of the event loop, goes with the next.
    """

    def __init__(self, call: Callable[[Sequence[Item]], T]) -> None:
        self._call = call
        self._items: list[Item] = []
        self._next: asyncio.Task[T] | None = None
        self._turn = asyncio.Lock()

    async def add(self, items: Sequence[Item]) -> T:
        """What the call returns, or raises, for all that went with it."""
        self._items += items
        if self._next is None:
            self._next = asyncio.create_task(self._go(), name="of all nodes")
        return await asyncio.shield(self._next)

    async def _go(self) -> T:
        async with self._turn:
            items, self._items, self._next = self._items, [], None
            return await asyncio.to_thread(self._call, items)
