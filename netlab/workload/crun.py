"""crun(1), which makes containers of what was prepared for them, and starts commands in them.

It joins and makes the namespaces, changes the root, masks /proc, drops capabilities and installs
the filter of system calls. It is run detached: it ends once the container's process runs, which
thereby becomes our own child.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from netlab.errors import NetlabError
from netlab.kernel import descriptors
from netlab.kernel import process as processes
from netlab.kernel.run import find
from netlab.kernel.userns import IdRange
from netlab.workload.child import StdioEnds
from netlab.workload.reaper import Child, Reaper

_START_SECONDS = 30.0

NOT_EXECUTABLE, NOT_FOUND, NOT_STARTED = 126, 127, 128
"""What container runtimes exit with when there is no process whose exit code it could be."""


class StartFailed(NetlabError):
    """crun could not start the process. `code` is what a container runtime exits with then."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Started(Struct):
    """A process that runs, and our ends of its input and outputs."""

    child: Child
    ends: StdioEnds


class Crun:
    """The containers whose state is kept in `directory`, which must be empty at first.

    `ids` are those of the pods' users.
    """

    def __init__(self, directory: Path, reaper: Reaper, ids: IdRange | None) -> None:
        self._directory = directory
        self._reaper = reaper
        self._ids = ids
        self._numbers = 0

    async def run(
        self,
        name: str,
        bundle: Path,
        config: dict[str, Any],
        *,
        stdin: bool,
        groups: Sequence[Path],
    ) -> Started:
        """Make a container of `config` and start its process; `StartFailed` says why not.

        It is started in these control groups, by their `cgroup.procs`.
        """
        (bundle / "config.json").write_text(json.dumps(config))
        words = ["run", "--bundle", str(bundle)]
        try:
            return await self._start(words, name, config["process"], stdin=stdin, groups=groups)
        except BaseException:
            await self.forget(name)
            raise

    async def execute(
        self, name: str, process: dict[str, Any], *, stdin: bool, groups: Sequence[Path]
    ) -> Started:
        """Start another process in a container that runs."""
        with self._scratch() as place:
            (place / "process.json").write_text(json.dumps(process))
            words = ["exec", "--process", str(place / "process.json")]
            return await self._start(words, name, process, stdin=stdin, groups=groups)

    async def forget(self, name: str) -> None:
        """Let go of a container that has ended, or kill it; none of that name is no error."""
        if (self._directory / "state" / name).exists():
            await self._ended(self._spawn(["delete", "--force", name]), 10)

    async def _start(
        self,
        words: Sequence[str],
        name: str,
        process: dict[str, Any],
        *,
        stdin: bool,
        groups: Sequence[Path],
    ) -> Started:
        ends = StdioEnds(tty=process["terminal"], stdin=stdin)
        ends.give_to(*self._owner_of(process["user"]))
        program = process["args"][0]
        try:
            with (
                self._scratch() as place,
                self._reaper.expecting() as unclaimed,
                _Console(place) as console,
            ):
                more = ["--console-socket", str(console.path)] if process["terminal"] else []
                argv = [*words, "--detach", "--pid-file", str(place / "pid"), *more, name]
                await self._to_its_end(argv, place, ends, groups, program)
                pid = int((place / "pid").read_text())
                child = Child(pid, self._reaper.claim(pid, unclaimed))
                if process["terminal"]:
                    ends.terminal(console.received())
        except BaseException:
            ends.discard()
            raise
        finally:
            ends.close()
        return Started(child, ends)

    def _owner_of(self, user: Mapping[str, int]) -> tuple[int, int]:
        """A process's user and group by the machine's ids."""
        outside = self._ids.outside if self._ids else int
        return outside(user["uid"]), outside(user["gid"])

    async def _to_its_end(
        self,
        argv: Sequence[str],
        place: Path,
        ends: StdioEnds,
        groups: Sequence[Path],
        program: str,
    ) -> None:
        log = place / "log"
        code = await self._ended(self._spawn(argv, log, ends, groups), _START_SECONDS)
        if code != 0:
            raise failure(log.read_text(errors="replace") if log.exists() else "", code, program)

    def _spawn(
        self,
        argv: Sequence[str],
        log: Path | None = None,
        ends: StdioEnds | None = None,
        groups: Sequence[Path] = (),
    ) -> Child:
        state = str(self._directory / "state")
        options = ["--root", state, "--cgroup-manager", "disabled"]
        options += ["--log", str(log)] if log else []
        process = subprocess.Popen(
            [find("crun"), *options, *argv],
            stdin=ends.stdin if ends else subprocess.DEVNULL,
            stdout=ends.stdout if ends else subprocess.DEVNULL,
            stderr=ends.stderr if ends else subprocess.DEVNULL,
            cwd="/",
            # This process has one thread, so what a fork may do is not restricted.
            preexec_fn=_joining(groups) if groups else None,
        )
        process.returncode = 0  # it is the reaper that collects it
        return Child(process.pid, self._reaper.claim(process.pid))

    async def _ended(self, child: Child, seconds: float) -> int:
        try:
            async with asyncio.timeout(seconds):
                return await child.wait()
        except TimeoutError:
            raise StartFailed(f"crun did not end within {seconds:g} s", NOT_STARTED) from None
        finally:
            if not child.has_ended:
                _kill_family(child.pid)

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        self._numbers += 1
        place = self._directory / f"call-{self._numbers}"
        place.mkdir(mode=0o700)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)  # what has started has, whatever is left here


def _kill_family(pid: int) -> None:
    """Kill crun with all that it has begun, which is not a program of the pod's yet.

    Part of it is in the pod already, which may have stopped it: it would stay there, and go on
    whenever the pod likes. All are stopped first, so that nothing is born meanwhile.
    """
    family: set[int] = set()
    while new := _family(pid) - family:
        for each in new:
            _signal(each, signal.SIGSTOP)
        family |= new
    for each in family:
        _signal(each, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _family(pid: int) -> set[int]:
    """crun, its descendants, and those orphaned to us: they have its command line, as no other."""
    children: dict[int, list[int]] = {}
    for each in processes.ids():
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{each}/stat").read_bytes()
            children.setdefault(int(stat.rpartition(b") ")[2].split()[1]), []).append(each)
    line = _command_line(pid)
    unseen = [
        pid,
        *(each for each in children[os.getpid()] if line and _command_line(each) == line),
    ]
    found: set[int] = set()
    while unseen:
        found.add(each := unseen.pop())
        unseen += children.get(each, ())
    return found


def _command_line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _joining(groups: Sequence[Path]) -> Callable[[], None]:
    def join() -> None:
        for path in groups:
            descriptor = os.open(path, os.O_WRONLY)
            os.write(descriptor, b"0")
            os.close(descriptor)

    return join


class _Console:
    """Where crun leaves our end of a terminal that it has opened in the container."""

    def __init__(self, place: Path) -> None:
        self.path = place / "console"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen()
        self._listening.settimeout(1)  # crun has ended when we look: it came, or never will

    def received(self) -> int:
        """The terminal's descriptor, the caller's to close."""
        try:
            connection, _ = self._listening.accept()
            with connection:
                connection.settimeout(1)
                _, received = descriptors.receive(connection, 4096, 1)
        except TimeoutError:
            raise StartFailed("crun made no terminal", NOT_STARTED) from None
        if not received:
            raise StartFailed("crun made no terminal", NOT_STARTED)
        os.set_blocking(received[0], True)
        return received[0]

    def __enter__(self) -> _Console:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()


# -- what went wrong, in the words of the runtime that most clusters have ---------------------

# As crun 1.8 (Debian 12) and 1.21 (Debian 13) write it.
_NOT_FOUND = re.compile(r"executable file `.*` not found|cannot find `.*` in \$PATH", re.DOTALL)
_CHDIR = re.compile(r"chdir (?:to )?`(?P<name>.*)`: (?P<why>.*)", re.DOTALL)
_NOT_ALLOWED = re.compile(r"the path `.*` exists but it is not executable", re.DOTALL)
_NO_EXEC = re.compile(
    r"(?:exec container process `.*`|exec|open executable|cannot open `.*`"
    r"|the path `.*` is not a regular file): (?P<why>.*)"
)


def failure(log: str, code: int, program: str) -> StartFailed:
    """What crun wrote into its log, as runc says it of `program`, with the exit code of that."""
    if _NOT_FOUND.search(log):
        return _not_found(program)
    if found := _CHDIR.search(log):
        reason = found["why"].strip().lower()
        return StartFailed(f'chdir to cwd ("{found["name"]}") failed: {reason}', NOT_STARTED)
    if _NOT_ALLOWED.search(log):
        return _unusable(program, "permission denied")
    if found := _NO_EXEC.search(log):
        return _unusable(program, found["why"].strip().lower())
    lines = [line for line in log.splitlines() if line]
    text = lines[-1] if lines else f"crun ended with exit code {code}"
    text = re.sub(r"^\S+T\S+ (?=\D)", "", text).removeprefix("error: ").strip()
    return StartFailed(text, NOT_STARTED)


def _not_found(program: str) -> StartFailed:
    if "/" in program:
        why = f"stat {program}: no such file or directory"
    else:
        why = "executable file not found in $PATH"
    return StartFailed(f'exec: "{program}": {why}', NOT_FOUND)


def _unusable(program: str, why: str) -> StartFailed:
    """Found, but nothing that can be executed; what is so in $PATH, runc passes over."""
    if "/" not in program:
        return _not_found(program)
    if why == "operation not permitted":  # so crun says of what is no file
        why = "is a directory"
    elif why != "permission denied":
        why = f"stat {program}: {why}"
    return StartFailed(f'exec: "{program}": {why}', NOT_EXECUTABLE)
