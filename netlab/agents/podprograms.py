"""Containers that are programs of the machine's: the catalogue names which, a table has them.

The lab's DNS is one of them; what is one process a pod is a record (`PodProgram`), which
`OneInEachPod` runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from netlab.agents.changes import Changes
from netlab.agents.lifecycle import KILLED, Lifecycle, grace_period, restarts
from netlab.agents.podgroups import PodGroups
from netlab.agents.podrun import PodRun, container_log, known_status
from netlab.agents.probes.prober import Kill
from netlab.agents.vigil import Vigil
from netlab.errors import in_words, is_foreseen
from netlab.objects import meta
from netlab.objects.times import timestamp
from netlab.retry import Retry
from netlab.tasks import Background
from netlab.workload.crilog import LogWriter
from netlab.workload.pod_program import PodProgram, RunningPodProgram

log = logging.getLogger(__name__)

RETRY = Retry(1.0, 60.0)
"""Of a program that could not be started."""


class Exited(Exception):
    """A program ended right after its start, with `code`; the text is what it said last."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Life(Protocol):
    """Told by who runs a program as a container, of that one alone."""

    async def ended(self, code: int) -> None:
        """It has ended, with that exit code. Returns when it is to be started again; it may wait
        for ever."""

    def restarted(self) -> None:
        """It had ended, and answers again."""


class InPods(Protocol):
    """Runs one sort of program in pods; what runs already is adopted."""

    async def start(self, run: PodRun, container: str, life: Life) -> bool:
        """Have it run as that container; returns once it answers, True if it was adopted. Tell its
        `life` whenever it ends, and is started again. `Exited` if the image's program would not
        have stayed."""

    async def end(self, run: PodRun, container: str, grace: float) -> None:
        """End it within `grace` seconds, or by force, as if it had died."""

    async def stop(self, run: PodRun, container: str) -> None:
        """End it, or what a former controller left of it. Idempotent."""

    async def detach(self) -> None:
        """Watch no longer; everything goes on running."""


class PodPrograms:
    """All containers of the lab that are such programs, by a `table` of their names. One that
    cannot start is tried again later, or when something changes that it may read: its namespace's
    ConfigMaps, Secrets and Services."""

    def __init__(
        self,
        table: Mapping[str, InPods],
        lifecycle: Lifecycle,
        groups: PodGroups,
        changes: Changes,
    ) -> None:
        self._changes = changes
        self._table = table
        self._lifecycle = lifecycle
        self._groups = groups
        self._looked_for: set[tuple[str, str]] = set()
        self._ending = Background()

    def at_work(self) -> Iterator[str]:
        """As `Working` says: what a former controller had running may have ended with it."""
        if self._looked_for:
            yield "programs in pods are looked for"

    async def start(self, run: PodRun, container: str) -> None:
        """Have the container run; what keeps it from that is said, and tried again."""
        failures, program = 0, self._table[_name(run, container)]
        life = _ContainerLife(self._lifecycle, run, container, self._kill)
        space = meta.namespace(run.pod)
        while True:
            seen = self._changes.count(space)
            try:
                with self._looking(run, container):
                    life.began(adopted=await program.start(run, container, life))
                return
            except Exited as error:
                if not await self._exited(run, container, error):
                    return
            except Exception as error:
                failures += 1
                self._refused(run, container, error)
                await self._changes.after(space, seen, RETRY.after(error, failures))

    @contextlib.contextmanager
    def _looking(self, run: PodRun, container: str) -> Iterator[None]:
        if run.state(container).running:
            self._looked_for.add((run.uid, container))
        try:
            yield
        finally:
            self._looked_for.discard((run.uid, container))

    async def stop(self, run: PodRun) -> None:
        """End those of a pod."""
        await self._ending.stop(run.uid)
        for container in run.names:
            if name := _name(run, container):
                await self._table[name].stop(run, container)

    async def forget(self, run: PodRun) -> None:
        """All of a pod has ended: nothing that such programs have left of themselves goes on."""
        if any(_name(run, container) for container in run.names):
            await self._groups.remove(run.uid)

    async def detach(self) -> None:
        """Watch no longer; everything goes on running."""
        await self._ending.stop_all()
        for each in self._table.values():
            await each.detach()

    def _refused(self, run: PodRun, container: str, error: Exception) -> None:
        message, unforeseen = in_words(error), not is_foreseen(error)
        text = "pod %s: container %s: %s"
        log.error(text, run.key, container, message, exc_info=error if unforeseen else None)
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

    def _kill(self, run: PodRun, container: str, why: str, grace: float | None) -> None:
        """A probe has found it wanting: it ends, and its life goes on as its pod has it."""
        work = self._end(run, container, why, grace_period(run) if grace is None else grace)
        self._ending.start(run.uid, work, f"kill {run.key} {container}")

    async def _end(self, run: PodRun, container: str, why: str, grace: float) -> None:
        if run.stopping or not run.state(container).running:
            return
        self._lifecycle.events.killing(run, container, why)
        left = await self._lifecycle.pre_stop(run, container, grace)
        await self._table[_name(run, container)].end(run, container, left)


class _ContainerLife:
    """How it goes on with a program's container, as its pod's restart policy says."""

    def __init__(self, lifecycle: Lifecycle, run: PodRun, container: str, kill: Kill) -> None:
        self._lifecycle = lifecycle
        self._run, self._container = run, container
        self._kill = kill
        self._since = 0.0

    def began(self, *, adopted: bool) -> None:
        """It answers for the first time."""
        running = (known_status(self._run, self._container).get("state") or {}).get("running") or {}
        if adopted and running and not self._run.renewed:
            self._begin(running["startedAt"], adopted=True)
        else:
            self.restarted()

    async def ended(self, code: int) -> None:
        """See `Life`."""
        run, container, now = self._run, self._container, time.time()
        self._lifecycle.ended(run, container, timestamp(now), code)
        if not restarts(run, container, code):
            await asyncio.Event().wait()  # until the pod goes
        await self._lifecycle.back_off(run, container, now - self._since)
        run.state(container).restarts += 1

    def restarted(self) -> None:
        """See `Life`. One that nobody saw end was killed."""
        state = self._run.state(self._container)
        if state.running:
            self._lifecycle.ended(self._run, self._container, timestamp(time.time()), KILLED)
            state.remember()
            state.restarts += 1
        self._lifecycle.events.created(self._run, self._container)
        self._begin(timestamp(time.time()))

    def _begin(self, at: str, *, adopted: bool = False) -> None:
        self._since = time.time()
        self._lifecycle.began(self._run, self._container, at, self._kill, adopted=adopted)


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

    async def start(self, run: PodRun, container: str, life: Life) -> bool:
        """See `InPods`."""
        return await self._it().start(run, container, life)

    async def end(self, run: PodRun, container: str, grace: float) -> None:
        """See `InPods`."""
        await self._it().end(run, container, grace)

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
        self._lives: dict[tuple[str, str], Life] = {}

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
        self._lives[key].restarted()

    async def start(self, run: PodRun, container: str, life: Life) -> bool:
        """See `InPods`."""
        self._lives[run.uid, container] = life
        program = self.of(run, container)
        program.before_restart = life.ended
        await program.start(run.netns)
        self._vigil.watch(program)
        return program.is_adopted

    async def end(self, run: PodRun, container: str, grace: float) -> None:
        """See `InPods`."""
        await self.of(run, container).end(grace)

    async def stop(self, run: PodRun, container: str) -> None:
        """See `InPods`."""
        program = self.of(run, container)
        del self._programs[run.uid, container]
        self._lives.pop((run.uid, container), None)
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
    return run.behaviour_of(container).program


def _never(run: PodRun, container: str, why: str, grace: float | None) -> None:
    """Such a program is watched, and started again when it dies; nothing kills it here."""
    log.warning("pod %s: container %s %s; it is left alone", run.key, container, why)
    del grace
