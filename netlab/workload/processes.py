"""Containers that are real processes, kept by the responder because it outlives the controller.

It is their parent: it has their exit codes, their terminals, and writes what they say into their
log files. Everything here is generic; `sandbox` decides what command that is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from netlab.errors import NetlabError
from netlab.kernel.process import OWNER_VARIABLE, ignores_term
from netlab.workload.child import Child, Ends, Input, Output
from netlab.workload.crilog import LogWriter, Stream
from netlab.workload.served import Json

UNSEEN_LIMIT = 64 * 1024
_START_SECONDS = 30.0
_DRAIN_SECONDS = 10.0  # all writers are dead by then: only a reader that dawdles is waited for

Sink = Callable[[Stream, bytes], Awaitable[None]]


class Processes:
    """All container processes of the lab, running or ended, by pod uid and container name."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, str], ContainerProcess] = {}

    async def run(self, request: Json) -> Json:
        """Start one; returns its state once the command runs, or why it does not."""
        key = (request["uid"], request["container"])
        former = self._all.get(key)
        if former is not None and not former.has_ended:
            raise NetlabError(f"container {key[1]} of {key[0]} already runs")
        process = self._all[key] = ContainerProcess(request)
        try:
            await process.start()
        except BaseException:
            del self._all[key]
            raise
        return process.state()

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

    async def remove(self, uid: str) -> None:
        """Kill and forget everything of a pod."""
        keys = [key for key in self._all if key[0] == uid]
        await asyncio.gather(*(self._all[key].kill(0) for key in keys))
        for key in keys:
            self._all.pop(key, None)


class ContainerProcess:
    """One container's command, from its start until it is forgotten."""

    def __init__(self, request: Json) -> None:
        self._request = request
        self._log = LogWriter(Path(request["log"]))
        self._child: Child | None = None
        self._stdin: Input | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._ended = asyncio.Event()
        self._sinks: set[Sink] = set()
        self._watchers: set[Callable[[], None]] = set()
        self._unseen: list[tuple[Stream, bytes]] = []
        self._unseen_size = 0
        self._finish: asyncio.Task[None] | None = None
        self.started = self.finished = 0.0
        self.returncode: int | None = None
        self.message = ""

    @property
    def has_ended(self) -> bool:
        """True once the process is gone and all its output written."""
        return self._ended.is_set()

    def state(self) -> Json:
        """The process as a controller sees it; `init` is the id of its first process, from here."""
        return {
            "uid": self._request["uid"],
            "container": self._request["container"],
            "init": self._child.pid if self._child is not None else 0,
            "log": self._request["log"],
            "tty": self._request["tty"],
            "started": self.started,
            "finished": self.finished,
            "returncode": self.returncode,
            "message": self.message,
        }

    async def start(self) -> None:
        """Start it and wait until the command itself runs or has failed to."""
        self.started = time.time()
        hearing, saying = os.pipe()
        try:
            await self._spawn(saying)
        except BaseException:
            os.close(hearing)
            self._log.close()
            raise
        finally:
            os.close(saying)
        answer = await _said(hearing)
        if answer != "ready":
            self.message = answer or "the sandbox could not be made"
            await self._ended.wait()

    async def _spawn(self, saying: int) -> None:
        ends = Ends(tty=self._request["tty"], stdin=self._request["stdin"])
        try:
            self._child = Child(
                self._request["argv"],
                {**self._request["env"], OWNER_VARIABLE: os.environ.get(OWNER_VARIABLE, "")},
                stdin=ends.stdin,
                stdout=ends.stdout,
                stderr=ends.stderr,
                third=saying,
                netns=Path(self._request["netns"]),
            )
        except BaseException:
            ends.discard()
            raise
        finally:
            ends.close()
        self._finish = asyncio.create_task(self._until_ended())
        names: tuple[Stream, Stream] = ("stdout", "stderr")
        for stream, descriptor in zip(names, ends.outputs, strict=False):
            output = await Output.of(descriptor)
            self._pumps.append(asyncio.create_task(self._pump(stream, output)))
        if ends.input is not None:
            self._stdin = await Input.of(ends.input, tty=self._request["tty"])

    async def _pump(self, stream: Stream, output: Output) -> None:
        try:
            while data := await output.read():
                await self._spread(stream, data)
        finally:
            output.close()

    async def _spread(self, stream: Stream, data: bytes) -> None:
        if self._log.write(stream, data):
            self._tell_watchers()
        if not self._sinks:
            self._keep(stream, data)
        for sink in tuple(self._sinks):
            await sink(stream, data)

    def _keep(self, stream: Stream, data: bytes) -> None:
        """Hold what nobody sees yet, for who attaches first: `kubectl run -it` comes too late."""
        self._unseen.append((stream, data))
        self._unseen_size += len(data)
        while self._unseen_size > UNSEEN_LIMIT and len(self._unseen) > 1:
            self._unseen_size -= len(self._unseen.pop(0)[1])

    async def _until_ended(self) -> None:
        assert self._child is not None
        returncode = await self._child.wait()
        if self._pumps:
            await asyncio.wait(self._pumps, timeout=_DRAIN_SECONDS)
        for pump in self._pumps:
            pump.cancel()
        self._log.close()
        self.returncode, self.finished = returncode, time.time()
        if self._stdin is not None:
            self._stdin.abort()
        self._ended.set()
        self._tell_watchers()

    def _tell_watchers(self) -> None:
        for watcher in tuple(self._watchers):
            watcher()

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` whenever the log grew, and at the end; returns what stops that."""
        self._watchers.add(watcher)
        return lambda: self._watchers.discard(watcher)

    async def wait(self) -> Json:
        """The state after the end."""
        await self._ended.wait()
        return self.state()

    async def kill(self, grace: float) -> Json:
        """TERM to the first process, KILL after `grace` seconds; returns the state after the end.

        A first process without a handler for it never gets the TERM: so it is in containers. There
        the grace period passes in vain (30 s for a `sleep`); here it is spared.
        """
        assert self._child is not None
        if grace > 0 and not ignores_term(self._child.pid):
            self._child.send(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), grace)
        self._child.send(signal.SIGKILL)
        return await self.wait()

    # -- attaching -------------------------------------------------------------------------

    async def attach(self, sink: Sink) -> None:
        """Give all output to `sink` (awaited), first what nobody saw."""
        while self._unseen:
            unseen, self._unseen, self._unseen_size = self._unseen, [], 0
            for stream, data in unseen:
                await sink(stream, data)
        self._sinks.add(sink)

    async def detach(self, sink: Sink) -> None:
        """The end of `attach`; the last one to go ends the input, if the container wants that."""
        self._sinks.discard(sink)
        if not self._sinks and self._request["stdin_once"]:
            await self.close_stdin()

    async def write(self, data: bytes) -> None:
        """Input for the process, waiting while it does not read; dropped when it takes none."""
        if self._stdin is not None:
            await self._stdin.write(data)

    async def close_stdin(self) -> None:
        """The input's end: on a terminal that is Ctrl-D."""
        if self._stdin is not None:
            await self._stdin.end()

    def resize(self, columns: int, rows: int) -> None:
        """The terminal's size, if there is one."""
        if self._stdin is not None:
            self._stdin.resize(columns, rows)


async def _said(descriptor: int) -> str:
    output = await Output.of(descriptor)
    try:
        return (await asyncio.wait_for(output.read(), _START_SECONDS)).decode().strip()
    except TimeoutError:
        return f"no answer from the sandbox in {_START_SECONDS:g} s"
    finally:
        output.close()
