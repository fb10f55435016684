"""How pods go: containers end, each in its own time; namespaces are then taken away together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from netlab.agents.loop import Loop
from netlab.agents.podrun import PodRun
from netlab.client.informer import Informers
from netlab.errors import Conflict, NetlabError, NotFound, NotSaved
from netlab.retry import Retry
from netlab.tasks import cancel

log = logging.getLogger(__name__)

TOGETHER = 8
"""Deletions between two looks at what else the event loop has to do."""

RETRY = Retry(1.0, 300.0)
"""Of what could not be detached."""


class Detaching(Protocol):
    """Takes pods' namespaces away."""

    async def detach(self, runs: Sequence[PodRun]) -> None:
        """Take namespaces, links and files away; what is gone already is no error."""


class Stopping(Protocol):
    """Ends what runs in pods."""

    async def stop(self, run: PodRun, grace: float) -> None:
        """End everything the pod runs, killing what is left after `grace` seconds."""


class Termination:
    """The last way of every pod; `closing` says how one ended before its object goes, `gone` is
    called when nothing is left of it."""

    def __init__(
        self,
        informers: Informers,
        pod_network: Detaching,
        containers: Stopping,
        gone: Callable[[PodRun], None],
        closing: Callable[[PodRun], Awaitable[None]],
    ) -> None:
        self._informers = informers
        self._pod_network = pod_network
        self._containers = containers
        self._gone = gone
        self._closing = closing
        self._stops: dict[str, asyncio.Task[None]] = {}
        self._silent: list[PodRun] = []
        self._failures: dict[str, int] = {}
        self._turned = asyncio.Event()
        self._loop = Loop("termination", self._work)

    @property
    def idle(self) -> bool:
        """True when no pod is on its way out."""
        return not self._stops

    def start(self) -> None:
        """Begin to detach what has ended."""
        self._loop.start()

    async def stop(self) -> None:
        """Leave everything as it stands; the next controller goes on."""
        await self._loop.stop()
        await cancel(*self._stops.values())

    async def ended(self) -> None:
        """Return once nothing is left of any pod that was begun with."""
        while self._stops:
            self._turned.clear()
            await self._turned.wait()

    def begin(self, run: PodRun) -> None:
        """End a pod; nothing happens if that is under way already."""
        grace = _grace(run)
        if not run.stopping and run.uid not in self._stops:
            run.stopping = True
            task = asyncio.create_task(self._end(run, grace), name=f"stop {run.key}")
            self._stops[run.uid] = task

    def cut(self, run: PodRun) -> None:
        """End a pod now, whatever time it had, and leave its object."""
        run.unseen = True
        ending = self._stops.get(run.uid)
        if ending is not None and ending.done():
            return  # about to be detached
        if ending is not None:
            ending.cancel()
        run.stopping = True
        self._stops[run.uid] = asyncio.create_task(self._end(run, 0.0), name=f"cut {run.key}")

    async def _end(self, run: PodRun, grace: float) -> None:
        try:
            await self._containers.stop(run, grace)
        except (NetlabError, OSError) as error:
            log.error("pod %s: %s", run.key, error)
        except Exception:
            log.exception("pod %s: not everything was ended", run.key)
        self._ended(run)

    def _ended(self, run: PodRun) -> None:
        self._silent.append(run)
        self._loop.wake()

    async def _work(self, _: bool) -> None:
        runs, self._silent = self._silent, []
        for number, run in enumerate(await self._detach(runs)):
            await self._remove(run)
            if number % TOGETHER == TOGETHER - 1:
                await asyncio.sleep(0)

    async def _detach(self, runs: Sequence[PodRun]) -> list[PodRun]:
        """All at once; if that fails one by one, so that only the pod in question suffers.

        Returns those that are gone; the others are tried again later.
        """
        try:
            await self._pod_network.detach(runs)
        except Exception:
            if len(runs) == 1:
                log.exception("pod %s: not taken away", runs[0].key)
                self._try_again(runs[0])
                return []
            return [gone for run in runs for gone in await self._detach([run])]
        return list(runs)

    def _try_again(self, run: PodRun) -> None:
        count = self._failures[run.uid] = self._failures.get(run.uid, 0) + 1
        asyncio.get_running_loop().call_later(RETRY.delay(count), self._ended, run)

    async def _remove(self, run: PodRun) -> None:
        """The namespace is gone: so may the object be."""
        try:
            with contextlib.suppress(NotFound, Conflict):
                if not run.unseen:
                    await self._closing(run)
                    await self._informers.delete(run.pod, grace_period=0)
        except NotSaved:  # the store says so
            asyncio.get_running_loop().call_later(RETRY.first, self._ended, run)
            return
        except Exception:
            log.exception("pod %s: not removed", run.key)
        self._over(run)

    def _over(self, run: PodRun) -> None:
        self._stops.pop(run.uid, None)
        self._failures.pop(run.uid, None)
        self._gone(run)
        self._turned.set()


def _grace(run: PodRun) -> float:
    """What the deletion allows; a pod that was removed by force has no time left."""
    return float(run.pod["metadata"].get("deletionGracePeriodSeconds") or 0)
