"""Processes that outlive a call: started with the lab's mark, found by it, ended by it.

The mark is an environment variable, or the name of the control group that a lab's pods are in.
Children inherit either, and /proc shows it for each process: nothing is ever found by its name.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import select
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from netlab.errors import KernelRefused
from netlab.kernel import cgroups, files, userns
from netlab.kernel import netns as namespaces
from netlab.kernel.confine import Confinement
from netlab.kernel.run import find

OWNER_VARIABLE = "NETLAB_OWNER"

DEATH = 20.0
"""Seconds that a process may take to die of KILL: one that waits for a disk does not hear it."""

_VARIABLES = ("PATH", "LANG", "TZ", "TMPDIR", "HOME")
_FAMILIES = ("LC_", "PYTHON", "NETLAB_", "SUDO_")

_ENV_END = 51 - 3  # its place among the fields of /proc/PID/stat behind the name, see proc(5)
_EXEC_TRIES = 100
_GROUP = re.compile(rb"/netlab-([A-Za-z0-9-]+)(?:/|$)", re.MULTILINE)  # as cgroups names them

# Children not yet waited for. Kept here so that one whose Process was dropped is still reaped.
_children: dict[int, Process] = {}


class Process:
    """A child in a session of its own, which survives us."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.pid = child.pid

    def poll(self) -> int | None:
        """The exit code (negative: the signal that killed it), or None while it runs."""
        code = self._child.poll()
        if code is not None:
            _children.pop(self.pid, None)
        return code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; `TimeoutError` after `timeout` seconds."""
        try:
            code = self._child.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"process {self.pid} still runs after {timeout:g} s") from error
        _children.pop(self.pid, None)
        return code

    def end(self, grace: float = 1.0) -> None:
        """TERM, then KILL after `grace` seconds; returns once it is gone and reaped."""
        end([self.pid], grace)


class Child(Protocol):
    """Of ours, as `subprocess.Popen` has one."""

    pid: int

    def poll(self) -> int | None:
        """The exit code, once there is one; the child is collected then."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; `subprocess.TimeoutExpired`."""


def keep(child: Child) -> Process:
    """It is collected from now on, when somebody looks (`reap`)."""
    _children[child.pid] = Process(child)
    return _children[child.pid]


def disown() -> None:
    """None of the children is ours: they are those of whom we are a fork of."""
    _children.clear()


def spawn(
    argv: Sequence[str],
    *,
    owner: str,
    netns: int | Path | None = None,
    log: Path | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Collection[int] = (),
    stdin: int | None = None,
    confinement: Confinement | None = None,
) -> Process:
    """Start a long-lived process of the lab `owner` (its uid) in a namespace.

    It reads `stdin` (None: nothing); its output is appended to `log` (None: thrown away). `env` is
    its whole environment (None: what of ours is nobody's secret); the mark is added to either. With
    a `confinement` it has no rights, and sees little.
    """
    reap()
    with contextlib.ExitStack() as stack:
        nothing = stack.enter_context(Path(os.devnull).open("r+b", buffering=0))
        output = nothing if log is None else stack.enter_context(_appending(log))
        program = find(argv[0])

        def start(**identity: Any) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [program, *argv[1:]],
                # not DEVNULL: that is looked for where the program will be
                stdin=nothing if stdin is None else stdin,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env={**(_environment() if env is None else env), OWNER_VARIABLE: owner},
                pass_fds=tuple(pass_fds),
                start_new_session=True,
                **identity,
            )

        stack.enter_context(namespaces.entered(netns))
        child = start() if confinement is None else confined(confinement, start)
    return keep(child)


def _environment() -> dict[str, str]:
    """The caller's other variables, tokens among them, are nothing to who serves strangers."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _VARIABLES or name.startswith(_FAMILIES)
    }


def _appending(log: Path) -> BinaryIO:
    return os.fdopen(files.opened(log, os.O_WRONLY | os.O_APPEND), "ab", buffering=0)


def confined(
    confinement: Confinement, start: Callable[..., subprocess.Popen[bytes]]
) -> subprocess.Popen[bytes]:
    """Start a program from a thread that was confined for that, and ends.

    So there is nothing in between that would have to be trusted, or waited for. The thread is born
    in the namespace that the caller is in.
    """
    from concurrent.futures import ThreadPoolExecutor  # `up`, which confines nobody, waits for it

    user = confinement.uid
    identity: dict[str, Any] = {}
    if user != os.geteuid():
        identity = {"user": user, "group": user, "extra_groups": ()}
    if confinement.largest_file:  # as Python ignores SIGXFSZ, so does what it starts
        identity["restore_signals"] = False

    def run() -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as stack:
            groups = [stack.enter_context(_opened(each)) for each in confinement.groups]
            confinement.enter()
            size = confinement.largest_file
            bound = partial(_bound, groups, size) if groups or size else None
            return start(**identity, preexec_fn=bound)

    try:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(run).result()
    except subprocess.SubprocessError as error:
        raise KernelRefused("cannot bound a program that is about to begin", 1) from error


@contextlib.contextmanager
def _opened(group: Path) -> Iterator[int]:
    descriptor = os.open(group, os.O_WRONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _bound(groups: Iterable[int], largest_file: int) -> None:
    """In the new process, by the `cgroup.procs` behind descriptors: nothing else must be done here,
    where of our threads only one is left."""
    for group in groups:
        os.write(group, b"0")
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))


def children(pid: int) -> dict[int, str]:
    """The children of a process, by their ids, each with what it calls itself."""
    found = _read(Path(f"/proc/{pid}/task/{pid}/children")).split()
    titles = {int(each): _read(Path(f"/proc/{int(each)}/cmdline")) for each in found}
    return {each: title.rstrip(b"\0").decode(errors="replace") for each, title in titles.items()}


def is_confined(pid: int) -> bool:
    """Whether a process can get no capability, as those that were started with a `confinement`."""
    lines = _read(Path(f"/proc/{pid}/status")).splitlines()
    return b"NoNewPrivs:\t1" in lines and b"CapBnd:\t0000000000000000" in lines


def session(leader: int) -> list[int]:
    """The processes of a session, its leader among them if he lives: as long as any does, nobody
    else gets his id."""
    return [pid for pid in ids() if _session(pid) == leader]


def _session(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(b") ")[2].split()
    return int(fields[3]) if fields and fields[0] != b"Z" else 0


def reap() -> None:
    """Collect children that have ended, so that none stays a zombie."""
    for process in list(_children.values()):
        process.poll()


def owned(owner: str) -> list[int]:
    """The ids of the running processes that carry the mark of `owner`, except this one."""
    return [pid for pid, mark in marks().items() if pid != os.getpid() and mark == owner]


def marks() -> dict[int, str]:
    """Every process that carries some lab's mark, with the lab's uid, by process id.

    What is in a lab's group is not looked at any further: a process that does nothing but start
    others is seldom free to show its environment.
    """
    grouped = cgroups.processes()
    found = {pid: grouped.get(pid) or _mark_in_environment(pid) for pid in ids()}
    return {pid: mark for pid, mark in found.items() if mark}


def stopped(owner: str) -> list[int]:
    """The lab's own processes that a signal keeps from running (`kill -STOP`), not its pods'."""
    return [pid for pid in owned(owner) if _is_stopped(pid) and _mark_in_environment(pid) == owner]


def _is_stopped(pid: int) -> bool:
    return _read(Path(f"/proc/{pid}/stat")).rpartition(b") ")[2][:1] == b"T"


def ids() -> list[int]:
    """The ids of all processes there are."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208


def mark_of(pid: int) -> str | None:
    """The uid of the lab that a process belongs to; None for everybody else's."""
    found = _GROUP.search(_read(Path(f"/proc/{pid}/cgroup")))
    return found[1].decode() if found else _mark_in_environment(pid)


def _read(path: Path) -> bytes:
    with contextlib.suppress(OSError):  # it has ended
        return path.read_bytes()
    return b""


def _mark_in_environment(pid: int) -> str | None:
    prefix = f"{OWNER_VARIABLE}=".encode()
    try:
        environ = _environ(pid)
    except OSError:  # it has ended, or it is not ours to look at
        return None
    for entry in environ.split(b"\0"):
        if entry.startswith(prefix) and _may_be_marked(pid):
            return entry[len(prefix) :].decode(errors="replace")
    return None


def _may_be_marked(pid: int) -> bool:
    """Anybody can give himself a mark: it counts only on what root, or one of a lab's ids, runs."""
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith(b"Uid:"):
            uid = int(line.split()[1])
            return uid in (os.geteuid(), userns.NOBODY) or userns.is_of_a_lab(uid)
    return False


def _environ(pid: int) -> bytes:
    """The environment of a process, waited for if it has only just begun."""
    path = Path(f"/proc/{pid}/environ")
    for _ in range(_EXEC_TRIES):
        if environ := path.read_bytes():
            return environ
        if not _is_in_exec(pid):
            break
        time.sleep(0.001)
    return path.read_bytes()


def _is_in_exec(pid: int) -> bool:
    """True while exec has begun a new program and not yet told the kernel its environment."""
    try:
        Path(f"/proc/{pid}/exe").readlink()  # a kernel thread has none
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b") ")[2].split()[_ENV_END] == b"0"


def end(pids: Iterable[int], grace: float = 1.0) -> None:
    """Ask processes to end, and kill what is left after `grace` seconds.

    Works through descriptors, so an id that the kernel gives out again meanwhile is safe.
    Raises `KernelRefused` for what even then does not go.
    """
    _end({pid: descriptor for pid in pids if (descriptor := _open(pid)) is not None}, grace)


def end_owned(owner: str, grace: float = 1.0) -> None:
    """End everything that carries the mark of `owner`, also what is started meanwhile."""
    for _ in range(10):
        if not end_owned_once(owner, grace):
            return
    raise KernelRefused(f"processes keep being started with the mark {owner}", 11)


def kill(pids: Iterable[int], still: Callable[[int], bool]) -> None:
    """Kill processes, and return once they are gone; `KernelRefused` for what does not go.

    `still` tells of an id, once nobody else can get it, that it is yet the one that was meant.
    """
    opened = {pid: descriptor for pid in pids if (descriptor := _open(pid)) is not None}
    for pid in [pid for pid in opened if not still(pid)]:
        os.close(opened.pop(pid))
    for descriptor in opened.values():
        _signal(descriptor, signal.SIGKILL)
    _end(opened, 0.0)


def end_owned_once(owner: str, grace: float = 1.0) -> bool:
    """End what carries the mark of `owner` now; False when there was nothing."""
    opened = {pid: descriptor for pid in owned(owner) if (descriptor := _open(pid)) is not None}
    any_found = bool(opened)
    for pid in [pid for pid in opened if mark_of(pid) != owner]:
        os.close(opened.pop(pid))  # ended between the look and the opening, its id reused
    _end(opened, grace)
    return any_found


def _open(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.pidfd_open(pid)
    return None


def _end(opened: dict[int, int], grace: float) -> None:
    try:
        for pid, descriptor in opened.items():
            _signal(descriptor, signal.SIGKILL if ignores_term(pid) else signal.SIGTERM)
        left = _wait(opened, grace)
        for pid in left:
            _signal(opened[pid], signal.SIGKILL)
        stuck = _wait({pid: opened[pid] for pid in left}, DEATH)
        if stuck:
            raise KernelRefused(
                f"processes {stuck} do not die", 16, hint="see their /proc/ID/stack"
            )
    finally:
        for pid, descriptor in opened.items():
            _collect(pid, descriptor)
            os.close(descriptor)


def _signal(descriptor: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)


def _wait(opened: Mapping[int, int], seconds: float) -> list[int]:
    """Wait until processes end; the ids of those that still run after `seconds`."""
    deadline = time.monotonic() + seconds
    poller = select.poll()
    by_descriptor = {descriptor: pid for pid, descriptor in opened.items()}
    for descriptor in by_descriptor:
        poller.register(descriptor, select.POLLIN)
    while by_descriptor:
        ended = poller.poll(max(0.0, deadline - time.monotonic()) * 1000)
        for descriptor, _ in ended:
            poller.unregister(descriptor)
            del by_descriptor[descriptor]
        if not ended and time.monotonic() >= deadline:
            break
    return sorted(by_descriptor.values())


def _collect(pid: int, descriptor: int) -> None:
    if pid in _children:
        _children[pid].poll()
    else:
        with contextlib.suppress(ChildProcessError):  # not our child: its parent collects it
            os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG)


def ignores_term(pid: int) -> bool:
    """True when TERM would change nothing: it is ignored, or this is a PID namespace's init.

    The kernel drops signals to an init that has no handler for them, so waiting is in vain.
    """
    try:
        text = files.text(f"/proc/{pid}/status")
    except OSError:
        return False
    status = dict(line.split(":\t", 1) for line in text.split("\n") if ":\t" in line)
    term = 1 << (signal.SIGTERM - 1)
    ignored = bool(int(status["SigIgn"], 16) & term)
    caught = bool(int(status["SigCgt"], 16) & term)
    inner = status["NSpid"].split()
    return ignored or (len(inner) > 1 and inner[-1] == "1" and not caught)
