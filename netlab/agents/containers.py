"""What pods run: built-in servers in the responder, programs of ours, commands as processes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from netlab.agents import images
from netlab.agents.certificates import PodCertificates
from netlab.agents.commands import command_of, is_process
from netlab.agents.configuration import PodConfiguration
from netlab.agents.draining import Draining
from netlab.agents.lifecycle import Lifecycle
from netlab.agents.podevents import full_name
from netlab.agents.podprograms import PodPrograms
from netlab.agents.podrun import PodRun, container_log
from netlab.agents.podtasks import PodTasks
from netlab.agents.processes import PodProcesses, on_disk
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.agents.servers import PodServers
from netlab.agents.volumes import VolumeLacks, Volumes
from netlab.errors import NetlabError, in_words
from netlab.kernel.userns import IdRange
from netlab.objects import meta
from netlab.tasks import Background
from netlab.workload import crilog
from netlab.workload.behaviour import behaviour, entered
from netlab.workload.catalogue import catalogue
from netlab.workload.sandbox import Command

log = logging.getLogger(__name__)

RETRY = 10.0
"""Seconds before what could not be made is tried again, if nothing changes meanwhile."""

LACKING = ("ContainerCreating", "CreateContainerConfigError")
"""What a container waits for that lacks a volume, or what it is configured with."""

Wanted = tuple[PodRun, str]

T = TypeVar("T")


class PodContainers:
    """Starts and stops all containers of pods, each in the way its image calls for."""

    def __init__(
        self,
        keeper: ResponderKeeper,
        processes: PodProcesses,
        programs: PodPrograms,
        draining: Draining,
        configuration: PodConfiguration,
        volumes: Volumes,
        lifecycle: Lifecycle,
        certificates: PodCertificates,
        tasks: PodTasks,
        ids: IdRange | None = None,
    ) -> None:
        self._servers = PodServers(
            keeper, lifecycle, self._start_configured, certificates, processes.kill
        )
        self._processes = processes
        self._programs = programs
        self._tasks = tasks
        self._ids = ids
        self._draining = draining
        self._configuration = configuration
        self._volumes = volumes
        self._lifecycle = lifecycle
        self._starting = Background()
        self._entering: dict[str, asyncio.Lock] = {}

    async def adopt(self, known: Collection[str]) -> None:
        """Note what runs already, and end what belongs to none of the pods `known` by uid."""
        served, running = await self._servers.adopt(), await self._processes.adopt()
        for uid in served - set(known) - {"internet"}:
            await self._servers.forget(uid)
        for uid in running - set(known):
            await self._processes.forget(uid)

    async def detach(self) -> None:
        """Watch no longer; everything goes on running."""
        await self._starting.stop_all()
        await self._servers.detach()
        await self._processes.detach()
        await self._programs.detach()
        await self._tasks.detach()

    async def start(self, runs: Sequence[PodRun]) -> None:
        """Start every container of these pods; what cannot start says why in its state.

        Pods with init containers take their time, and hold up no other.
        """
        at_once = [run for run in runs if not run.inits]
        await self._start_all([(run, name) for run in at_once for name in run.containers])
        for run in runs:
            if run.inits:
                self._background(run, self._start_slowly(run))
            left = [name for name, state in run.ephemeral.items() if state.exit_code is None]
            await self.add(run, left)

    async def add(self, run: PodRun, names: Sequence[str]) -> None:
        """Start containers that came while the pod ran, or that a former controller has left."""
        await self._start_all([(run, name) for name in names])

    async def enter(self, run: PodRun, name: str) -> None:
        """Somebody is about to go into a container: a built-in server that has files becomes a
        process of the pod, whose files they are. One that is about to end stays what it is."""
        if run.stopping or name in run.entered or entered(run.spec_of(name)) is None:
            return
        async with self._entering.setdefault(run.uid, asyncio.Lock()):
            if name in run.entered or not run.state(name).running:
                return
            try:
                await self._become_process(run, name)
            except (NetlabError, OSError) as error:
                log.warning("pod %s: container %s stays built in: %s", run.key, name, error)

    async def _become_process(self, run: PodRun, name: str) -> None:
        past = container_log(run, name)
        past.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = await self._servers.past(run, name)
        past.write_bytes(b"".join(crilog.entry(seconds, text) for seconds, text in lines))
        first = self._command(run, name, as_entered=True)
        user = first.privileges.user
        await self._servers.share(run, name, self._ids.outside(user) if self._ids else user)
        command, leave = partial(self._command, run, name), partial(self._servers.leave, run, name)
        await self._processes.succeed(run, name, first, command, leave)

    async def stop(self, run: PodRun, grace: float) -> None:
        """End everything of a pod, within `grace` seconds or by force."""
        await self._starting.stop(run.uid)
        self._entering.pop(run.uid, None)
        self._lifecycle.ending(run)
        for name in run.names:
            if run.state(name).running and not run.unseen:
                self._lifecycle.events.stopping(run, name)
        try:
            await asyncio.gather(self._stop_servers(run, grace), self._processes.stop(run, grace))
        finally:
            self._lifecycle.quiet(run)
        await self._processes.forget(run.uid, on_disk(run.pod) if run.unseen else ())
        await self._programs.forget(run)

    async def _stop_servers(self, run: PodRun, grace: float) -> None:
        names = [name for name in run.names if not is_process(run, name)]
        hooks = (self._lifecycle.pre_stop(run, name, grace) for name in names)
        await asyncio.gather(self._draining.wait(run.uid, grace), *hooks)
        if names:
            self._lifecycle.quiet(run, *names)
        await self._servers.stop(run, names)
        await self._programs.stop(run)
        await self._tasks.stop(run)

    # -- starting --------------------------------------------------------------------------

    def _background(self, run: PodRun, work: Coroutine[Any, Any, None]) -> None:
        self._starting.start(run.uid, work, f"start {run.key}")

    async def _start_all(self, wanted: Sequence[Wanted]) -> None:
        """Start containers, servers all in one message; who lacks configuration is tried later."""
        servers = []
        for run, name in wanted:
            try:
                env = self._start_one(run, name)
            except Exception as error:
                self._background(run, self._start_later(run, name, error))
                continue
            if env is not None:
                servers.append((run, name, env))
        await self._servers.start(servers)

    def _start_one(self, run: PodRun, name: str) -> dict[str, str] | None:
        """Start a container; of a server, return the environment that it is to have."""
        if self._is_adopted(run, name):  # whatever has become of its configuration
            self._start_process(run, name)
            return None
        env = None if images.is_lacking(run, name) else self._environment(run, name)
        if env is None:
            self._background(run, self._start_configured(run, name))
            return None
        found = behaviour(run.spec_of(name), env)
        run.state(name).services_seen = self._configuration.services_seen
        if found.kind == "process":
            self._start_process(run, name)
        elif found.kind == "program":
            self._background(run, self._programs.start(run, name))
        elif found.kind == "task":
            self._tasks.start(run, name, found.task, found.argv)
        elif run.shares_processes and entered(run.spec_of(name), env) is not None:
            run.entered.add(name)  # it is to be seen
            self._start_process(run, name)
        else:
            if found.message:
                self._lifecycle.events.unconfigured(run, found.message)
            return env
        return None

    async def _start_later(self, run: PodRun, name: str, error: Exception) -> None:
        """What is wrong with it nobody foresaw: say so, and try again."""
        seen = self._configuration.changes.count(meta.namespace(run.pod))
        await self._unforeseen(run, name, error, seen)
        await self._start_configured(run, name)

    async def _done(self, run: PodRun, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do what is to be done for a container, again after what nobody foresaw."""
        while True:
            seen = self._configuration.changes.count(meta.namespace(run.pod))
            try:
                return await work()
            except Exception as error:
                await self._unforeseen(run, name, error, seen)

    async def _unforeseen(self, run: PodRun, name: str, error: Exception, seen: int) -> None:
        message = in_words(error)
        log.error("pod %s: container %s: %s", run.key, name, message, exc_info=error)
        self._lifecycle.events.failed(run, message)
        self._wait(run, name, "CreateContainerError", message)
        await self._configuration.changes.after(meta.namespace(run.pod), seen, RETRY)

    def _is_adopted(self, run: PodRun, name: str) -> bool:
        """Whether a container is a process already. A built-in server is one if that runs: if it
        has ended, perhaps it never was."""
        if not self._processes.is_adoptable(run, name):
            return False
        if entered(run.spec_of(name)) is not None:
            if not self._processes.runs(run, name):
                return False
            run.entered.add(name)
            self._background(run, self._servers.leave(run, name))
        return True

    def _environment(self, run: PodRun, name: str) -> dict[str, str] | None:
        """The container's environment; None, and it waits, if that or a volume cannot be made."""
        try:
            refuse_root(run, name)
            self._volumes.prepare(run, for_servers=not is_process(run, name))
            env = self._configuration.environment(run, name)
            self._volumes.check_paths(run, name, env)
            return env
        except VolumeLacks as error:
            if run.state(name).message != error.message:
                self._lifecycle.events.failed_volume(run, error.failure)
            self._wait(run, name, LACKING[0], error.message)
        except NetlabError as error:
            if run.state(name).message != error.message:
                self._lifecycle.events.failed(run, error.message)
            self._wait(run, name, LACKING[1], error.message)
        return None

    def _wait(self, run: PodRun, name: str, reason: str, message: str) -> None:
        if run.state(name).message != message:
            run.state(name).wait(reason, message)
            run.changed()

    async def _configured(self, run: PodRun, name: str) -> dict[str, str]:
        """The container's environment, as soon as there is its image and it can be made."""
        if images.is_lacking(run, name):
            await images.pulled(run, name, self._lifecycle.events)
        while (env := self._environment(run, name)) is None:
            with contextlib.suppress(TimeoutError):  # a full disk gets room again untold
                async with asyncio.timeout(RETRY):
                    await self._configuration.changed()
        if run.state(name).waiting in LACKING:  # now nobody has to do anything any more
            self._wait(run, name, "ContainerCreating", "")
        return env

    async def _start_configured(self, run: PodRun, name: str) -> None:
        await self._done(run, name, partial(self._configured, run, name))
        await self._start_all([(run, name)])

    def _start_process(self, run: PodRun, name: str) -> asyncio.Task[Any]:
        return self._processes.start(run, name, partial(self._command, run, name))

    def _command(self, run: PodRun, name: str, *, as_entered: bool = False) -> Command:
        """A container's command; `NetlabError` when its configuration has gone meanwhile."""
        seen = run.state(name).services_seen if as_entered else None
        env = self._configuration.environment(run, name, seen)
        found = behaviour(run.spec_of(name), env)
        if as_entered or name in run.entered:
            found = entered(run.spec_of(name), env) or found
        return command_of(run, name, found.argv, env, announces=found.announces)

    async def _start_slowly(self, run: PodRun) -> None:
        """Init containers one after another, each to its end, then the others."""
        for name in run.inits:
            if not await self._done(run, name, partial(self._initialized, run, name)):
                return
        await self._start_all([(run, name) for name in run.containers])

    async def _initialized(self, run: PodRun, name: str) -> bool:
        """Run one init container; True when it succeeded, or goes on as a sidecar."""
        env = await self._configured(run, name)
        found = behaviour(run.spec_of(name), env)
        if found.kind == "task":
            return await self._tasks.start(run, name, found.task, found.argv) == 0
        if found.kind != "process":
            # A server never ends, so nothing after it would start: only a sidecar may be one.
            await self._start_all([(run, name)])
            return run.is_sidecar(name)
        task = self._start_process(run, name)
        if run.is_sidecar(name):
            return True
        ended = await asyncio.shield(task)
        return ended is not None and ended.code == 0


def refuse_root(run: PodRun, name: str) -> None:
    """`NetlabError` if a container would be root and must not, in the kubelet's words.

    No image is here to say whose it is: those of Docker's own library are root's, of others it is
    not known.
    """
    pod = meta.spec(run.pod).get("securityContext") or {}
    container = run.spec_of(name)
    own = container.get("securityContext") or {}
    user = own.get("runAsUser", pod.get("runAsUser"))
    if not own.get("runAsNonRoot", pod.get("runAsNonRoot")) or user:
        return
    where = f'(pod: "{full_name(run)}", container: {name})'
    if user == 0:
        raise NetlabError(f"container's runAsUser breaks non-root policy {where}")
    if "/" not in catalogue().image(container.get("image") or "").repository:
        raise NetlabError(f"container has runAsNonRoot and image will run as root {where}")
