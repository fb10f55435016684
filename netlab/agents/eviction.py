"""Pods that keep more on disk than they may: the kubelet ends them, and they stay to be seen.

Limits are of containers (`ephemeral-storage`) and of empty volumes (`sizeLimit`). What a pod may
write to holds somewhat more than its limit, so that it can be exceeded (`workload.bounds`).

Source: pkg/kubelet/eviction/eviction_manager.go, localStorageEviction.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from netlab.agents.podevents import PodEvents
from netlab.agents.podrun import PodRun
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.tasks import cancel
from netlab.workload.bounds import bytes_of

log = logging.getLogger(__name__)

REASON = "Evicted"
PERIOD = 2.0
"""Seconds between two looks at what pods use."""

STORAGE = "ephemeral-storage"

Usage = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Bytes by the pod's uid, then of its `containers` and its `volumes`, by their names."""


class Evictions:
    """Looks after those pods that have limits; `expire` ends the containers of one."""

    def __init__(
        self,
        usage: Callable[[Sequence[str]], Awaitable[Usage]],
        events: PodEvents,
        expire: Callable[[PodRun], Awaitable[None]],
    ) -> None:
        self._usage = usage
        self._events = events
        self._expire = expire
        self._runs: dict[str, PodRun] = {}
        self._looking: asyncio.Task[None] | None = None

    def watch(self, run: PodRun) -> None:
        """The pod runs: see that it keeps to its limits, if it has any."""
        if is_limited(meta.spec(run.pod)):
            self._runs[run.uid] = run
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look(), name="evictions")

    def forget(self, run: PodRun) -> None:
        """The pod is gone."""
        self._runs.pop(run.uid, None)

    async def stop(self) -> None:
        """Look no more."""
        await cancel(self._looking)

    async def _look(self) -> None:
        while self._runs:
            await asyncio.sleep(PERIOD)
            try:
                used = await self._usage(list(self._runs))
            except NetlabError as error:
                log.info("what pods use is not known: %s", error)
                continue
            for run in list(self._runs.values()):
                why = exceeded(meta.spec(run.pod), used.get(run.uid) or {})
                if why is not None and not run.stopping and run.failure is None:
                    self.forget(run)
                    run.failure = (REASON, why)
                    self._events.evicted(run, why)
                    await self._expire(run)


def is_limited(spec: Mapping[str, Any]) -> bool:
    """Whether a pod can exceed anything."""
    volumes = spec.get("volumes") or ()
    return any(_limit(one) for one in spec["containers"]) or any(map(_size_limit, volumes))


def exceeded(spec: Mapping[str, Any], used: Mapping[str, Mapping[str, int]]) -> str | None:
    """Which limit a pod of this spec exceeds, in the kubelet's words; None if none."""
    containers, volumes = used.get("containers") or {}, used.get("volumes") or {}
    for volume in spec.get("volumes") or ():
        limit, name = _size_limit(volume), volume["name"]
        if limit and volumes.get(name, 0) > bytes_of(limit):
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
    limits = [limit for one in spec["containers"] if (limit := _limit(one))]
    total = sum(containers.values()) + sum(volumes.values())
    if limits and total > sum(map(bytes_of, limits)):
        from netlab.objects import quantity  # its fractions are slow to import

        whole = quantity.total(limits)
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {whole}. "
    for one in spec["containers"]:
        own, name = _limit(one), one["name"]
        if own and containers.get(name, 0) > bytes_of(own):
            return f'Container {name} exceeded its local ephemeral storage limit "{own}". '
    return None


def _limit(container: Mapping[str, Any]) -> str | None:
    limit = ((container.get("resources") or {}).get("limits") or {}).get(STORAGE)
    return None if limit is None else str(limit)


def _size_limit(volume: Mapping[str, Any]) -> str | None:
    """One in memory can hold no more than its limit."""
    empty = volume.get("emptyDir")
    if empty is None or empty.get("medium") or empty.get("sizeLimit") is None:
        return None
    return str(empty["sizeLimit"])
