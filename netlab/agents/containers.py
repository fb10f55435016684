"""What pods run: built-in servers in the responder, DNS in dnsmasq, commands as processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from netlab.agents.dns import DnsAgent
from netlab.agents.draining import Draining
from netlab.agents.environment import container_variables, service_variables
from netlab.agents.podrun import PodRun, container_id, hostname
from netlab.agents.processes import PodProcesses, command_of
from netlab.client.informer import Informers
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.workload.behaviour import Behaviour, behaviour, served_pod
from netlab.workload.client import ResponderClient
from netlab.workload.sandbox import base_environment
from netlab.workload.served import ServedPod

log = logging.getLogger(__name__)

Changed = Callable[[PodRun], None]
Environments = Mapping[str, Mapping[str, str]]


class PodContainers:
    """Starts and stops all containers of pods, each in the way its image calls for."""

    def __init__(
        self,
        responder: ResponderClient,
        dns: DnsAgent,
        processes: PodProcesses,
        draining: Draining,
        informers: Informers,
        now: Callable[[], str],
    ) -> None:
        self._responder = responder
        self._draining = draining
        self._dns = dns
        self._processes = processes
        self._informers = informers
        self._now = now
        self._adopted: frozenset[str] = frozenset()
        self._starting: dict[str, asyncio.Task[None]] = {}

    async def adopt(self) -> None:
        """Note what the responder serves already: those pods' connections are left alone."""
        self._adopted = frozenset(await self._responder.list())
        await self._processes.adopt()

    async def detach(self) -> None:
        """Watch no longer; everything goes on running."""
        for task in self._starting.values():
            task.cancel()
        await asyncio.gather(*self._starting.values(), return_exceptions=True)
        await self._processes.detach()

    async def start(self, runs: Sequence[PodRun], changed: Changed) -> None:
        """Start every container of these pods; what cannot start says why in its state.

        Pods with init containers take their time, and hold up no other.
        """
        await self._start_main([run for run in runs if not run.inits], changed)
        for run in runs:
            if run.inits:
                self._starting[run.uid] = asyncio.create_task(self._start_slowly(run, changed))

    async def stop(self, run: PodRun, grace: float) -> None:
        """End everything of a pod."""
        starting = self._starting.pop(run.uid, None)
        if starting:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        await asyncio.gather(self._stop_servers(run, grace), self._processes.stop(run, grace))

    async def _stop_servers(self, run: PodRun, grace: float) -> None:
        await self._draining.wait(run.uid, grace)
        await self._responder.stop([run.uid])
        await self._dns.stop(run.uid)

    async def _start_slowly(self, run: PodRun, changed: Changed) -> None:
        """Init containers one after another, each to its end, then the others."""
        for container in run.inits:
            if not await self._initialized(run, container, changed):
                return
        await self._start_main([run], changed)
        changed(run)

    async def _initialized(self, run: PodRun, container: str, changed: Changed) -> bool:
        """Run one init container; True when it succeeded, or goes on as a sidecar."""
        state = run.state(container)
        try:
            env = self.environment(run, container)
        except NetlabError as error:
            state.wait("CreateContainerConfigError", error.message)
            changed(run)
            return False
        argv = behaviour(run.spec_of(container), env).argv
        task = self._processes.start(run, container, command_of(run, container, argv, env), changed)
        if run.is_sidecar(container):
            return True
        ended = await asyncio.shield(task)
        state.ready = ended is not None and ended.code == 0
        return state.ready

    async def _start_main(self, runs: Sequence[PodRun], changed: Changed) -> None:
        environments = {run.uid: self._environments(run) for run in runs}
        new = [run for run in runs if run.uid not in self._adopted]
        served = [pod for run in new if (pod := _served(run, environments[run.uid]))]
        problems = await self._responder.serve(served) if served else {}
        for run in runs:
            for container, env in environments[run.uid].items():
                await self._begin(run, container, env, problems.get(run.uid, []), changed)

    def behaviour_of(self, run: PodRun, container: str) -> Behaviour:
        """What a container of a running pod does."""
        return behaviour(run.spec_of(container))

    def environment(self, run: PodRun, container: str) -> dict[str, str]:
        """The environment of one container; `NetlabError` for a ConfigMap or Secret it lacks."""
        base = base_environment(hostname(run.pod))
        if meta.spec(run.pod).get("enableServiceLinks", True):
            namespace = meta.namespace(run.pod)
            base |= service_variables(self._informers["Service"].items(), namespace)
        return container_variables(_with_addresses(run), run.spec_of(container), base, self._lookup)

    def _environments(self, run: PodRun) -> dict[str, dict[str, str]]:
        """By container; one whose environment cannot be made waits, as in Kubernetes."""
        made = {}
        for name, state in run.containers.items():
            try:
                made[name] = self.environment(run, name)
            except NetlabError as error:
                state.wait("CreateContainerConfigError", error.message)
        return made

    def _lookup(self, kind: str, namespace: str, name: str) -> Object | None:
        return self._informers[kind].get(f"{namespace}/{name}")

    async def _begin(
        self,
        run: PodRun,
        container: str,
        env: Mapping[str, str],
        problems: Sequence[str],
        changed: Changed,
    ) -> None:
        found = behaviour(run.spec_of(container), env)
        if found.kind == "process":
            command = command_of(run, container, found.argv, env)
            self._processes.start(run, container, command, changed)
            return
        state = run.state(container)
        try:
            if found.kind == "dnsmasq":
                await self._dns.start(run.uid, run.netns)
        except (NetlabError, OSError) as error:
            problems = [str(error)]
        if problems:
            log.error("pod %s: %s", run.key, "; ".join(problems))
            state.wait("CreateContainerError", "; ".join(problems))
            return
        started = meta.status(run.pod).get("startTime")
        state.begin(str(started or self._now()), container_id(run, container))
        state.ready = True


def _with_addresses(run: PodRun) -> Object:
    """The pod as its own environment sees it: its addresses are known before its status says so."""
    status = {
        **meta.status(run.pod),
        "podIP": run.ips[0],
        "podIPs": [{"ip": address} for address in run.ips],
    }
    return {**run.pod, "status": status}


def _served(run: PodRun, environments: Environments) -> ServedPod | None:
    if environments.keys() != run.containers.keys():
        return None
    return served_pod(run.pod, str(run.netns), run.ips, environments)
