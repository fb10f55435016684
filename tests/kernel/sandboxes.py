"""A lab with pods but without a network or a controller, for what happens inside of pods."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netlab.agents.runtime_keeper import RuntimeKeeper
from netlab.kernel import netns, paths, process, run, teardown, userns
from netlab.kernel.userns import IdRange
from netlab.workload import crilog, etc_files
from netlab.workload.sandbox import (
    Command,
    ContainerPlace,
    Ended,
    Sandboxes,
    SandboxProcess,
    base_environment,
)
from netlab.workload.session import AttachSession, ExecSession
from netlab.workload.volume import Mount

RESOLV_CONF = "search default.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\n"


@dataclass
class Lab:
    """The directory of a lab, its owner, one namespace for all pods; the runtime once it runs."""

    directory: Path
    owner: str
    ids: IdRange | None
    keeper: RuntimeKeeper = field(init=False)
    sandboxes: Sandboxes = field(init=False)
    attempts: Iterator[int] = field(default_factory=itertools.count)

    @property
    def netns(self) -> Path:
        return paths.namespace(self.directory, "t.pod")

    def make_namespace(self) -> None:
        """The pod's network namespace, made as `network.session` makes it."""
        with netns.created(self.netns, self.ids) as descriptor:
            run.run(["ip", "link", "set", "lo", "up"])
        os.close(descriptor)

    def use_namespace_without_users(self) -> None:
        """One that the machine's own users own, as where there are no user namespaces."""
        netns.remove(self.netns)
        self.ids = None
        self.make_namespace()

    def pod(self, name: str = "debug") -> Path:
        return paths.pod(self.directory, f"uid-{name}")

    def volume(self, volume: str, name: str = "debug") -> Path:
        """The directory of a pod's volume that the controller fills."""
        directory = self.pod(name) / "volumes" / volume
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def source(self, path: Path) -> str:
        """A volume's directory as a Mount has it."""
        return str(path.relative_to(self.directory))

    def place(self, name: str = "debug", *mounts: Mount, **more: Any) -> ContainerPlace:
        hosts = etc_files.hosts_file(name, ("10.244.1.7",))
        etc_files.write_pod_files(
            self.pod(name), hostname=name, hosts=hosts, resolv_conf=RESOLV_CONF
        )
        volumes = {"main": mounts, "other": mounts}
        return ContainerPlace(f"uid-{name}", self.pod(name), self.netns, name, volumes, **more)

    async def start(
        self,
        *argv: str,
        name: str = "debug",
        container: str = "main",
        mounts: Sequence[Mount] = (),
        read_only: bool = False,
        **how: Any,
    ) -> SandboxProcess:
        command = Command(argv, base_environment(name), **how)
        place = self.place(name, *mounts, read_only=frozenset((container,) * read_only))
        return await self.sandboxes.start(place, container, command, attempt=next(self.attempts))

    async def output(self, *argv: str, **how: Any) -> tuple[int, str]:
        """Exit code and whole log of a command that was a pod's process."""
        started = await self.start(*argv, **how)
        ended = await asyncio.wait_for(started.wait(), 10)
        text = said(started)
        await self.sandboxes.remove(started.uid)
        return ended.code, text

    async def refusal(self, *argv: str, **how: Any) -> Ended:
        """How a command ended that never ran."""
        started = await self.start(*argv, **how)
        ended = await asyncio.wait_for(started.wait(), 10)
        await self.sandboxes.remove(started.uid)
        return ended

    async def runtime(self) -> int:
        """The id of the runtime."""
        return int(await self.keeper.calls.call("pid"))


@contextlib.asynccontextmanager
async def standing(directory: Path) -> AsyncIterator[Lab]:
    """A lab in a mounted directory, with a runtime; afterwards nothing of it runs."""
    owner = netns.owner(directory)
    assert owner is not None
    lab = Lab(directory, owner, userns.id_range(owner))
    lab.make_namespace()
    try:
        async with _kept(lab):
            yield lab
    finally:
        teardown.teardown(directory)
    assert process.owned(owner) == []


@contextlib.asynccontextmanager
async def _kept(lab: Lab) -> AsyncIterator[None]:
    """With a runtime of the lab's, which must not complain of anything."""
    lab.keeper = RuntimeKeeper(lab.directory, lab.owner)
    await lab.keeper.reached(lambda: lab.keeper.calls.call("pid"))
    lab.sandboxes = Sandboxes(lab.keeper.calls)
    try:
        yield
    finally:
        await lab.keeper.detach()
    if lab.directory.exists():  # a test may have taken it down
        assert paths.runtime_log(lab.directory).read_text() == ""


def said(started: SandboxProcess) -> str:
    """All that a container's process has written so far."""
    return b"".join(entry.data for entry in crilog.read(started.log)).decode()


async def logged(started: SandboxProcess, text: str) -> None:
    async with asyncio.timeout(5):
        while text not in said(started):
            await asyncio.sleep(0.01)


async def text_of(stream: AsyncIterator[bytes]) -> str:
    return b"".join([chunk async for chunk in stream]).decode()


async def finished(session: ExecSession) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of an executed command."""
    out, err, code = await asyncio.wait_for(
        asyncio.gather(text_of(session.stdout()), text_of(session.stderr()), session.wait()), 10
    )
    await session.kill()
    return code, out, err


async def executed(process: SandboxProcess, lab: Lab, *argv: str) -> tuple[int, str, str]:
    """`finished`, of a command executed beside a process."""
    command = Command(argv, base_environment("debug"))
    return await finished(await lab.sandboxes.execute(process, command))


async def read_until(
    session: ExecSession | AttachSession, wanted: str, stream: AsyncIterator[bytes]
) -> str:
    seen = ""
    async with asyncio.timeout(5):
        while wanted not in seen:
            seen += (await anext(stream)).decode()
    return seen


def processes_in(init: int, among: list[int] | None = None) -> list[int]:
    """The processes in the PID namespace of `init`; of `among`, those that still live."""
    if among is not None:
        return [pid for pid in among if lives(pid)]
    inside = Path(f"/proc/{init}/ns/pid").stat().st_ino
    found = []
    for pid in process.ids():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/ns/pid").stat().st_ino == inside and lives(pid):
                found.append(pid)
    return found


def lives(pid: int) -> bool:
    """True unless it has ended: whoever is to collect it may take a moment."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
