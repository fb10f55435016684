"""Pods' own processes: a container's command, and commands executed in it later.

A container has mount, UTS, IPC and PID namespaces of its own inside the pod's network namespace;
sandbox.sh shows how. The container's process belongs to the responder, so it survives the
controller; commands executed in it belong to the controller, as their client does.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from netlab.errors import EnvironmentLacks, NetlabError
from netlab.kernel.process import OWNER_VARIABLE
from netlab.objects.capabilities import DEFAULT_CAPABILITIES, GRANTABLE, plain
from netlab.workload import crilog, rootfs
from netlab.workload.behaviour import PATH
from netlab.workload.catalogue import catalogue
from netlab.workload.client import ResponderClient
from netlab.workload.mounts import Mount
from netlab.workload.session import AttachSession, ExecSession

IDLE = ""
"""The name of the container that stands in where a pod has no process to enter."""

_SCRIPT = Path(__file__).with_name("sandbox.sh").read_text()
_UNSHARE = ("--mount", "--uts", "--ipc", "--propagation", "private")


@dataclass(frozen=True)
class Privileges:
    """What a command may do: `identity` is `uid:gid`, or empty for root."""

    identity: str = ""
    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES

    @property
    def text(self) -> str:
        """The capabilities as setpriv(1) writes them."""
        return ",".join(f"+{name}" for name in self.capabilities) or "-all"


def privileges(pod_spec: Mapping[str, Any], container: Mapping[str, Any]) -> Privileges:
    """What the `securityContext`s of a pod and its container ask for, as far as it is harmless.

    `privileged` gives every capability that stays within the pod.
    """
    shared = pod_spec.get("securityContext") or {}
    own = container.get("securityContext") or {}
    user = own.get("runAsUser", shared.get("runAsUser")) or 0
    group = own.get("runAsGroup", shared.get("runAsGroup")) or 0
    added = {plain(name) for name in (own.get("capabilities") or {}).get("add") or ()}
    dropped = {plain(name) for name in (own.get("capabilities") or {}).get("drop") or ()}
    if own.get("privileged") or "all" in added:
        added = set(GRANTABLE)
    kept = () if "all" in dropped else DEFAULT_CAPABILITIES
    names = dict.fromkeys((*kept, *sorted(added & GRANTABLE)))
    capabilities = tuple(name for name in names if name not in dropped)
    return Privileges(f"{user}:{group}" if user or group else "", capabilities)


@dataclass(frozen=True)
class Place:
    """Where a container runs: the pod's uid, directory, namespace and hostname.

    `directory` holds the files written by `rootfs.write_pod_files`; `volumes` are what each
    container has mounted.
    """

    uid: str
    directory: Path
    netns: Path
    hostname: str
    volumes: Mapping[str, tuple[Mount, ...]] = field(default_factory=dict)

    def container(self, name: str) -> Path:
        """The directory of one container's root and logs."""
        return self.directory / "containers" / (name or "idle")


@dataclass(frozen=True)
class Command:
    """What runs: the words, the whole environment, and how it is connected."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    directory: str = "/"
    privileges: Privileges = Privileges()


@dataclass(frozen=True)
class Ended:
    """How a process ended: the exit code as Kubernetes counts (128 + signal), and its reason.

    `reason` is Completed, Error, or StartError (then `message` says why it never ran). Times are
    Unix time.
    """

    code: int
    signal: int
    reason: str
    message: str
    started: float
    finished: float


def base_environment(hostname: str, *, tty: bool = False) -> dict[str, str]:
    """What every container has in its environment before anything else."""
    terminal = {"TERM": "xterm"} if tty else {}
    return {"PATH": PATH, "HOSTNAME": hostname, "HOME": "/root", **terminal}


class Sandboxes:
    """All pod processes of a lab. `owner` is the lab's uid."""

    def __init__(self, client: ResponderClient, owner: str) -> None:
        self._client = client
        self._owner = owner
        self._idling: dict[str, asyncio.Lock] = {}

    async def start(
        self, place: Place, container: str, command: Command, *, attempt: int = 0
    ) -> SandboxProcess:
        """Start a container's command; returns once it runs, or has failed to (see `ended`).

        `attempt` counts restarts: each has a log of its own.
        """
        root = self._prepare(place, container)
        if command.tty:
            (root.dev / "console").touch()
        _forget_logs(place.container(container), before=attempt - 1)
        words = self._run_words(command)
        return await self._run(place, container, root, "start", words, command, attempt)

    async def idle(self, place: Place) -> SandboxProcess:
        """The process that stands in for a pod's built-in servers, started when first needed."""
        async with self._idling.setdefault(place.uid, asyncio.Lock()):
            known = (await self.processes()).get((place.uid, IDLE))
            if known is not None and known.ended is None:
                return known
            root = self._prepare(place, IDLE)
            command = Command((), base_environment(place.hostname))
            return await self._run(place, IDLE, root, "idle", (), command, 0)

    def _prepare(self, place: Place, container: str) -> rootfs.Root:
        volumes = place.volumes.get(container, ())
        return rootfs.prepare(place.container(container), place.directory, volumes)

    async def _run(
        self,
        place: Place,
        container: str,
        root: rootfs.Root,
        action: str,
        words: Sequence[str],
        command: Command,
        attempt: int,
    ) -> SandboxProcess:
        argv = [tool("unshare"), *_UNSHARE, tool("sh"), "-c", _SCRIPT, "sandbox.sh", action]
        argv += [str(root.mount_point), str(root.fstab), place.hostname, *words]
        state = await self._client.call(
            "run",
            uid=place.uid,
            container=container,
            argv=argv,
            env={},
            netns=str(place.netns),
            tty=command.tty,
            stdin=command.stdin,
            stdin_once=command.stdin_once,
            log=str(place.container(container) / f"{attempt}.log"),
        )
        return SandboxProcess(self, self._client, state)

    async def processes(self) -> dict[tuple[str, str], SandboxProcess]:
        """What runs, and what has ended and is not removed yet, by pod uid and container.

        This is how a controller that restarted adopts what its predecessor started.
        """
        found = [
            SandboxProcess(self, self._client, state)
            for state in await self._client.call("processes")
        ]
        return {(process.uid, process.container): process for process in found}

    async def remove(self, uid: str) -> None:
        """Kill and forget all processes of a pod; none is no error."""
        self._idling.pop(uid, None)
        await self._client.call("remove", uid=uid)

    async def execute(self, process: SandboxProcess, command: Command) -> ExecSession:
        """Run a command beside a container's process, in all its namespaces.

        A command that is not installed is a session like others: it says so on stderr and exits
        with 127 (126: not executable).
        """
        if process.ended is not None:
            raise NetlabError(f"container {process.container} is not running")
        argv = [tool("nsenter"), "--target", str(process.init)]
        # --root, --wd: if netlab itself runs in a chroot, the mount namespace's root is another.
        argv += ["--mount", "--uts", "--ipc", "--net", "--root", "--wd", tool("sh"), "-c", _SCRIPT]
        argv += ["sandbox.sh", "enter", *self._run_words(command)]
        return await ExecSession.start(
            argv,
            {OWNER_VARIABLE: self._owner},
            tty=command.tty,
            stdin=command.stdin,
            init=process.init,
        )

    def _run_words(self, command: Command) -> list[str]:
        """HOW the command runs and the command, as sandbox.sh wants them."""
        granted = command.privileges
        env = {**command.env, OWNER_VARIABLE: self._owner}
        return [
            "yes" if command.tty else "no",
            granted.identity,
            granted.text,
            command.directory or "/",
            missing_hint(command.argv[0]),
            env.get("PATH", ""),
            str(len(env)),
            *(f"{name}={value}" for name, value in env.items()),
            *command.argv,
        ]


class SandboxProcess:
    """A container's process, as it was when the responder last told of it."""

    def __init__(
        self, sandboxes: Sandboxes, client: ResponderClient, state: dict[str, Any]
    ) -> None:
        self._sandboxes = sandboxes
        self._client = client
        self.uid: str = state["uid"]
        self.container: str = state["container"]
        self.log = Path(state["log"])
        self.tty: bool = state["tty"]
        self.started: float = state["started"]
        self.init: int = state["init"]
        self.ended = _ended(state)

    async def wait(self) -> Ended:
        """Wait for the end."""
        self.ended = _ended(await self._client.call("wait", **self._name()))
        assert self.ended is not None
        return self.ended

    async def kill(self, grace: float) -> Ended:
        """TERM, and KILL after `grace` seconds; returns after the end.

        As in a container, the first process sees a TERM only if it has a handler for it. The
        process that stands in for built-in servers is not waited for.
        """
        grace = 0.0 if self.container == IDLE else grace
        self.ended = _ended(await self._client.call("kill", grace=grace, **self._name()))
        assert self.ended is not None
        return self.ended

    async def execute(self, command: Command) -> ExecSession:
        """See `Sandboxes.execute`."""
        return await self._sandboxes.execute(self, command)

    async def attach(self) -> AttachSession:
        """Connect to the process's input and outputs; first comes what nobody has seen yet."""
        return await AttachSession.start(self._client, self._name())

    async def follow_log(self) -> AsyncIterator[crilog.LogEntry]:
        """All its output, and what is to come until it ends; `crilog.read` has what there is."""
        follower = crilog.LogFollower(self.log)
        try:
            for entry in crilog.read(crilog.rotated(self.log)):
                yield entry
            async for message in self._client.stream("watch", **self._name()):
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
    return Ended(code, number, reason, state["message"], state["started"], state["finished"])


def missing_hint(word: str) -> str:
    """What to say when a program that pods often use is not installed on this machine."""
    name = PurePosixPath(word).name
    package = catalogue().package_of(name)
    if package is None:
        return ""
    return f"netlab: pods use this machine's own tools; get {name} with: apt-get install {package}"


def tool(name: str) -> str:
    """The full path of a program that sandboxes are made with."""
    found = shutil.which(name, path=PATH)
    if found is None:
        raise EnvironmentLacks(
            f"{name} is missing, which pods' processes need", hint="apt-get install util-linux dash"
        )
    return found
