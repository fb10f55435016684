"""Containers that are real processes, kept by the runtime because it outlives the controller.

It is their parent: it has their exit codes, their terminals, and writes what they say into their
log files.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from netlab.errors import NetlabError
from netlab.kernel.process import ignores_term
from netlab.workload.bounding import Bounding
from netlab.workload.bundle import Bundles, bytes_used
from netlab.workload.control import Json
from netlab.workload.crilog import LogWriter, Stream
from netlab.workload.crun import NOT_STARTED, Crun
from netlab.workload.last_words import LastWords
from netlab.workload.reaper import Child
from netlab.workload.running_process import DRAIN_SECONDS, Executed, RunningProcess, Sink
from netlab.workload.strays import PAUSE, end_strays

_PIECE = 16 * 1024  # of containers' output: what is done for one before others have their turn
_COMING_SECONDS = 60.0  # within which `kubectl run -it` attaches to what it has had started


class Processes:
    """All container processes of the lab, running or ended, by pod uid and container name."""

    def __init__(self, crun: Crun, bundles: Bundles, bounding: Bounding) -> None:
        self._crun = crun
        self._bundles = bundles
        self._bounding = bounding
        self._all: dict[tuple[str, str], ContainerProcess] = {}
        self._numbers = 0
        self._turn = asyncio.Lock()
        self._sharing: dict[str, asyncio.Lock] = {}

    async def run(self, request: Json) -> Json:
        """Start one; returns its state once the command runs, or why it does not."""
        key = (request["uid"], request["container"])
        former = self._all.get(key)
        if former is not None and not former.has_ended:
            raise NetlabError(f"container {key[1]} of {key[0]} already runs")
        self._numbers += 1
        log = self._bundles.inside(request["log"])
        process = self._all[key] = ContainerProcess(request, f"c{self._numbers}", log, self._turn)
        target = request["target"]  # "" is nobody, though one is called so (`sandbox.IDLE`)
        shares = target == PAUSE
        try:
            self._bounding.bound(key[0], request["bounds"])
            async with self._sharing_of(key[0]) if shares else contextlib.nullcontext():
                if shares:
                    process.leaves_to(partial(self._sweep, key[0]))
                process.sees(self._all.get((key[0], target)) if target else None)
                await process.start(self._crun, self._bundles, self._bounding)
        except BaseException:
            del self._all[key]
            raise
        return process.state()

    def _sharing_of(self, uid: str) -> asyncio.Lock:
        return self._sharing.setdefault(uid, asyncio.Lock())

    async def _sweep(self, uid: str) -> None:
        """A container of a pod that shares its processes has ended: so does what it left behind."""
        async with self._sharing_of(uid):
            pause = self._all.get((uid, PAUSE))
            if pause is not None and pause.pid is not None:
                await end_strays(pause.pid, partial(self._first_processes, uid))

    def _first_processes(self, uid: str) -> list[int]:
        own = [process for (of, _), process in self._all.items() if of == uid]
        return [process.pid for process in own if process.pid is not None]

    async def execute(self, request: Json) -> Executed:
        """Start a command beside a container's own process."""
        container = self.find(request)
        if container.has_ended:
            raise NetlabError(f"container {request['container']} is not running")
        executed = Executed(request)
        process = self._bundles.granted(request["process"])
        if request["inherits"]:
            process = {**process, "env": container.environment(tty=process["terminal"])}
        process = self._bounding.limited(request["uid"], process)
        groups = self._bounding.places(request["uid"])
        stdin = request["stdin"]
        await executed.begin(
            self._crun.execute(container.name, process, stdin=stdin, groups=groups)
        )
        return executed

    def find(self, request: Json) -> ContainerProcess:
        """The process a request names."""
        key = (request["uid"], request["container"])
        try:
            return self._all[key]
        except KeyError:
            raise NetlabError(f"container {key[1]} of {key[0]} was not started") from None

    def states(self) -> list[Json]:
        """What `state()` says of each."""
        return [process.state() for process in self._all.values()]

    def usage(self, uids: Sequence[str]) -> Json:
        """Bytes that pods keep in their containers' roots and their empty volumes, by uid."""
        wanted = set(uids)
        found: Json = {
            uid: {"containers": {}, "volumes": self._bundles.volumes_used(uid)} for uid in wanted
        }
        for (uid, name), process in self._all.items():
            if uid in wanted and (used := process.used()) is not None:
                found[uid]["containers"][name] = used
        return found

    async def remove(self, uid: str, keep: Collection[str] = ()) -> None:
        """Kill and forget everything of a pod, but the volumes to `keep`, by their names."""
        keys = [key for key in self._all if key[0] == uid]
        await asyncio.gather(*(self._all[key].kill(0) for key in keys))
        self._sharing.pop(uid, None)
        for key in keys:
            self._all.pop(key, None)
        try:
            self._bundles.forget(uid, keep)
        finally:
            self._bounding.forget(uid)


class ContainerProcess(RunningProcess):
    """One container's command, from its start until it is forgotten; `name` is crun's for it.

    Its output is read whether anybody is attached or not; `kubectl run -it` comes too late. All
    containers share one `turn`, so that however many flood their logs, there is time for the rest.
    """

    def __init__(self, request: Json, name: str, log: Path, turn: asyncio.Lock) -> None:
        super().__init__(request)
        self._turn = turn
        self._wanted.set()
        self.name = name
        self._log = LogWriter(log)
        self._writing = 0
        self._crun: Crun | None = None
        self._bounding: Bounding | None = None
        self._oom_kills = 0
        self._oom_killed = False
        self._last_words: LastWords | None = None
        self._termination = ""
        self._watchers: set[Callable[[], None]] = set()
        self._was_attached = False
        self._sweep: Callable[[], Awaitable[None]] | None = None

    def state(self) -> Json:
        """The process as a controller sees it; `init` is the id of its first process, from here."""
        own = {key: self._request[key] for key in ("uid", "container", "log")}
        own |= {"tty": self._request["process"]["terminal"], "oom_killed": self._oom_killed}
        own |= {"termination": self._termination}
        return {**own, **super().state()}

    def used(self) -> int | None:
        """Bytes that its root holds; None if it has none any more."""
        if self._child is None or self._child.has_ended:
            return None
        with contextlib.suppress(OSError):
            return bytes_used(f"/proc/{self._child.pid}/root")
        return None

    def environment(self, *, tty: bool) -> list[str]:
        """What a command beside it has, as `NAME=value`; one with a terminal knows its kind."""
        own: list[str] = self._request["process"]["env"]
        if tty and not any(each.startswith("TERM=") for each in own):
            return [*own, "TERM=xterm"]
        return own

    def sees(self, target: ContainerProcess | None) -> None:
        """Its processes are to be those of a container that runs, if there is such a one.

        `NetlabError` if those of the whole pod should be there and are not.
        """
        if target is not None and target is not self and (pid := target.pid) is not None:
            self._request = {**self._request, "pids": f"/proc/{pid}/ns/pid"}
        elif self._request["target"] == PAUSE:
            raise NetlabError("the process that comes first in the pod has ended")

    def leaves_to(self, sweep: Callable[[], Awaitable[None]]) -> None:
        """Have what it leaves behind ended, as soon as it has ended itself."""
        self._sweep = sweep

    @property
    def pid(self) -> int | None:
        """Its first process, while that runs."""
        if self._child is None or self._child.has_ended:
            return None
        return self._child.pid

    async def start(self, crun: Crun, bundles: Bundles, bounding: Bounding) -> None:
        """Start it; returns once the command itself runs or has failed to."""
        self._crun, self._bounding = crun, bounding
        uid = self._request["uid"]
        self._oom_kills = bounding.oom_kills(uid)
        process = bounding.limited(uid, bundles.granted(self._request["process"]))
        try:
            with bundles.prepared({**self._request, "process": process}) as made:
                self._last_words = LastWords(made.message) if made.message else None
                stdin, groups = self._request["stdin"], bounding.places(uid)
                await self.begin(
                    crun.run(self.name, made.directory, made.config, stdin=stdin, groups=groups)
                )
        except BaseException:
            if self._child is not None:
                self._child.send(signal.SIGKILL)  # nobody will know of it
            self._over(NOT_STARTED)
            raise

    async def _spread(self, stream: Stream, data: bytes) -> None:
        self._writing += 1
        try:
            for at in range(0, len(data), _PIECE):
                async with self._turn:
                    if self._log.write(stream, data[at : at + _PIECE]):
                        self._tell_watchers()
                    await asyncio.sleep(0)  # whatever else there is to do comes first
        finally:
            self._writing -= 1
        await super()._spread(stream, data)

    async def _drain(self) -> None:
        """What waits for its turn at the log is waited for, however many others there are."""
        while (await asyncio.wait(self._pumps, timeout=DRAIN_SECONDS))[1]:
            if not self._writing:
                return

    def _keep(self, stream: Stream, data: bytes) -> None:
        if not (self._was_attached or self._is_old()):
            super()._keep(stream, data)

    async def attach(self, sink: Sink) -> None:
        """Give all output to `sink` from now on; to the first, what came before he could, too."""
        if not self.has_ended and self._is_old():
            self._unseen.clear()
            self._unseen_size = 0
        self._was_attached = True
        await super().attach(sink)

    def _is_old(self) -> bool:
        return bool(self.started) and time.time() > self.started + _COMING_SECONDS

    def _over(self, returncode: int) -> None:
        super()._over(returncode)
        self._tell_watchers()

    def _let_go(self, returncode: int) -> None:
        super()._let_go(returncode)
        self._log.close()
        if self._last_words is not None:
            self._termination, self._last_words = self._last_words.heard(), None
        if returncode == -signal.SIGKILL and self._bounding is not None:
            self._oom_killed = self._bounding.oom_kills(self._request["uid"]) > self._oom_kills

    async def _until_ended(self, child: Child) -> None:
        if self._sweep is not None:
            await child.wait()
            await self._sweep()
        await super()._until_ended(child)
        if self._crun is not None:
            await self._crun.forget(self.name)

    def _tell_watchers(self) -> None:
        for watcher in tuple(self._watchers):
            watcher()

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` whenever the log grew, and at the end; returns what stops that."""
        self._watchers.add(watcher)
        return lambda: self._watchers.discard(watcher)

    async def kill(self, grace: float = 0) -> Json:
        """TERM to the first process, KILL after `grace` seconds; returns the state after the end.

        A first process without a handler for it never gets the TERM: so it is in containers. There
        the grace period passes in vain (30 s for a `sleep`); here it is spared. One that is being
        started is killed once it has.
        """
        await self._begun.wait()
        if self._child is not None:
            if grace > 0 and not ignores_term(self._child.pid):
                self._child.send(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(grace):
                        await self._ended.wait()
            self._child.send(signal.SIGKILL)
        return await self.wait()

    @property
    def ends_with_input(self) -> bool:
        """As its `stdinOnce` says: without, others may attach to it after him."""
        return bool(self._request["stdin_once"])

    async def detach(self, sink: Sink) -> None:
        """The last one to go ends the input, if the container wants that."""
        await super().detach(sink)
        if not self._sinks and self.ends_with_input:
            await self.close_stdin()
