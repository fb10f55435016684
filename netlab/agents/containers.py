"""What pods run: built-in servers in the responder, DNS in dnsmasq, commands as processes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from netlab.agents.dns import DnsAgent
from netlab.agents.environment import container_variables, service_variables
from netlab.agents.podrun import PodRun
from netlab.client.informer import Informers
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.workload.behaviour import PATH, Behaviour, behaviour, served_pod
from netlab.workload.client import ResponderClient
from netlab.workload.served import ServedPod

log = logging.getLogger(__name__)

Changed = Callable[[PodRun], None]
Environments = Mapping[str, Mapping[str, str]]


class Processes(Protocol):
    """Runs containers that are commands."""

    async def start(
        self,
        run: PodRun,
        container: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        changed: Changed,
    ) -> None:
        """Start, or adopt, the container's process; from then on its restart policy holds."""

    async def stop(self, run: PodRun, grace: float) -> None:
        """End all processes of the pod."""


class PodContainers:
    """Starts and stops all containers of pods, each in the way its image calls for."""

    def __init__(
        self,
        responder: ResponderClient,
        dns: DnsAgent,
        processes: Processes,
        informers: Informers,
        now: Callable[[], str],
    ) -> None:
        self._responder = responder
        self._dns = dns
        self._processes = processes
        self._informers = informers
        self._now = now
        self._adopted: frozenset[str] = frozenset()

    async def adopt(self) -> None:
        """Note what the responder serves already: those pods' connections are left alone."""
        self._adopted = frozenset(await self._responder.list())

    async def start(self, runs: Sequence[PodRun], changed: Changed) -> None:
        """Start every container of these pods; what cannot start says why in its state."""
        environments = {run.uid: self._environments(run) for run in runs}
        new = [run for run in runs if run.uid not in self._adopted]
        served = [pod for run in new if (pod := _served(run, environments[run.uid]))]
        problems = await self._responder.serve(served) if served else {}
        for run in runs:
            for container, env in environments[run.uid].items():
                await self._begin(run, container, env, problems.get(run.uid, []), changed)

    async def stop(self, run: PodRun, grace: float) -> None:
        """End everything of a pod."""
        await self._responder.stop([run.uid])
        await self._dns.stop(run.uid)
        await self._processes.stop(run, grace)

    def behaviour_of(self, run: PodRun, container: str) -> Behaviour:
        """What a container of a running pod does."""
        return behaviour(run.spec_of(container))

    def environment(self, run: PodRun, container: str) -> dict[str, str]:
        """The environment of one container; `NetlabError` for a ConfigMap or Secret it lacks."""
        base = {"PATH": PATH, "HOSTNAME": hostname(run.pod), "HOME": "/root"}
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
            await self._processes.start(run, container, found.argv, env, changed)
            return
        state = run.containers[container]
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


def hostname(pod: Object) -> str:
    """`spec.hostname`, or the pod's name cut to what a host name may be."""
    return str(meta.spec(pod).get("hostname") or meta.name(pod)[:63].rstrip("-."))


def container_id(run: PodRun, container: str) -> str:
    """A name for this start of a container: 64 hexadecimal digits, as runtimes give them."""
    restarts = run.containers[container].restarts
    return hashlib.sha256(f"{run.uid}/{container}/{restarts}".encode()).hexdigest()


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
