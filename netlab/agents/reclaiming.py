"""What is in PersistentVolumes goes with them, as their reclaim policy says."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from netlab.agents.volumes import directory_of
from netlab.client.informer import Informers
from netlab.errors import NetlabError
from netlab.kernel import run
from netlab.objects import meta
from netlab.objects.types import PersistentVolume
from netlab.tasks import Background

log = logging.getLogger(__name__)


class Reclaiming:
    """Removes the directories of volumes, below the lab's in `directory`, that are no more."""

    def __init__(self, directory: Path, informers: Informers) -> None:
        self._lab = directory
        self._removing = Background()
        informers["PersistentVolume"].add_listener(self._on_volume)

    def _on_volume(self, old: PersistentVolume | None, new: PersistentVolume | None) -> None:
        if new is not None or old is None:
            return
        if meta.spec(old).get("persistentVolumeReclaimPolicy") == "Delete":
            self._removing.start(meta.name(old), self._remove(old), f"reclaim {meta.name(old)}")

    async def _remove(self, volume: PersistentVolume) -> None:
        """rm(1) follows no link that a pod has left, and goes as deep as pods have."""
        try:
            directory = directory_of(self._lab, volume)
            await asyncio.to_thread(run.run, ["rm", "-rf", "--", str(directory)])
        except (NetlabError, OSError) as error:
            log.error("volume %s: not removed: %s", meta.name(volume), error)

    async def stop(self) -> None:
        """Leave what is not removed yet."""
        await self._removing.stop_all()
