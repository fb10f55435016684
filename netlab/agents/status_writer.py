"""Tells the API what pods' containers do: the status of each pod that has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from netlab.agents.podrun import PodRun, conclude
from netlab.agents.podstatus import compute
from netlab.client.informer import Informers
from netlab.errors import ApiError, NotFound, NotSaved
from netlab.objects.podphase import is_pod_terminal

log = logging.getLogger(__name__)

ROOM = 1.0
"""Seconds before a status is written again for which there was no room."""

TOGETHER = 8
"""Status writes between two looks at what else the event loop has to do."""


class StatusWriter:
    """Writes the statuses of the pods of a node with these addresses. `wake` is called when there
    is something to write, `gone` with the key of a pod that the API has no more."""

    def __init__(
        self,
        informers: Informers,
        host_ips: Sequence[str],
        *,
        now: Callable[[], str],
        wake: Callable[[], None],
        gone: Callable[[str], None],
    ) -> None:
        self._informers = informers
        self._host_ips = host_ips
        self._now = now
        self._wake = wake
        self._gone = gone
        self._dirty: dict[str, PodRun] = {}

    def changed(self, run: PodRun) -> None:
        """A container started, ended or became ready: its pod's status is to be written."""
        self._dirty[run.uid] = run
        self._wake()

    def forget(self, run: PodRun) -> None:
        """Nothing is to be said of it any more."""
        self._dirty.pop(run.uid, None)

    async def write(self) -> None:
        """Write what has changed since."""
        dirty, self._dirty = self._dirty, {}
        for number, run in enumerate(dirty.values()):
            if not run.unseen:  # who ends, may still be ready or not
                await self._write(run)
            if number % TOGETHER == TOGETHER - 1:
                await asyncio.sleep(0)

    async def close(self, run: PodRun) -> None:
        """Say how a pod ended that is about to be removed, if anybody keeps it to see that."""
        if run.pod["metadata"].get("finalizers") and not is_pod_terminal(run.pod):
            conclude(run)
            for state in run.states:
                if state.running:  # no process, so none that could end otherwise
                    state.end(self._now(), 0)
            await self._write(run, final=True)

    async def _write(self, run: PodRun, *, final: bool = False) -> None:
        status = compute(
            run.pod,
            list(run.containers.values()),
            list(run.inits.values()),
            list(run.ephemeral.values()),
            host_ips=self._host_ips,
            pod_ips=run.ips,
            now=self._now(),
            failure=run.failure,
            final=final,
        )
        try:
            run.pod = await self._informers.patch_status(run.pod, status)
        except NotFound:
            self._gone(run.key)
        except NotSaved:  # the store says so
            asyncio.get_running_loop().call_later(ROOM, self.changed, run)
        except ApiError as error:
            log.error("pod %s: status not written: %s", run.key, error)
