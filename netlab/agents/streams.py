"""exec, attach and logs: what clients of the API may reach inside the lab's pods."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from netlab.agents import containerlogs
from netlab.agents.containers import PodContainers
from netlab.agents.podrun import PodRun
from netlab.agents.pods import PodAgent
from netlab.agents.processes import PodProcesses, command_of
from netlab.errors import ApiError, BadRequest, NetlabError, NotFound
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.workload.client import ResponderClient
from netlab.workload.sandbox import SandboxProcess
from netlab.workload.session import AttachSession, ExecSession


class LabStreams:
    """Implements `api.streams.PodStreams`; answers once the agents are there (`connect`)."""

    def __init__(self) -> None:
        self._agents: tuple[PodAgent, PodContainers, PodProcesses, ResponderClient] | None = None

    def connect(
        self,
        pods: PodAgent,
        containers: PodContainers,
        processes: PodProcesses,
        responder: ResponderClient,
    ) -> None:
        """From now on, these are the pods."""
        self._agents = (pods, containers, processes, responder)

    async def exec(
        self, pod: Object, container: str, argv: Sequence[str], *, stdin: bool, tty: bool
    ) -> ExecSession:
        """Run a command beside what the container runs."""
        _, containers, processes, _ = self._ready()
        run = self._run(pod)
        try:
            process = await self._process(run, container)
            env = containers.environment(run, container)
            command = command_of(run, container, argv, env, tty=tty, stdin=stdin)
            return await processes.sandboxes.execute(process, command)
        except ApiError:
            raise
        except NetlabError as error:
            raise ApiError(error.message, hint=error.hint) from error

    async def attach(self, pod: Object, container: str, *, stdin: bool, tty: bool) -> AttachSession:
        """Join the container's own process; a built-in server has none to join."""
        del stdin, tty  # the process has what its container's spec gave it
        _, _, processes, _ = self._ready()
        run = self._run(pod)
        known = (await processes.sandboxes.processes()).get((run.uid, container))
        if known is None:
            raise BadRequest(
                f"container {container} is a built-in server: there is no process to attach to",
                hint=f"netlab exec -it {meta.name(pod)} -- sh, or netlab logs -f {meta.name(pod)}",
            )
        return await known.attach()

    async def logs(
        self,
        pod: Object,
        container: str,
        *,
        follow: bool,
        tail_lines: int | None,
        since: float | None,
        timestamps: bool,
        previous: bool,
    ) -> AsyncGenerator[bytes, None]:
        """What the container wrote; for a built-in server, its access log."""
        _, _, processes, responder = self._ready()
        run = self._run(pod)
        wanted = containerlogs.Wanted(follow, tail_lines, since, timestamps)
        known = (await processes.sandboxes.processes()).get((run.uid, container))
        if previous:
            entries = containerlogs.of_previous(run, container)
        elif known is not None:
            entries = containerlogs.of_process(known, wanted)
        else:
            entries = containerlogs.of_server(responder, run.uid, container, wanted)
        async for chunk in containerlogs.rendered(entries, wanted):
            yield chunk

    def _ready(self) -> tuple[PodAgent, PodContainers, PodProcesses, ResponderClient]:
        if self._agents is None:
            raise ApiError("the lab is starting", code=503, reason="ServiceUnavailable")
        return self._agents

    def _run(self, pod: Object) -> PodRun:
        run = self._ready()[0].runs.get(meta.key(pod))
        if run is None or run.uid != meta.uid(pod):
            raise NotFound(f'pod "{meta.name(pod)}" does not run')
        return run

    async def _process(self, run: PodRun, container: str) -> SandboxProcess:
        """The process whose namespaces an exec enters."""
        _, containers, processes, _ = self._ready()
        state = run.state(container)
        if not state.running:
            raise BadRequest(f'container not found ("{container}"): it is not running')
        if containers.behaviour_of(run, container).kind != "process":
            return await processes.sandboxes.idle(processes.place(run))
        known = (await processes.sandboxes.processes()).get((run.uid, container))
        if known is None:
            raise NotFound(f'container "{container}" has no process')
        return known
