"""Containers that are commands: started in their sandbox, watched, restarted as their pod asks."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from netlab.agents.lifecycle import KILLED, Lifecycle, grace_period, restarts
from netlab.agents.pod_files import Places
from netlab.agents.podrun import PodRun, container_log
from netlab.agents.runtime_keeper import RuntimeKeeper
from netlab.errors import NetlabError, in_words, is_foreseen
from netlab.objects import meta
from netlab.objects.times import timestamp
from netlab.objects.types import Pod
from netlab.tasks import Background, cancel
from netlab.workload.calls import Gone
from netlab.workload.documents import WAITS, succeeding
from netlab.workload.sandbox import Command, Ended, Sandboxes, SandboxProcess

log = logging.getLogger(__name__)

NO_START = 128
"""The exit code that a runtime gives a container which could not be started."""

START_RETRY = 5.0
"""Seconds before a container is tried again whose sandbox could not be made."""


FIRST_WORDS = 5.0
"""Seconds within which what says that it has begun should have."""

STILLBORN = 0.03
"""Seconds within which a command that ends has not run at all, as far as readiness goes."""


class PodProcesses:
    """All containers of the lab that are commands."""

    def __init__(
        self, sandboxes: Sandboxes, keeper: RuntimeKeeper, places: Places, lifecycle: Lifecycle
    ) -> None:
        self._sandboxes = sandboxes
        self._keeper = keeper
        self._places = places
        self._lifecycle = lifecycle
        self._tasks: dict[str, list[asyncio.Task[Ended | None]]] = {}
        self._kills = Background()
        self._known: dict[tuple[str, str], SandboxProcess] = {}

    async def adopt(self) -> frozenset[str]:
        """Learn what a former controller started; `start` takes it over. The pods' uids."""
        self._known = await self._sandboxes.processes()
        return frozenset(uid for uid, _ in self._known)

    def is_adoptable(self, run: PodRun, container: str) -> bool:
        """Whether a former controller left this container, and it is as the pod wants it."""
        return (run.uid, container) in self._known and not run.renewed

    def runs(self, run: PodRun, container: str) -> bool:
        """Whether what a former controller left had not ended when it was found."""
        return self._known[run.uid, container].ended is None

    async def detach(self) -> None:
        """Watch no longer; the processes go on."""
        await cancel(*(task for tasks in self._tasks.values() for task in tasks))
        await self._kills.stop_all()

    def start(
        self,
        run: PodRun,
        container: str,
        command: Callable[[], Command],
        running: SandboxProcess | None = None,
    ) -> asyncio.Task[Ended | None]:
        """Start, or adopt (if it is `running`, that), a container's command and keep it as the
        restart policy says.

        `command` makes it anew for each start, with the environment of that moment.
        The task ends when the container will not run again; its result is how it ended.
        """
        work = self._live(run, container, command, running)
        task = asyncio.create_task(work, name=f"{run.key} {container}")
        self._tasks.setdefault(run.uid, []).append(task)
        return task

    async def succeed(
        self,
        run: PodRun,
        container: str,
        first: Command,
        command: Callable[[], Command],
        leave: Callable[[], Awaitable[None]],
    ) -> None:
        """Let a process go on with what a container that runs has done so far, without one.

        Who did so is asked to `leave` its ports as soon as the process, which `first` starts,
        has them, too, or waits for them. `NetlabError` if that does not come so far; then nothing
        has changed.
        """
        await self._adopted(run, container)  # of a namespace that is gone
        log = container_log(run, container)
        said = log.stat().st_size if log.exists() else 0
        process = await self._run(run, container, replace(first, argv=succeeding(first.argv)))
        if not await process.first_words(FIRST_WORDS, said):
            await _killed(process, 0)
            raise NetlabError(f"container {container} does not begin as a process")
        size = log.stat().st_size
        await leave()
        if WAITS.encode() in log.read_bytes()[said:size]:
            await process.first_words(FIRST_WORDS, size)
        if not run.stopping:
            run.processes[container] = process
            run.entered.add(container)
            self.start(run, container, command, process)

    def kill(self, run: PodRun, container: str, why: str, grace: float | None) -> None:
        """End a container's process; its life goes on as the restart policy says."""
        work = self._kill(run, container, why, grace_period(run) if grace is None else grace)
        self._kills.start(run.uid, work, f"kill {run.key} {container}")

    async def stop(self, run: PodRun, grace: float) -> None:
        """TERM all processes of a pod, KILL what is left after `grace` seconds; sidecars last.

        To be followed by `forget`, as soon as nothing else of the pod may go on either.
        """
        await cancel(*self._tasks.pop(run.uid, []))
        for name in run.names:
            if (known := self._known.pop((run.uid, name), None)) is not None:
                run.processes.setdefault(name, known)
        began = time.monotonic()
        beside = (*run.containers, *run.ephemeral)
        await asyncio.gather(*(self._end(run, name, grace) for name in beside))
        left = max(0.0, grace - (time.monotonic() - began))
        await asyncio.gather(*(self._end(run, name, left) for name in reversed(run.inits)))

    async def forget(self, uid: str, keep: Sequence[str] = ()) -> None:
        """Kill whatever is left of a pod, and let the runtime forget it, but for the volumes to
        `keep`: a machine without power has its disk."""
        await self._sandboxes.remove(uid, keep)

    # -- one container ---------------------------------------------------------------------

    async def _live(
        self,
        run: PodRun,
        container: str,
        command: Callable[[], Command],
        running: SandboxProcess | None,
    ) -> Ended | None:
        adopted = running or await self._adopted(run, container)
        while True:
            try:
                process = adopted or await self._start(run, container, command())
            except Exception as error:
                await self._refused(run, container, error)
                continue
            ended = await self._until_ended(run, container, process, adopted=adopted is not None)
            adopted = None
            if not restarts(run, container, ended.code):
                return ended
            await self._lifecycle.back_off(run, container, ended.finished - ended.started)
            run.state(container).restarts += 1

    async def _adopted(self, run: PodRun, container: str) -> SandboxProcess | None:
        """What a former controller started, unless it runs in a namespace that is gone."""
        process = self._known.pop((run.uid, container), None)
        if process is not None and run.renewed:
            await process.kill(0)
            return None
        return process

    async def _start(self, run: PodRun, container: str, command: Command) -> SandboxProcess:
        self._lifecycle.starting(run, container)
        self._lifecycle.events.created(run, container)
        process = await self._run(run, container, command)
        if command.announces:
            await process.first_words(FIRST_WORDS)
        return process

    async def _run(self, run: PodRun, container: str, command: Command) -> SandboxProcess:
        attempt = run.state(container).restarts

        async def started() -> SandboxProcess:
            place = await self._places.place(run)
            return await self._sandboxes.start(place, container, command, attempt=attempt)

        return await self._keeper.reached(started)

    async def _refused(self, run: PodRun, container: str, error: Exception) -> None:
        message, unforeseen = in_words(error), not is_foreseen(error)
        text = "pod %s: container %s: %s"
        log.error(text, run.key, container, message, exc_info=error if unforeseen else None)
        run.state(container).wait("RunContainerError", message)
        self._lifecycle.events.failed(run, message)
        run.changed()
        await asyncio.sleep(START_RETRY)

    async def _until_ended(
        self, run: PodRun, container: str, process: SandboxProcess, *, adopted: bool
    ) -> Ended:
        run.processes[container] = process
        since = run.state(container).started_at if container in run.entered and adopted else ""
        at = since or timestamp(process.started)
        ending = asyncio.ensure_future(_end_of(process))
        try:
            # What ends at once was never ready: or a rollout would go on to the next pod.
            await asyncio.wait({ending}, timeout=STILLBORN)
            if not ending.done():
                self._lifecycle.began(run, container, at, self.kill, adopted=adopted)
                if not adopted and not await self._lifecycle.post_start(run, container):
                    self.kill(run, container, "failed postStart hook", None)
            else:
                self._began_and_ended(run, container, at, ending.result(), adopted=adopted)
            ended = await ending
        finally:
            ending.cancel()
        run.processes.pop(container, None)
        code = NO_START if ended.reason == "StartError" else ended.code
        self._lifecycle.ended(
            run,
            container,
            timestamp(ended.finished),
            code,
            reason=ended.reason,
            message=ended.message or ended.termination,
        )
        return ended

    def _began_and_ended(
        self, run: PodRun, container: str, at: str, ended: Ended, *, adopted: bool
    ) -> None:
        """It was over before we saw it: a very short command, or one that never started."""
        self._lifecycle.began(run, container, at, self.kill, adopted=True)
        if ended.reason == "StartError" and not adopted:
            self._lifecycle.events.failed(run, ended.message)
        elif not adopted:
            self._lifecycle.events.started(run, container)

    async def _kill(self, run: PodRun, container: str, why: str, grace: float) -> None:
        process = run.processes.get(container)
        if process is None or run.stopping:
            return
        self._lifecycle.events.killing(run, container, why)
        left = await self._lifecycle.pre_stop(run, container, grace)
        await _killed(process, left)

    async def _end(self, run: PodRun, container: str, grace: float) -> None:
        process = run.processes.get(container)
        if process is not None and process.ended is None:
            await _killed(process, await self._lifecycle.pre_stop(run, container, grace))
        state, ended = run.state(container), process.ended if process is not None else None
        if ended is not None and state.running:
            state.end(timestamp(ended.finished), ended.code)
        self._lifecycle.quiet(run, container)
        run.processes.pop(container, None)


def on_disk(pod: Pod) -> list[str]:
    """The empty volumes of a pod that are not in its node's memory."""
    volumes = meta.spec(pod).get("volumes") or ()
    empty = [one for one in volumes if one.get("emptyDir") is not None]
    return [one["name"] for one in empty if not one["emptyDir"].get("medium")]


async def _end_of(process: SandboxProcess) -> Ended:
    """How it ended: with the runtime, if that was killed, for it is its parent."""
    try:
        return await process.wait()
    except Gone:
        number = int(signal.SIGKILL)
        return Ended(KILLED, number, "Error", "", process.started, time.time())


async def _killed(process: SandboxProcess, grace: float) -> None:
    try:
        await process.kill(grace)
    except Gone:
        log.info("container %s of %s ended with the runtime", process.container, process.uid)
    except NetlabError as error:
        log.info("container %s of %s: %s", process.container, process.uid, error)
