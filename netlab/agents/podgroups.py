"""The control groups of pods, for the programs of the machine's that run there.

A pod's commands are put into the same group by the runtime, and both ask for the same limits. It is
removed when all of the pod has ended, with what is left in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from netlab.agents.podrun import PodRun
from netlab.objects import meta
from netlab.workload.bounding import Bounding
from netlab.workload.bounds import bounds


class PodGroups:
    """Those of the lab `owner` (its uid)."""

    def __init__(self, owner: str) -> None:
        self._bounding = Bounding(owner)

    def of(self, run: PodRun) -> Sequence[Path]:
        """The `cgroup.procs` for a pod's processes; `KernelRefused` if it cannot be bounded."""
        limits = bounds(meta.spec(run.pod))
        self._bounding.bound(run.uid, {"memory": limits.memory, "pids": limits.pids})
        return self._bounding.places(run.uid)

    async def remove(self, uid: str) -> None:
        """All of a pod has ended. Idempotent."""
        await asyncio.to_thread(self._bounding.forget, uid)
