"""How pods go: containers end, each in its own time; namespaces are then taken away together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from netlab.agents.podrun import PodRun
from netlab.client.informer import Informers
from netlab.errors import Conflict, NetlabError, NotFound

log = logging.getLogger(__name__)

TOGETHER = 8
"""Deletions between two looks at what else the event loop has to do."""


class Detaching(Protocol):
    """Takes pods' namespaces away; blocking."""

    def detach(self, runs: Sequence[PodRun]) -> None:
        """Take namespaces, links and files away; what is gone already is no error."""


class Stopping(Protocol):
    """Ends what runs in pods."""

    async def stop(self, run: PodRun, grace: float) -> None:
        """End everything the pod runs, killing what is left after `grace` seconds."""


class Departure:
    """The last way of every pod; `gone` is called when nothing is left of one."""

    def __init__(
        self,
        informers: Informers,
        wiring: Detaching,
        containers: Stopping,
        gone: Callable[[PodRun], None],
    ) -> None:
        self._informers = informers
        self._wiring = wiring
        self._containers = containers
        self._gone = gone
        self._stops: dict[str, asyncio.Task[None]] = {}
        self._silent: list[PodRun] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """True when no pod is on its way out."""
        return not self._stops

    def start(self) -> None:
        """Begin to detach what has ended."""
        self._task = asyncio.create_task(self._detach_forever(), name="departure")

    async def stop(self) -> None:
        """Leave everything as it stands; the next controller goes on."""
        tasks = [*self._stops.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def begin(self, run: PodRun) -> None:
        """End a pod; nothing happens if that is under way already."""
        grace = _grace(run)
        if not run.stopping and run.uid not in self._stops:
            run.stopping = True
            task = asyncio.create_task(self._end(run, grace), name=f"stop {run.key}")
            self._stops[run.uid] = task

    async def _end(self, run: PodRun, grace: float) -> None:
        try:
            await self._containers.stop(run, grace)
        except (NetlabError, OSError) as error:
            log.error("pod %s: %s", run.key, error)
        except Exception:
            log.exception("pod %s: not everything was ended", run.key)
        self._silent.append(run)
        self._wake.set()

    async def _detach_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            runs, self._silent = self._silent, []
            await self._detach(runs)
            for number, run in enumerate(runs):
                await self._remove(run)
                if number % TOGETHER == TOGETHER - 1:
                    await asyncio.sleep(0)

    async def _detach(self, runs: Sequence[PodRun]) -> None:
        """All at once; if that fails one by one, so that only the pod in question suffers."""
        try:
            await asyncio.to_thread(self._wiring.detach, runs)
        except (NetlabError, OSError) as error:
            if len(runs) == 1:
                log.error("pod %s: %s", runs[0].key, error)
                return
            for run in runs:
                await self._detach([run])

    async def _remove(self, run: PodRun) -> None:
        """The namespace is gone: so may the object be."""
        self._stops.pop(run.uid, None)
        try:
            with contextlib.suppress(NotFound, Conflict):
                await self._informers.delete(run.pod, grace_period=0)
        except NetlabError as error:
            log.error("pod %s: not removed: %s", run.key, error)
        self._gone(run)


def _grace(run: PodRun) -> float:
    """What the deletion allows; a pod that was removed by force has no time left."""
    return float(run.pod["metadata"].get("deletionGracePeriodSeconds") or 0)
