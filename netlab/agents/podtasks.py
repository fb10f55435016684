"""Containers that do one thing through the API and end: the lab does it, in the pod's name.

What the image would do from within is done by the lab itself, and as far as the pod's service
account may; it says what it did in the container's log, and ends with an exit code, as the image's
program would.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from netlab.agents.account_api import AccountApi
from netlab.agents.lifecycle import Lifecycle, restarts
from netlab.agents.podrun import PodRun, container_log
from netlab.client.informer import Informers
from netlab.errors import NetlabError
from netlab.later import Later
from netlab.objects import meta
from netlab.objects.times import timestamp
from netlab.tasks import Background
from netlab.workload.crilog import LogWriter
from netlab.workload.task import Deed, Say, TaskFailed

log = logging.getLogger(__name__)


class Task(Protocol):
    """What an image does; `TaskFailed` or `NetlabError` when it cannot."""

    async def __call__(self, api: AccountApi, deed: Deed, say: Say) -> None:
        """Do it."""


TASKS: Mapping[str, Later[Task]] = {"certgen": Later("netlab.agents.certgen", "certgen")}
"""By the name that the catalogue gives as `program`."""


class PodTasks:
    """All containers of the lab that are such tasks."""

    def __init__(self, informers: Informers, lifecycle: Lifecycle) -> None:
        self._informers = informers
        self._lifecycle = lifecycle
        self._tasks = Background()

    def start(
        self, run: PodRun, container: str, name: str, argv: Sequence[str]
    ) -> asyncio.Task[int]:
        """Do it, again if the pod wants that; the task's result is the last exit code."""
        deed = Deed(tuple(argv), run.key, meta.spec(run.pod).get("serviceAccountName") or "default")
        work = self._live(run, container, TASKS[name].get(), deed)
        return self._tasks.start(run.uid, work, f"{run.key} {container}")

    async def stop(self, run: PodRun) -> None:
        """Leave off."""
        await self._tasks.stop(run.uid)

    async def detach(self) -> None:
        """Leave off; the next controller begins anew what was not done."""
        await self._tasks.stop_all()

    async def _live(self, run: PodRun, container: str, task: Task, deed: Deed) -> int:
        while True:
            self._lifecycle.starting(run, container)
            self._lifecycle.events.created(run, container)
            began = time.time()
            self._lifecycle.began(run, container, timestamp(began), _at_once)
            code = await self._do(run, container, task, deed)
            self._lifecycle.ended(run, container, timestamp(time.time()), code)
            if not restarts(run, container, code):
                return code
            await self._lifecycle.back_off(run, container, time.time() - began)
            run.state(container).restarts += 1

    async def _do(self, run: PodRun, container: str, task: Task, deed: Deed) -> int:
        path = container_log(run, container)
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = LogWriter(path)

        def say(line: str) -> None:
            writer.write("stderr", f"{line}\n".encode())

        try:
            account = AccountApi(self._informers, meta.namespace(run.pod), deed.account)
            await task(account, deed, say)
        except (TaskFailed, NetlabError, OSError) as error:
            say(error.message if isinstance(error, NetlabError) else str(error))
            return 1
        except Exception:
            log.exception("pod %s: container %s: unexpected error", run.key, container)
            return 1
        finally:
            writer.close()
        return 0


def _at_once(run: PodRun, container: str, why: str, grace: float | None) -> None:
    """It ends by itself soon enough."""
    log.info("pod %s: container %s %s; it is left alone", run.key, container, why)
    del grace
