"""Volumes of pods that run: their files follow ConfigMaps and Secrets, their tokens the time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

from netlab.agents.configuration import PodConfiguration
from netlab.agents.podrun import PodRun
from netlab.agents.tokens import LOOK_EVERY, Tokens, has_more_than_tokens
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
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow the objects, and the time."""
        self._task = asyncio.create_task(self._refresh_all(), name="volumes")

    async def stop(self) -> None:
        """Leave the files as they are."""
        await cancel(self._task)

    async def _refresh_all(self) -> None:
        while True:
            changed = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._configuration.changed()
                    changed = True
            for run in list(self._runs()):
                if changed or self._tokens.are_due(run):
                    await self._refresh(run)

    async def _refresh(self, run: PodRun) -> None:
        try:
            tokens = await self._tokens.present(run)
            if tokens or has_more_than_tokens(run):
                self._volumes.prepare(run, tokens)
        except (NetlabError, OSError) as error:
            log.info("pod %s: volumes stay as they are: %s", run.key, error)
        except Exception:
            log.exception("pod %s: volumes stay as they are", run.key)
