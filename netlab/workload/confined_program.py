"""A program of the machine's, as dnsmasq, that a lab runs in a namespace.

Strangers talk to it, so it has no rights, and sees of the machine only itself and what it is to
read. A file beside its log says which process it is, so that the next controller finds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from netlab.errors import CommandFailed
from netlab.kernel import files, process
from netlab.kernel import netns as namespaces
from netlab.kernel.confine import Confinement, view_of
from netlab.kernel.run import find
from netlab.tasks import in_thread
from netlab.workload.program import Program, ended
from netlab.workload.published import Published

SCRATCH = "size=64m,nr_inodes=4k"
"""How much a program may have that nobody else sees."""

LARGEST_FILE = 64 << 20
"""Bytes of any file that it writes: of its log, above all, which others begin anew long before."""

_READY_SECONDS = 5.0
_CHECK_SECONDS = 10.0
# A reload reads every file again, so many at once are made one.
_RELOAD_SECONDS = 0.05


class ConfinedProgram(Program):
    """The program that `arguments` describe; its log and its identity lie in `directory`.

    It runs as `uid`, and sees of files only what it is to `read` and may `write`: directories,
    which are made for it; and its log, if it `opens_log` by itself. `scratch` is a directory
    that it alone sees, bounded, empty when it begins. It goes by the files of `config`, if it has
    them from us: put into force by `configure`, all together.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        directory: Path,
        owner: str,
        uid: int,
        read: Sequence[Path] = (),
        write: Sequence[Path] = (),
        config: Published | None = None,
        *,
        opens_log: bool = False,
        scratch: Path | None = None,
    ) -> None:
        stem = Path(arguments[0]).name
        super().__init__(name, directory / f"{stem}.log")
        self._arguments = list(arguments)
        self._uid = uid
        self._read = (*read, *([config.directory] if config else []))
        self._write = tuple(write)
        self._config = config
        self._opens_log = opens_log
        self._scratch = scratch
        self._directory = directory
        self._owner = owner
        self._identity = directory / f"{stem}.json"
        self._netns: int | Path | None = None
        self.groups: Callable[[], Sequence[Path]] = tuple
        """Into which control groups it is put, by their `cgroup.procs`."""
        self.is_adopted = False
        """Whether the one that runs was there when we came."""
        self.reload_signal = signal.SIGHUP
        self._reload_wanted = False
        self._reload_timer: asyncio.TimerHandle | None = None

    def entered(self) -> contextlib.AbstractContextManager[None]:
        """The namespace that it runs in: for `asked`."""
        return namespaces.entered(self._netns)

    def check(self, config: Path) -> Sequence[str]:  # noqa: ARG002 - for those that have one
        """The command that tells whether the files in a directory would do; none by default."""
        return ()

    async def start(self, netns: int | Path) -> None:
        """Adopt the one already running in this namespace, or start one, and wait for answers.

        A descriptor must stay open until `stop` or `detach`.
        """
        self._netns = netns
        await self.keep()

    async def stop(self) -> None:
        """End it, or what a former controller left of it. Idempotent."""
        await self.detach()
        await in_thread(self._end_stale)
        self._pid = None

    async def detach(self) -> None:
        """Watch it no longer and leave it running. Idempotent."""
        if self._reload_timer is not None:
            self._reload_timer.cancel()
            self._reload_timer = None
        await super().detach()

    # -- its files -------------------------------------------------------------------------

    async def configure(self, wanted: Mapping[str, str], netns: int | Path | None = None) -> None:
        """Have it go by these files, by their names, and no others of its config.

        What its `check` refuses is never in force: `CommandFailed` has its words, and it goes on as
        it did. While it does not run it is checked in `netns`; without one, starting it tells.
        """
        if self._config is None:
            raise TypeError(f"{self.name} has no config")
        if wanted == self._config.files():
            return
        prepared = await self._examined(self._config, wanted, netns)
        self._config.publish(prepared)
        self.reload()

    async def examine(self, wanted: Mapping[str, str], netns: int | Path | None = None) -> None:
        """Whether `configure` would take these files, which changes nothing: `CommandFailed`."""
        if self._config is not None:
            self._config.discard(await self._examined(self._config, wanted, netns))

    async def _examined(
        self, config: Published, wanted: Mapping[str, str], netns: int | Path | None
    ) -> Path:
        prepared = config.prepare(wanted)
        try:
            place = self._netns if self.is_up else netns
            if place is not None and (command := self.check(prepared)):
                await self._checked(command, place)
        except BaseException:
            config.discard(prepared)
            raise
        return prepared

    async def _checked(self, command: Sequence[str], netns: int | Path) -> None:
        """Run a command as it itself is run: it sees and may do the same."""
        self._make_places()
        log = self._directory / f"{self._identity.stem}.check"
        log.unlink(missing_ok=True)
        child = await self._spawned(command, netns, log)
        try:
            with contextlib.suppress(ProcessLookupError):  # it has been collected already
                async with asyncio.timeout(_CHECK_SECONDS):
                    await ended(os.pidfd_open(child.pid))
            code = child.wait()
        except TimeoutError:
            await asyncio.to_thread(child.end, 0.2)
            code = -int(signal.SIGTERM)
        if code != 0:
            raise CommandFailed(command, code, log.read_text(errors="replace"))

    def reload(self) -> None:
        """Make it read all its files again, soon."""
        self._reload_wanted = True
        if self.is_up and self._reload_timer is None:
            self._reload_now()

    @property
    def is_to_reload(self) -> bool:
        """Whether it is about to be told to read its files again."""
        return self._reload_wanted

    def is_reloading(self) -> bool:
        """Whether it is still about what it was told before; it is not told again meanwhile."""
        return False

    def send_reload(self, pidfd: int) -> None:
        """Tell it to read its files again."""
        signal.pidfd_send_signal(pidfd, self.reload_signal)

    async def ensure(self) -> None:
        """See `Program`."""
        await super().ensure()
        # It may have read its files before the last change, and was not yet able to be told.
        self._reload_now()

    def _reload_now(self) -> None:
        self._reload_timer = None
        if not (self._reload_wanted and self.is_up and self._pidfd is not None):
            return
        if not self.is_reloading():
            self._reload_wanted = False
            with contextlib.suppress(ProcessLookupError):
                self.send_reload(self._pidfd)
        loop = asyncio.get_running_loop()
        self._reload_timer = loop.call_later(_RELOAD_SECONDS, self._reload_now)

    # -- its life --------------------------------------------------------------------------

    async def begin(self) -> None:
        """See `Program`."""
        self._make_places()
        self.is_adopted = self._adopt()
        if not self.is_adopted:
            await in_thread(self._end_stale)
            await self._spawn()

    async def clear(self) -> None:
        """See `Program`: of nginx, its workers would answer on."""
        await super().clear()
        await in_thread(self._end_stale)

    def _make_places(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        for path in self._write:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chown(path, self._uid, self._uid)
        if self._opens_log:
            os.close(files.opened(self.log, os.O_WRONLY))
            os.chown(self.log, self._uid, self._uid)

    async def _spawn(self) -> None:
        self._reload_wanted = False  # it begins with the files as they are
        log_start = self.log.stat().st_size if self.log.exists() else 0
        child = await self._spawned(self._arguments, self._netns, self.log)
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

    async def _spawned(
        self, command: Sequence[str], netns: int | Path | None, log: Path
    ) -> process.Process:
        """Start it from a thread, as to fork all that we are takes its time. Who is cancelled
        meanwhile leaves nothing that runs."""
        confinement, spawned = self._confinement(), list[process.Process]()

        def spawn() -> None:
            child = process.spawn(
                command, owner=self._owner, netns=netns, log=log, env={}, confinement=confinement
            )
            spawned.append(child)

        try:
            await in_thread(spawn)
        except asyncio.CancelledError:
            for child in spawned:
                await in_thread(child.end, 0.0)
            raise
        return spawned[0]

    def _confinement(self) -> Confinement:
        # Many close the descriptors listed there, or, without the list, all there could be.
        listed = Path("/proc/self/fd")
        write = [*self._write, self.log] if self._opens_log else self._write
        view = view_of(find(self._arguments[0]), self._read, write, empty=[listed])
        view = replace(view, scratch=self._scratch, bounds=SCRATCH)
        return Confinement(self._uid, view, tuple(self.groups()), LARGEST_FILE)

    async def _answering(self, child: process.Process) -> None:
        """Ask until it answers."""
        while child.poll() is None:
            with contextlib.suppress(OSError):  # refused: not listening yet
                await self.asked()
                return
            await asyncio.sleep(0.002)
        raise ChildProcessError

    # -- finding it again ------------------------------------------------------------------

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
        self.hold(pid)

    @property
    def _sort(self) -> dict[str, object]:
        """What one that runs must be like to be ours."""
        return {
            "arguments": self._arguments,
            "uid": self._uid,
            "read": [str(path) for path in self._read],
            "write": [str(path) for path in self._write],
            "scratch": str(self._scratch or ""),
        }

    def _adopt(self) -> bool:
        """Take over the one that was left running, if it is just what we would start."""
        identity = self._running()
        if identity is None or any(identity.get(key) != self._sort[key] for key in self._sort):
            return False
        with self.entered():
            here = _namespace("thread-self")
        if identity["netns"] != here:
            return False
        self.hold(int(str(identity["pid"])))
        return True

    def _end_stale(self) -> None:
        identity = self._known()
        if identity is not None:
            pid = int(str(identity["pid"]))
            if self._runs(identity):
                process.end([pid], 0.5)
            process.end(_left_by(pid, identity.get("netns")), 0.0)
        self._identity.unlink(missing_ok=True)

    def _running(self) -> dict[str, object] | None:
        """The identity on file, if that very process still runs."""
        identity = self._known()
        return identity if identity is not None and self._runs(identity) else None

    def _known(self) -> dict[str, object] | None:
        try:
            identity: dict[str, object] = json.loads(self._identity.read_text())
            int(str(identity["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return identity

    def _runs(self, identity: Mapping[str, object]) -> bool:
        try:
            return _started(int(str(identity["pid"]))) == identity.get("started")
        except OSError:
            return False


def _started(pid: int) -> int:
    """When a process started, in clock ticks since boot; its id and this are never reused both."""
    text = files.text(f"/proc/{pid}/stat")
    fields = text.rpartition(")")[2].split()
    if fields[0] == "Z":
        raise ProcessLookupError(pid)
    return int(fields[19])


def _namespace(pid: int | str) -> int:
    return Path(f"/proc/{pid}/ns/net").stat().st_ino


def _left_by(pid: int, netns: object) -> list[int]:
    """What a program had started and what outlived it: of nginx, those that hold its ports."""
    with contextlib.suppress(OSError):  # gone, or yet to be collected by whoever adopted it
        _started(pid)
        return []  # somebody else's id by now, so nothing is left
    return [
        each
        for each in process.session(pid)
        if process.is_confined(each) and _namespace(each) == netns
    ]
