"""The process that keeps pods' own processes: `python -m netlab.workload.runtime LAB`.

LAB is the lab's directory. It outlives the controller, and the responder's end does not concern it:
it is the parent of all pods' commands, has their exit codes and their terminals, and writes what
they say into their log files. It talks to nobody on the network.

It lives in a mount namespace of its own, in which /run holds what belongs to it, and nothing of
the machine's:

    /run/pods     the pods' directories: their files, logs, and volumes made of objects
    /run/disks    volumes that outlive their pods
    /run/scratch  pods' own empty volumes, each a tmpfs
    /run/roots    containers' roots while they are made
    /run/crun     crun's notes
    /run/cgroup   control groups, where crun must not see them

`control` has the protocol. Three requests are streams: `watch` (`{"ended": false}` whenever a
container's log has grown, `true` at its end), `attach` and `exec` (`frames`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from netlab.errors import KernelRefused
from netlab.kernel import basedir, mounts, netns, occupants, paths, syscalls, userns
from netlab.workload import attach, control, frames
from netlab.workload.bounding import Bounding
from netlab.workload.bundle import Bundles
from netlab.workload.control import Calling, Control, ControlSession, Json
from netlab.workload.crun import Crun
from netlab.workload.processes import Processes
from netlab.workload.reaper import Reaper

PRIVATE = Path("/run")
_CGROUPS = Path("/sys/fs/cgroup")


class Runtime:
    """What a controller may ask for."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.control = Control(
            {
                "run": self._processes.run,
                "processes": self._states,
                "wait": self._wait,
                "kill": self._kill,
                "remove": self._remove,
                "usage": self._usage,
            },
            {"watch": self._watch, "attach": self._attach, "exec": self._exec},
        )

    async def _states(self, _: Json) -> list[Json]:
        return self._processes.states()

    async def _wait(self, request: Json) -> Json:
        return await self._processes.find(request).wait()

    async def _kill(self, request: Json) -> Json:
        return await self._processes.find(request).kill(request["grace"])

    async def _remove(self, request: Json) -> None:
        await self._processes.remove(request["uid"], request["keep"])

    async def _usage(self, request: Json) -> Json:
        return self._processes.usage(request["uids"])

    async def _watch(self, request: Json, session: ControlSession) -> None:
        container = self._processes.find(request)

        def tell() -> None:
            session.send({"ended": container.has_ended})

        with contextlib.closing(Calling(container.watch(tell))):
            tell()
            await session.until_closed()

    async def _attach(self, request: Json, session: ControlSession) -> None:
        with _refusing(session):
            running = self._processes.find(request)
            await attach.serve(running, session.reader, session.writer)

    async def _exec(self, request: Json, session: ControlSession) -> None:
        with _refusing(session):
            executed = await self._processes.execute(request)
            try:
                await attach.serve(executed, session.reader, session.writer)
            finally:
                await executed.kill()


@contextlib.contextmanager
def _refusing(session: ControlSession) -> Iterator[None]:
    """Say in a frame why a stream of frames does not begin."""
    try:
        yield
    except Exception as error:  # whatever it is, the caller waits for an answer
        session.writer.write(frames.frame(frames.REFUSED, control.refusal(error).encode()))


def confine(lab: Path) -> None:
    """Leave the machine's mounts, taking along only what of the lab containers are made of."""
    mounts.leave_machines_mounts()
    with contextlib.ExitStack() as stack:
        kept = {}
        for directory in (paths.pods(lab), paths.disks(lab)):
            place = stack.enter_context(mounts.opened(directory))
            kept[directory.name] = stack.enter_context(mounts.taken(place, "nosuid", "nodev"))
        _forget_labs(lab)
        with mounts.opened(PRIVATE) as run:
            mounts.mount("tmpfs", run, "mode=0711")
        for name in ("pods", "disks", "scratch", "roots", "crun"):
            (PRIVATE / name).mkdir(mode=0o711)
        for name, tree in kept.items():
            with mounts.opened(PRIVATE / name) as target:
                mounts.attach(tree, target)
    if (_CGROUPS / "unified").is_mount():
        _hide_hierarchies()
    elif not _CGROUPS.is_mount():
        _show_no_hierarchies()


def _hide_hierarchies() -> None:
    """crun refuses to work where it sees control groups of both versions, needed or not: from now
    on we have them in another place."""
    with mounts.opened(_CGROUPS) as place, mounts.taken(place, recursive=True) as tree:
        elsewhere = PRIVATE / "cgroup"
        elsewhere.mkdir(mode=0o700)
        with mounts.opened(elsewhere) as target:
            mounts.attach(tree, target)
        mounts.mount("tmpfs", place, "mode=0755")


def _show_no_hierarchies() -> None:
    """crun refuses to work where there is nothing mounted either, as in a bare `unshare`."""
    with mounts.opened(_CGROUPS) as place:
        mounts.mount("tmpfs", place, "mode=0755")


def _forget_labs(lab: Path) -> None:
    """Let go of our copies of labs' mounts, or their namespaces would live as long as we do.

    And take no further ones: labs come to the same mount.
    """
    for mounted in basedir.labs_mounted():
        with contextlib.suppress(KernelRefused):  # in a container: one of the machine's, locked
            syscalls.unmount(mounted)
    mounts.make_private(next(each for each in lab.parents if each.is_mount()))


async def serve(lab: Path) -> None:
    """Serve until TERM or INT."""
    listening = control.listen(paths.runtime_socket(lab))
    spaces = os.open(paths.namespaces(lab), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    owner = netns.owner(lab) or ""
    ids = userns.id_range(owner)
    occupants.end(lab)  # what a runtime that was killed has left: nobody knows of it any more
    confine(lab)
    reaper = Reaper()
    bundles = Bundles(PRIVATE, lab, spaces, ids)
    bundles.make_ready()
    processes = Processes(Crun(PRIVATE / "crun", reaper, ids), bundles, Bounding(owner))
    await control.serve(Runtime(processes).control, listening)


def run(lab: Path) -> None:
    """Serve until TERM or INT."""
    os.umask(0o022)
    asyncio.run(serve(lab))


if __name__ == "__main__":
    control.main("netlab.workload.runtime", "LAB", run)
