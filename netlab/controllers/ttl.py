"""Jobs that have ended go after their `ttlSecondsAfterFinished`, with their pods."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from netlab.controllers.controller import Controller, WatchedKind, own_key
from netlab.controllers.job_pods import finished
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.times import seconds


class FinishedJobs(Controller):
    """Deletes Jobs whose time has come."""

    name = "ttl-after-finished-controller"

    def watches(self) -> Sequence[WatchedKind]:
        """Jobs."""
        return (WatchedKind("Job", own_key),)

    async def reconcile(self, key: str) -> float | None:
        """Delete the Job, or say in how many seconds."""
        job = self.informers["Job"].get(key)
        ttl = meta.spec(job).get("ttlSecondsAfterFinished") if job else None
        if job is None or ttl is None or self.informers["Job"].is_going(job):
            return None
        ended = meta.condition(job, finished(job))
        if ended is None:
            return None
        left = seconds(ended.get("lastTransitionTime")) + ttl - self.context.clock()
        if left > 0:
            return left
        with contextlib.suppress(NotFound):
            await self.informers.delete(job, propagation="Foreground")
        return None
