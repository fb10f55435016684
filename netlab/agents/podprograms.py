"""Containers that are programs of the machine's: the catalogue names which, a table has them.

The lab's DNS is one of them; what is one process a pod is a record (`PodProgram`), which
`OneInEachPod` runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from netlab.agents.lifecycle import KILLED, Lifecycle, restarts
from netlab.agents.podgroups import PodGroups
from netlab.agents.podrun import PodRun, container_log, known_status
from netlab.agents.vigil import Vigil
from netlab.errors import EnvironmentLacks, NetlabError
from netlab.objects.times import timestamp
from netlab.retry import Retry
from netlab.workload.behaviour import behaviour
from netlab.workload.crilog import LogWriter
from netlab.workload.pod_program import PodProgram, RunningPodProgram

log = logging.getLogger(__name__)

RETRY = Retry(1.0, 60.0)
"""Of a program that could not be started."""


Restarted = Callable[[], None]


class Exited(Exception):
    """A program ended right after its start, with `code`; the text is what it said last."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class InPods(Protocol):
    """Runs one sort of program in pods; what runs already is adopted."""

    async def start(self, run: PodRun, container: str, restarted: Restarted) -> None:
        """Have it run as that container; returns once it answers. Call `restarted` whenever it had
        to be started again since. `Exited` if the image's program would not have stayed."""

    async def stop(self, run: PodRun, container: str) -> None:
        """End it, or what a former controller left of it. Idempotent."""

    async def detach(self) -> None:
        """Watch no longer; everything goes on running."""


class PodPrograms:
    """All containers of the lab that are such programs, by a `table` of their names."""

    def __init__(
        self, table: Mapping[str, InPods], lifecycle: Lifecycle, groups: PodGroups
    ) -> None:
        self._table = table
        self._lifecycle = lifecycle
        self._groups = groups

    async def start(self, run: PodRun, container: str) -> None:
        """Have the container run; what keeps it from that is said, and tried again."""
        failures, program, is_first = 0, self._table[_name(run, container)], True
        while True:
            try:
                await program.start(run, container, partial(self._restarted, run, container))
            except Exited as error:
                is_first = False
                if not await self._exited(run, container, error):
                    return
            except (NetlabError, OSError) as error:
                failures += 1
                self._refused(run, container, error)
                await asyncio.sleep(RETRY.after(error, failures))
            else:
                self._began(run, container, may_be_adopted=is_first)
                return

    async def stop(self, run: PodRun) -> None:
        """End those of a pod."""
        for container in run.names:
            if name := _name(run, container):
                await self._table[name].stop(run, container)

    async def forget(self, run: PodRun) -> None:
        """All of a pod has ended: nothing that such programs have left of themselves goes on."""
        if any(_name(run, container) for container in run.names):
            await self._groups.remove(run.uid)

    async def detach(self) -> None:
        """Watch no longer; everything goes on running."""
        for each in self._table.values():
            await each.detach()

    def _refused(self, run: PodRun, container: str, error: NetlabError | OSError) -> None:
        message = _words(error)
        log.error("pod %s: container %s: %s", run.key, container, message)
        run.state(container).wait("CreateContainerError", message)
        self._lifecycle.events.failed(run, message)
        run.changed()

    async def _exited(self, run: PodRun, container: str, error: Exited) -> bool:
        """It ran, and ended at once; True when it is time to start it again."""
        began = time.time()
        path = container_log(run, container)
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = LogWriter(path)
        writer.write("stderr", f"{error}\n".encode())
        writer.close()
        self._lifecycle.events.created(run, container)
        self._lifecycle.began(run, container, timestamp(began), _never)
        self._lifecycle.ended(run, container, timestamp(time.time()), error.code)
        if not restarts(run, container, error.code):
            return False
        await self._lifecycle.back_off(run, container, time.time() - began)
        run.state(container).restarts += 1
        return True

    def _began(self, run: PodRun, container: str, *, may_be_adopted: bool) -> None:
        known = (known_status(run, container).get("state") or {}).get("running") or {}
        adopted = may_be_adopted and bool(known) and not run.renewed
        if not adopted:
            self._lifecycle.events.created(run, container)
        at = str(known["startedAt"]) if adopted else timestamp(time.time())
        self._lifecycle.began(run, container, at, _never, adopted=adopted)

    def _restarted(self, run: PodRun, container: str) -> None:
        """It died, of whatever, and runs again: that is how a restart is to be seen in the API."""
        now = timestamp(time.time())
        self._lifecycle.ended(run, container, now, KILLED)
        run.state(container).restarts += 1
        self._lifecycle.began(run, container, now, _never)


class OnceNeeded:
    """Has `make` make what runs a sort of program when the first pod asks for it: a lab that has
    none is not held up by it."""

    def __init__(self, make: Callable[[], InPods]) -> None:
        self._make = make
        self._made: InPods | None = None

    def _it(self) -> InPods:
        if self._made is None:
            self._made = self._make()
        return self._made

    async def start(self, run: PodRun, container: str, restarted: Restarted) -> None:
        """See `InPods`."""
        await self._it().start(run, container, restarted)

    async def stop(self, run: PodRun, container: str) -> None:
        """See `InPods`."""
        await self._it().stop(run, container)

    async def detach(self) -> None:
        """See `InPods`."""
        if self._made is not None:
            await self._made.detach()


class OneInEachPod:
    """Runs what a `PodProgram` says. Who has more to tell it, as a loop that makes its files of
    objects, finds it by `of`, and makes part of his own `start` and `stop`."""

    def __init__(self, entry: PodProgram, owner: str, vigil: Vigil, groups: PodGroups) -> None:
        self._groups = groups
        self._entry = entry
        self._owner = owner
        self._vigil = vigil
        self._programs: dict[tuple[str, str], RunningPodProgram] = {}
        self._restarted: dict[tuple[str, str], Restarted] = {}

    def of(self, run: PodRun, container: str) -> RunningPodProgram:
        """The program of a container, running or not."""
        key = (run.uid, container)
        if key not in self._programs:
            directory = directory_of(run, container)
            self._programs[key] = RunningPodProgram(
                self._entry, run.key, run.ips, directory, self._owner
            )
            self._programs[key].groups = partial(self._groups.of, run)
            self._programs[key].on_restart(partial(self._tell, key))
        return self._programs[key]

    async def _tell(self, key: tuple[str, str]) -> None:
        self._restarted[key]()

    async def start(self, run: PodRun, container: str, restarted: Restarted) -> None:
        """See `InPods`."""
        self._restarted[run.uid, container] = restarted
        program = self.of(run, container)
        await program.start(run.netns)
        self._vigil.watch(program)

    async def stop(self, run: PodRun, container: str) -> None:
        """See `InPods`."""
        program = self.of(run, container)
        del self._programs[run.uid, container]
        self._restarted.pop((run.uid, container), None)
        await self._vigil.forget(program)
        await program.stop()

    async def detach(self) -> None:
        """See `InPods`."""
        await asyncio.gather(*(program.detach() for program in self._programs.values()))


def program_log(run: PodRun, container: str) -> Path | None:
    """What such a program has said, in its own form; None of other containers."""
    return next(directory_of(run, container).glob("*.log"), None)


def directory_of(run: PodRun, container: str) -> Path:
    """What such a program has for its own."""
    return run.directory / "programs" / container


def _name(run: PodRun, container: str) -> str:
    """Which program a container is; none is "". What runs does not depend on its environment."""
    return behaviour(run.spec_of(container)).program


def _words(error: NetlabError | OSError) -> str:
    """What is wrong; and what would mend it, if the machine lacks something."""
    if not isinstance(error, NetlabError):
        return str(error)
    return (
        f"{error.message} ({error.hint})" if isinstance(error, EnvironmentLacks) else error.message
    )


def _never(run: PodRun, container: str, why: str, grace: float | None) -> None:
    """Such a program is watched, and started again when it dies; nothing kills it here."""
    log.warning("pod %s: container %s %s; it is left alone", run.key, container, why)
    del grace
