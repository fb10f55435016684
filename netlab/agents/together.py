"""The seam between nodes and the one machine they are on: what several ask for at once is one call.

One batch of netlink messages costs little more than one pod, whichever nodes the pods are on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from netlab.agents.podrun import PodRun

Item = TypeVar("Item")
T = TypeVar("T")


class Blocking(Protocol):
    """Gives pods their namespaces and links; both calls run in a thread."""

    def attach(self, runs: Sequence[PodRun]) -> dict[str, Exception]:
        """Make namespaces and links; what exists already is adopted. Failures by the pod's uid."""

    def detach(self, runs: Sequence[PodRun]) -> None:
        """Take namespaces, links and files away; what is gone already is no error."""


class Together:
    """Attaches and detaches the pods of all nodes in as few calls as can be."""

    def __init__(self, pod_network: Blocking) -> None:
        self._attaching = Batch(pod_network.attach)
        self._detaching = Batch(pod_network.detach)

    async def attach(self, runs: Sequence[PodRun]) -> dict[str, Exception]:
        """As `Blocking.attach`; failures of others' pods may be among those returned."""
        return await self._attaching.add(runs)

    async def detach(self, runs: Sequence[PodRun]) -> None:
        """As `Blocking.detach`."""
        await self._detaching.add(runs)


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
