"""A program that a lab runs in a namespace: started or adopted, watched, started again if it dies.

It is a process of its own and outlives us. Strangers talk to it, so it has no rights, and sees of
the machine only itself and what it is to read. A file beside its log says which process it is, so
that the next controller finds it, and leaves it running if it does what would be started now.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from netlab.errors import CommandFailed, NetlabError
from netlab.kernel import netns as namespaces
from netlab.kernel import process
from netlab.kernel.confine import Confinement, view_of
from netlab.kernel.run import find
from netlab.retry import Retry

_READY_SECONDS = 5.0
_RETRY = Retry(0.05, 5.0)
# A reload reads every file again, so many at once are made one.
_RELOAD_SECONDS = 0.05


class Program(ABC):
    """The program that `arguments` describe; its log and its identity lie in `directory`.

    `name` is what these are called. It runs as `uid`, and sees of files only what it is to `read`.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        directory: Path,
        owner: str,
        uid: int,
        read: Sequence[Path] = (),
    ) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self.pid: int | None = None
        self._arguments = list(arguments)
        self._uid = uid
        self._read = tuple(read)
        self._directory = directory
        self._owner = owner
        self._identity = directory / f"{name}.json"
        self._netns: int | Path | None = None
        self._pidfd: int | None = None
        self._watch: asyncio.Task[None] | None = None
        self._ready = False
        self._reload_wanted = False
        self._reload_timer: asyncio.TimerHandle | None = None

    @abstractmethod
    async def asked(self) -> None:
        """Ask whether it is well, in its namespace (`entered`), and wait a while for the answer.

        `OSError` while nobody is there to answer, `TimeoutError` when none comes.
        """

    def entered(self) -> contextlib.AbstractContextManager[None]:
        """The namespace that it runs in."""
        return namespaces.entered(self._netns)

    async def start(self, netns: int | Path) -> None:
        """Adopt the one already running in this namespace, or start one, and wait for answers.

        A descriptor must stay open until `stop` or `detach`.
        """
        self._netns = netns
        self._directory.mkdir(parents=True, exist_ok=True)
        if not self._adopt():
            await asyncio.to_thread(self._end_stale)
            await self._spawn()
        self._watch = asyncio.get_running_loop().create_task(self._restart_forever())

    async def stop(self) -> None:
        """End it. Idempotent."""
        await self.detach()
        await asyncio.to_thread(self._end_stale)
        self.pid = None

    async def detach(self) -> None:
        """Watch it no longer and leave it running. Idempotent."""
        self._ready = False
        if self._reload_timer is not None:
            self._reload_timer.cancel()
            self._reload_timer = None
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        self._forget_descriptor()

    def reload(self) -> None:
        """Make it read all its files again, soon; needed for the servers file alone."""
        self._reload_wanted = True
        if self._ready and self._reload_timer is None:
            self._reload_now()

    def _reload_now(self) -> None:
        self._reload_timer = None
        if not (self._reload_wanted and self._ready and self._pidfd is not None):
            return
        self._reload_wanted = False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGHUP)
        loop = asyncio.get_running_loop()
        self._reload_timer = loop.call_later(_RELOAD_SECONDS, self._reload_now)

    async def _spawn(self) -> None:
        log_start = self.log.stat().st_size if self.log.exists() else 0
        child = process.spawn(
            self._arguments,
            owner=self._owner,
            netns=self._netns,
            log=self.log,
            env={},
            confinement=self._confinement(),
        )
        try:
            self._remember(child.pid)
        except OSError:  # the next controller would not find it
            child.end(0.2)
            raise
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await self._answering(child)
        except (TimeoutError, ChildProcessError):
            code = child.poll()
            child.end(0.2)
            said = self.log.read_bytes()[log_start:].decode(errors="replace")
            said = said if code is not None else f"no answer in {_READY_SECONDS:g} s\n{said}"
            raise CommandFailed(self._arguments, code or -15, said) from None
        self._became_ready()

    def _confinement(self) -> Confinement:
        # Many close the descriptors listed there, or, without the list, all there could be.
        listed = Path("/proc/self/fd")
        return Confinement(self._uid, view_of(find(self._arguments[0]), self._read, empty=[listed]))

    def _became_ready(self) -> None:
        self._ready = True
        # It may have read its files before the last change, and was not yet able to be told.
        self._reload_now()

    async def answers(self) -> None:
        """Return once it has answered a question, at once while it is being started.

        `OSError` when nobody is there to answer.
        """
        while self._ready:
            with contextlib.suppress(TimeoutError):
                await self.asked()
                break

    async def _answering(self, child: process.Process) -> None:
        """Ask until it answers."""
        while child.poll() is None:
            with contextlib.suppress(OSError):  # refused: not listening yet
                await self.asked()
                return
            await asyncio.sleep(0.002)
        raise ChildProcessError

    async def _restart_forever(self) -> None:
        """Wait for its end, however it comes, and start it again."""
        failures = 0
        while True:
            if self._pidfd is not None:
                await ended(os.dup(self._pidfd))
                self._ready = False
                self._forget_descriptor()
                process.reap()
                failures = 0
            try:
                await self._spawn()
            except (NetlabError, OSError) as error:
                self._forget_descriptor()
                failures += 1
                wait = _RETRY.after(error, failures)
                self._note(f"starting {self.name} again failed, next try in {wait:g} s: {error}")
                await asyncio.sleep(wait)

    def _note(self, text: str) -> None:
        with contextlib.suppress(OSError), self.log.open("a") as log:
            log.write(f"netlab: {text}\n")

    def _remember(self, pid: int) -> None:
        identity = {
            "pid": pid,
            "started": _started(pid),
            "netns": _namespace(pid),
            **self._sort,
        }
        temporary = self._identity.with_suffix(".new")
        temporary.write_text(json.dumps(identity))
        temporary.replace(self._identity)
        self.pid, self._pidfd = pid, os.pidfd_open(pid)

    @property
    def _sort(self) -> dict[str, object]:
        """What one that runs must be like to be ours."""
        return {"arguments": self._arguments, "uid": self._uid}

    def _forget_descriptor(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def _adopt(self) -> bool:
        """Take over the one that was left running, if it is just what we would start."""
        identity = self._running()
        if identity is None or any(identity.get(key) != self._sort[key] for key in self._sort):
            return False
        with self.entered():
            here = _namespace("thread-self")
        if identity["netns"] != here:
            return False
        pid = int(str(identity["pid"]))
        self.pid, self._pidfd = pid, os.pidfd_open(pid)
        self._became_ready()
        return True

    def _end_stale(self) -> None:
        identity = self._running()
        if identity is not None:
            process.end([int(str(identity["pid"]))], 0.5)
        self._identity.unlink(missing_ok=True)

    def _running(self) -> dict[str, object] | None:
        """The identity on file, if that very process still runs."""
        try:
            identity = json.loads(self._identity.read_text())
            alive = _started(identity["pid"]) == identity["started"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return identity if alive else None


def _started(pid: int) -> int:
    """When a process started, in clock ticks since boot; its id and this are never reused both."""
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text.rpartition(")")[2].split()
    if fields[0] == "Z":
        raise ProcessLookupError(pid)
    return int(fields[19])


def _namespace(pid: int | str) -> int:
    return Path(f"/proc/{pid}/ns/net").stat().st_ino


async def ended(pidfd: int) -> None:
    """Return once the process behind a descriptor, which is closed then, has ended."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    loop.add_reader(pidfd, end.set)
    try:
        await end.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
