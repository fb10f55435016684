"""The seam between nodes and the one machine they are on: what several ask for at once is one call.

One batch of netlink messages costs little more than one pod, whichever nodes the pods are on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from netlab.agents.podrun import PodRun

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
        self._attaching = _Batch(pod_network.attach)
        self._detaching = _Batch(pod_network.detach)

    async def attach(self, runs: Sequence[PodRun]) -> dict[str, Exception]:
        """As `Blocking.attach`; failures of others' pods may be among those returned."""
        return await self._attaching.add(runs)

    async def detach(self, runs: Sequence[PodRun]) -> None:
        """As `Blocking.detach`."""
        await self._detaching.add(runs)


class _Batch(Generic[T]):
    """What is added while a call is made, or in one turn of the event loop, goes with the next."""

    def __init__(self, call: Callable[[Sequence[PodRun]], T]) -> None:
        self._call = call
        self._runs: list[PodRun] = []
        self._next: asyncio.Task[T] | None = None
        self._turn = asyncio.Lock()

    async def add(self, runs: Sequence[PodRun]) -> T:
        """What the call returns, or raises, for all that went with it."""
        self._runs += runs
        if self._next is None:
            self._next = asyncio.create_task(self._go(), name="pods of all nodes")
        return await asyncio.shield(self._next)

    async def _go(self) -> T:
        async with self._turn:
            runs, self._runs, self._next = self._runs, [], None
            return await asyncio.to_thread(self._call, runs)
