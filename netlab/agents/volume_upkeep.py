"""Volumes of pods that run: their files follow ConfigMaps and Secrets, their tokens the time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from netlab.agents.changes import Source
from netlab.agents.configuration import PodConfiguration
from netlab.agents.podrun import PodRun
from netlab.agents.tokens import LOOK_EVERY, Tokens, has_more_than_tokens
from netlab.agents.volume_sources import sources
from netlab.agents.volumes import Volumes
from netlab.errors import NetlabError
from netlab.tasks import cancel

log = logging.getLogger(__name__)


class VolumeUpkeep:
    """Brings volumes up to date while pods run; `runs` gives those that have any."""

    def __init__(
        self,
        configuration: PodConfiguration,
        volumes: Volumes,
        tokens: Tokens,
        runs: Callable[[], Iterable[PodRun]],
    ) -> None:
        self._configuration = configuration
        self._volumes = volumes
        self._tokens = tokens
        self._runs = runs
        self._sources: dict[str, frozenset[Source]] = {}
        """By the pod's uid, of which objects its files are made: that stays as it is."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow the objects, and the time."""
        self._task = asyncio.create_task(self._refresh_all(), name="volumes")

    async def stop(self) -> None:
        """Leave the files as they are."""
        await cancel(self._task)

    async def _refresh_all(self) -> None:
        look_at = time.monotonic() + LOOK_EVERY
        while True:
            touched = await self._configuration.touched.taken(look_at - time.monotonic())
            runs = self._reading(touched) if touched else []
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + LOOK_EVERY
                runs += [run for run in self._runs() if self._tokens.are_due(run)]
            for run in {run.uid: run for run in runs}.values():
                await self._refresh(run)

    def _reading(self, touched: frozenset[Source]) -> list[PodRun]:
        """The pods that have files of any of these objects."""
        runs, known = list(self._runs()), self._sources
        self._sources = {run.uid: known.get(run.uid) or sources(run.pod) for run in runs}
        return [run for run in runs if not touched.isdisjoint(self._sources[run.uid])]

    async def _refresh(self, run: PodRun) -> None:
        try:
            tokens = await self._tokens.present(run)
            if tokens or has_more_than_tokens(run):
                self._volumes.prepare(run, tokens)
        except (NetlabError, OSError) as error:
            log.info("pod %s: volumes stay as they are: %s", run.key, error)
        except Exception:
            log.exception("pod %s: volumes stay as they are", run.key)
