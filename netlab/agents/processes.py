"""Containers that are commands: started in their sandbox, watched, restarted as their pod asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from netlab.agents.podrun import PodRun, container_id, hostname
from netlab.agents.podstatus import ContainerState, restart_policy
from netlab.dns.config import resolv_conf
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.lab import Lab
from netlab.workload import rootfs
from netlab.workload.sandbox import (
    Command,
    Ended,
    Place,
    Sandboxes,
    SandboxProcess,
    base_environment,
    privileges,
)

log = logging.getLogger(__name__)

Changed = Callable[[PodRun], None]

BACK_OFF_FIRST, BACK_OFF_CAP = 10.0, 300.0
"""Seconds before the second restart of a crashing container, and the most; the first is at once."""

CALM = 600.0
"""Seconds of running after which a container's crashes are forgotten."""

NO_START = 128
"""The exit code that a runtime gives a container which could not be started."""


@dataclass(frozen=True)
class Names:
    """What a pod's resolv.conf is made of: the kube-dns address, the domain, the node's own."""

    dns: str
    domain: str
    upstreams: tuple[str, ...]


class PodProcesses:
    """All containers of the lab that are commands."""

    def __init__(self, sandboxes: Sandboxes, lab: Lab, dns: str, now: Callable[[], str]) -> None:
        self.sandboxes = sandboxes
        self._names = Names(dns, lab.dns.domain, lab.external.gateway_ips)
        self._now = now
        self._tasks: dict[str, list[asyncio.Task[Ended | None]]] = {}
        self._known: dict[tuple[str, str], SandboxProcess] = {}

    async def adopt(self) -> None:
        """Learn what a former controller started; `start` then takes that over."""
        self._known = await self.sandboxes.processes()

    async def detach(self) -> None:
        """Watch no longer; the processes go on."""
        tasks = [task for tasks in self._tasks.values() for task in tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def start(
        self, run: PodRun, container: str, command: Command, changed: Changed
    ) -> asyncio.Task[Ended | None]:
        """Start, or adopt, a container's command and keep it as the restart policy says.

        The task ends when the container will not run again; its result is how it ended.
        """
        task = asyncio.create_task(
            self._live(run, container, command, changed), name=f"{run.key} {container}"
        )
        self._tasks.setdefault(run.uid, []).append(task)
        return task

    async def stop(self, run: PodRun, grace: float) -> None:
        """TERM all processes of a pod, KILL what is left after `grace` seconds."""
        tasks = self._tasks.pop(run.uid, [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        running = await self.running(run.uid)
        await asyncio.gather(*(process.kill(grace) for process in running))
        await self.sandboxes.remove(run.uid)

    async def running(self, uid: str) -> list[SandboxProcess]:
        """The processes of a pod that have not ended."""
        found = await self.sandboxes.processes()
        return [p for (pod, _), p in found.items() if pod == uid and p.ended is None]

    def place(self, run: PodRun) -> Place:
        """Where the pod's commands run; writes the files its containers share."""
        name = hostname(run.pod)
        hosts = rootfs.hosts_file(name, run.ips) + _host_aliases(run)
        rootfs.write_pod_files(
            run.directory, hostname=name, hosts=hosts, resolv_conf=pod_resolv_conf(run, self._names)
        )
        return Place(run.uid, run.directory, run.netns, name)

    async def _live(
        self, run: PodRun, container: str, command: Command, changed: Changed
    ) -> Ended | None:
        state = run.state(container)
        process = self._known.pop((run.uid, container), None)
        while True:
            try:
                process = process or await self._start(run, container, command, state)
            except (NetlabError, OSError) as error:
                log.error("pod %s: container %s: %s", run.key, container, error)
                state.wait("RunContainerError", str(error))
                changed(run)
                return None
            ended = await self._until_ended(run, container, state, process, changed)
            process = None
            if not _restarts(run, container, ended):
                return ended
            await self._back_off(run, state, ended, changed)
            state.restarts += 1

    async def _start(
        self, run: PodRun, container: str, command: Command, state: ContainerState
    ) -> SandboxProcess:
        place = self.place(run)
        return await self.sandboxes.start(place, container, command, attempt=state.restarts)

    async def _until_ended(
        self,
        run: PodRun,
        container: str,
        state: ContainerState,
        process: SandboxProcess,
        changed: Changed,
    ) -> Ended:
        state.begin(_time(process.started), container_id(run, container))
        if process.ended is None:
            state.ready = True
            changed(run)
        ended = process.ended or await process.wait()
        failed_to_start = ended.reason == "StartError"
        state.end(_time(ended.finished), NO_START if failed_to_start else ended.code)
        state.reason, state.message = ended.reason, ended.message
        changed(run)
        return ended

    async def _back_off(
        self, run: PodRun, state: ContainerState, ended: Ended, changed: Changed
    ) -> None:
        if ended.finished - ended.started > CALM:
            state.crashes = 0
        state.crashes += 1
        if state.crashes > 1:
            seconds = min(BACK_OFF_FIRST * 2.0 ** (state.crashes - 2), BACK_OFF_CAP)
            state.wait(
                "CrashLoopBackOff",
                f"back-off {seconds:.0f}s restarting failed container={state.name} "
                f"pod={meta.name(run.pod)}_{meta.namespace(run.pod)}({run.uid})",
            )
            changed(run)
            await asyncio.sleep(seconds)


def command_of(
    run: PodRun,
    container: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    tty: bool | None = None,
    stdin: bool | None = None,
) -> Command:
    """A command in a container, run as the container's entry in the pod's spec wants it.

    `tty` and `stdin` are the entry's own, unless they are given (for exec).
    """
    spec = run.spec_of(container)
    tty = bool(spec.get("tty")) if tty is None else tty
    return Command(
        tuple(argv),
        {**base_environment(hostname(run.pod), tty=tty), **env},
        tty=tty,
        stdin=bool(spec.get("stdin")) if stdin is None else stdin,
        stdin_once=bool(spec.get("stdinOnce")),
        directory=str(spec.get("workingDir") or "/"),
        privileges=privileges(meta.spec(run.pod), spec),
    )


def pod_resolv_conf(run: PodRun, names: Names) -> str:
    """A pod's /etc/resolv.conf, by its dnsPolicy and dnsConfig."""
    spec = meta.spec(run.pod)
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "Default":
        text = "".join(f"nameserver {address}\n" for address in names.upstreams)
    elif policy == "None":
        text = ""
    else:
        text = resolv_conf(meta.namespace(run.pod), names.dns, names.domain)
    return text + _dns_config(spec.get("dnsConfig") or {})


def _dns_config(config: Mapping[str, Sequence[object]]) -> str:
    lines = [f"nameserver {address}" for address in config.get("nameservers") or ()]
    if config.get("searches"):
        lines.append("search " + " ".join(str(domain) for domain in config["searches"]))
    for option in config.get("options") or ():
        assert isinstance(option, dict)
        value = f":{option['value']}" if option.get("value") else ""
        lines.append(f"options {option.get('name')}{value}")
    return "".join(f"{line}\n" for line in lines)


def _host_aliases(run: PodRun) -> str:
    aliases = meta.spec(run.pod).get("hostAliases") or []
    return "".join(f"{alias['ip']}\t{' '.join(alias['hostnames'])}\n" for alias in aliases)


def _restarts(run: PodRun, container: str, ended: Ended) -> bool:
    """Whether the pod wants this container run again; init containers only until they succeed."""
    policy = restart_policy(run.pod)
    if container in run.inits and not run.is_sidecar(container):
        return ended.code != 0 and policy != "Never"
    if policy == "Always" or run.is_sidecar(container):
        return True
    return policy == "OnFailure" and ended.code != 0


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
