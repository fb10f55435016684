"""Pods' own processes: a container's command, and commands executed in it later.

A container has mount, UTS, IPC and PID namespaces of its own inside the pod's network and user
namespaces; `root` says what it sees, `oci` what it may. Its process belongs to the runtime, so it
survives the controller; commands executed in it end with the controller's connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct, field

from netlab.objects.capabilities import DEFAULT_CAPABILITIES, GRANTABLE, plain
from netlab.workload import crilog, oci
from netlab.workload.behaviour import PATH
from netlab.workload.bounds import Bounds
from netlab.workload.bounds import bounds as bounds_of
from netlab.workload.calls import Calls, Gone
from netlab.workload.catalogue import catalogue
from netlab.workload.session import AttachSession, ExecSession
from netlab.workload.strays import PAUSE
from netlab.workload.volume import Mount

IDLE = ""
"""The name of the container that stands in where a pod has no process to enter."""


class Privileges(Struct, frozen=True):
    """Who a command runs as, inside the pod, and what it may ever do."""

    user: int = 0
    group: int = 0
    groups: tuple[int, ...] = ()
    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES


def privileges(pod_spec: Mapping[str, Any], container: Mapping[str, Any]) -> Privileges:
    """What the `securityContext`s of a pod and its container ask for, as far as it is harmless.

    `privileged` gives every capability that stays within the pod.
    """
    shared = pod_spec.get("securityContext") or {}
    own = container.get("securityContext") or {}
    user = own.get("runAsUser", shared.get("runAsUser")) or 0
    group = own.get("runAsGroup", shared.get("runAsGroup")) or 0
    groups = (*(shared.get("supplementalGroups") or ()), shared.get("fsGroup"))
    added = {plain(name) for name in (own.get("capabilities") or {}).get("add") or ()}
    dropped = {plain(name) for name in (own.get("capabilities") or {}).get("drop") or ()}
    if own.get("privileged") or "all" in added:
        added = set(GRANTABLE)
    kept = () if "all" in dropped else DEFAULT_CAPABILITIES
    names = dict.fromkeys((*kept, *sorted(added & GRANTABLE)))
    capabilities = tuple(name for name in names if name not in dropped)
    further = tuple(int(each) for each in groups if each is not None)
    return Privileges(int(user), int(group), further, capabilities)


_USUAL = bounds_of({})


class ContainerPlace(Struct, frozen=True):
    """Where a container runs: the pod's uid, directory, namespace and hostname.

    `directory` holds the files written by `etc_files.write_pod_files`; `volumes` are what each
    container has mounted, `programs` those of ours that it has (`pod_binaries`), `pages`
    files of its image's own by their paths, `bounds` what the pod may use, `read_only` the
    containers that may write to volumes alone, `links` what the image's own links lead to; all see
    each other's processes if it `shares_processes`.
    """

    uid: str
    directory: Path
    netns: Path
    hostname: str
    volumes: Mapping[str, tuple[Mount, ...]] = field(default_factory=dict)
    bounds: Bounds = _USUAL
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    read_only: frozenset[str] = frozenset()
    pages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shares_processes: bool = False

    def container(self, name: str) -> Path:
        """The directory of one container's root and logs."""
        return self.directory / "containers" / (name or "idle")


class Command(Struct, frozen=True):
    """What runs: the words, the whole environment, and how it is connected; `announces` as with
    `Behaviour`, `termination_log` is the file in which it says why it ends, "" for none. `target`
    is the container whose processes it sees, if that has any, "" for its own."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    directory: str = "/"
    privileges: Privileges = Privileges()
    announces: bool = False
    termination_log: str = ""
    target: str = ""


class Ended(Struct, frozen=True):
    """How a process ended: the exit code as Kubernetes counts (128 + signal), and its reason.

    `reason` is Completed, Error, OOMKilled, or StartError (`message` says why it never ran). Times
    are Unix time. `termination` is what the container itself has written of its end.
    """

    code: int
    signal: int
    reason: str
    message: str
    started: float
    finished: float
    termination: str = ""


def base_environment(hostname: str, *, tty: bool = False) -> dict[str, str]:
    """What every container has in its environment before anything else."""
    terminal = {"TERM": "xterm"} if tty else {}
    return {"PATH": PATH, "HOSTNAME": hostname, "HOME": "/root", **terminal}


class Sandboxes:
    """All pod processes of a lab. `runtime` keeps them."""

    def __init__(self, runtime: Calls) -> None:
        self._runtime = runtime
        self._idling: dict[tuple[str, str], asyncio.Lock] = {}

    async def start(
        self, place: ContainerPlace, container: str, command: Command, *, attempt: int = 0
    ) -> SandboxProcess:
        """Start a container's command; returns once it runs, or has failed to (see `ended`).

        `attempt` counts restarts: each has a log of its own.
        """
        target = command.target
        if place.shares_processes and container != PAUSE:
            target = (await self._standing(place, PAUSE, _pause(place.hostname))).container
        directory = place.container(container)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget_logs(directory, before=attempt - 1)
        state = await self._runtime.call(
            "run",
            uid=place.uid,
            container=container,
            netns=place.netns.name,
            hostname=place.hostname,
            bounds=place.bounds.to_json(container),
            read_only=container in place.read_only,
            mounts=[mount.to_json() for mount in place.volumes.get(container, ())],
            programs=list(place.programs.get(container, ())),
            pages=dict(place.pages.get(container, {})),
            links=dict(place.links.get(container, {})),
            process=_process(command),
            hint=missing_hint(command.argv[0]),
            stdin=command.stdin,
            stdin_once=command.stdin_once,
            log=str(directory / f"{attempt}.log"),
            termination_log=command.termination_log,
            target=target,
        )
        return SandboxProcess(self._runtime, state)

    async def idle(self, place: ContainerPlace) -> SandboxProcess:
        """The process that stands in for a pod's built-in servers, started when first needed."""
        return await self._standing(place, IDLE, _idler(place.hostname))

    async def _standing(
        self, place: ContainerPlace, container: str, command: Command
    ) -> SandboxProcess:
        """A process that does nothing, if it runs, or a new one."""
        key = (place.uid, container)
        async with self._idling.setdefault(key, asyncio.Lock()):
            known = (await self.processes()).get(key)
            if known is not None and known.ended is None:
                return known
            return await self.start(place, container, command)

    async def processes(self) -> dict[tuple[str, str], SandboxProcess]:
        """What runs, and what has ended and is not removed yet, by pod uid and container.

        This is how a controller that restarted adopts what its predecessor started. No runtime,
        no processes.
        """
        try:
            states = await self._runtime.call("processes")
        except Gone:
            return {}
        found = [SandboxProcess(self._runtime, state) for state in states]
        return {(process.uid, process.container): process for process in found}

    async def remove(self, uid: str, keep: Sequence[str] = ()) -> None:
        """Kill and forget all processes of a pod; none is no error. Of its empty volumes those to
        `keep` stay, by their names."""
        for name in (IDLE, PAUSE):
            self._idling.pop((uid, name), None)
        with contextlib.suppress(Gone):
            await self._runtime.call("remove", uid=uid, keep=list(keep))

    async def usage(self, uids: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
        """Bytes in the `containers` and the empty `volumes` of pods, by uid and their names."""
        try:
            return dict(await self._runtime.call("usage", uids=list(uids)))
        except Gone:
            return {}

    async def execute(
        self, process: SandboxProcess, command: Command, *, inherits: bool = False
    ) -> ExecSession:
        """Run a command beside a container's process, in all its namespaces; if it `inherits`, with
        the environment that the process was started with.

        A command that is not installed is a session like others: it says so on stderr and exits
        with 127 (126: not executable).
        """
        request = {
            "op": "exec",
            "uid": process.uid,
            "container": process.container,
            "process": _process(command),
            "inherits": inherits,
            "hint": missing_hint(command.argv[0]),
            "stdin": command.stdin,
        }
        session = await ExecSession.start(self._runtime, request)
        assert isinstance(session, ExecSession)
        return session


def _process(command: Command) -> oci.Json:
    """The command as the runtime specification has it."""
    granted = command.privileges
    return oci.process(
        command.argv,
        command.env,
        user=granted.user,
        group=granted.group,
        groups=granted.groups,
        capabilities=granted.capabilities,
        directory=command.directory or "/",
        terminal=command.tty,
    )


def _idler(hostname: str) -> Command:
    """Does nothing but be there: it ignores the end of children, so what is left behind in the
    pod is reaped."""
    argv = ("/usr/bin/env", "--ignore-signal=CHLD", "/usr/bin/sleep", "infinity")
    nobody = Privileges(capabilities=())
    return Command(argv, base_environment(hostname), privileges=nobody)


def _pause(hostname: str) -> Command:
    """The same, under the name that it has on clusters, and as nobody whom a pod's root may look
    into."""
    argv = ("/usr/bin/env", "--ignore-signal=CHLD", "/bin/bash", "-c",
            "exec -a /pause /usr/bin/sleep infinity")  # fmt: skip
    user = Privileges(_PAUSE_USER, _PAUSE_USER, capabilities=())
    return Command(argv, base_environment(hostname), privileges=user)


_PAUSE_USER = 65535


class SandboxProcess:
    """A container's process, as it was when the runtime last told of it."""

    def __init__(self, runtime: Calls, state: dict[str, Any]) -> None:
        self._runtime = runtime
        self.uid: str = state["uid"]
        self.container: str = state["container"]
        self.log = Path(state["log"])
        self.tty: bool = state["tty"]
        self.started: float = state["started"]
        self.init: int = state["init"]
        self.ended = _ended(state)

    async def wait(self) -> Ended:
        """Wait for the end."""
        self.ended = _ended(await self._runtime.call("wait", **self._name()))
        assert self.ended is not None
        return self.ended

    async def first_words(self, seconds: float, after: int = 0) -> bool:
        """Return once it has said something, or has ended, or in so many seconds; whether it has.

        So it has when its log is larger than `after`.
        """
        messages = self._runtime.stream("watch", **self._name())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), contextlib.aclosing(messages):
                async for message in messages:
                    if message["ended"] or self.log.stat().st_size > after:
                        return not message["ended"]
        return False

    async def kill(self, grace: float) -> Ended:
        """TERM, and KILL after `grace` seconds; returns after the end.

        As in a container, the first process sees a TERM only if it has a handler for it. The
        process that stands in for built-in servers is not waited for.
        """
        grace = 0.0 if self.container == IDLE else grace
        self.ended = _ended(await self._runtime.call("kill", grace=grace, **self._name()))
        assert self.ended is not None
        return self.ended

    async def attach(self) -> AttachSession:
        """Connect to the process's input and outputs; first comes what nobody has seen yet."""
        return await AttachSession.start(self._runtime, {"op": "attach", **self._name()})

    async def follow_log(self) -> AsyncIterator[crilog.LogEntry]:
        """All its output, and what is to come until it ends; `crilog.read` has what there is."""
        follower = crilog.LogFollower(self.log)
        try:
            for entry in crilog.read(crilog.rotated(self.log)):
                yield entry
            async for message in self._runtime.stream("watch", **self._name()):
                for entry in follower.new():
                    yield entry
                if message["ended"]:
                    return
        finally:
            follower.close()

    def _name(self) -> dict[str, str]:
        return {"uid": self.uid, "container": self.container}


def _forget_logs(directory: Path, *, before: int) -> None:
    """Keep the logs of this attempt and the one before, as the kubelet does."""
    for path in directory.glob("*.log*"):
        number = path.name.partition(".")[0]
        if number.isdigit() and int(number) < before:
            path.unlink()


def _ended(state: Mapping[str, Any]) -> Ended | None:
    returncode = state["returncode"]
    if returncode is None:
        return None
    number = -returncode if returncode < 0 else 0
    code = 128 + number if number else returncode
    reason = "StartError" if state["message"] else "Error" if code else "Completed"
    if state["oom_killed"]:
        reason = "OOMKilled"
    times = state["started"], state["finished"]
    return Ended(code, number, reason, state["message"], *times, state["termination"])


def missing_hint(word: str) -> str:
    """What to say when a program that pods often use is not installed on this machine."""
    name = PurePosixPath(word).name
    package = catalogue().package_of(name)
    if package is None:
        return ""
    return f"netlab: pods use this machine's own tools; get {name} with: apt-get install {package}"
