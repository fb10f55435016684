"""exec, attach, logs and connections: what clients of the API may reach inside the lab's pods."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Sequence

from netlab.agents import containerlogs
from netlab.agents.kubelet import Kubelet
from netlab.agents.podrun import PodRun
from netlab.errors import ApiError, BadRequest, NetlabError, NotFound
from netlab.kernel import netns
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.workload.behaviour import behaviour
from netlab.workload.session import AttachSession, ExecSession


class LabStreams:
    """Implements `api.streams.PodStreams`; answers once the agents are there (`connect`)."""

    def __init__(self) -> None:
        self._kubelet: Kubelet | None = None

    def connect(self, kubelet: Kubelet) -> None:
        """From now on, these are the pods."""
        self._kubelet = kubelet

    async def exec(
        self, pod: Object, container: str, argv: Sequence[str], *, stdin: bool, tty: bool
    ) -> ExecSession:
        """Run a command beside what the container runs."""
        run = self._run(pod)
        try:
            return await self._ready().commands.start(run, container, argv, stdin=stdin, tty=tty)
        except ApiError:
            raise
        except NetlabError as error:
            raise ApiError(error.message, hint=error.hint) from error

    async def attach(self, pod: Object, container: str, *, stdin: bool, tty: bool) -> AttachSession:
        """Join the container's own process; a built-in server has none to join."""
        del stdin, tty  # the process has what its container's spec gave it
        run = self._run(pod)
        known = await self._ready().commands.process(run, container)
        if known is None:
            raise BadRequest(
                f"container {container} is a built-in server: there is no process to attach to",
                hint=f"netlab exec -it {meta.name(pod)} -- sh, or netlab logs -f {meta.name(pod)}",
            )
        return await known.attach()

    async def dial(
        self, pod: Object, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TCP connection to a port on the pod's own loopback."""
        with netns.entered(self._run(pod).netns):
            sock = socket.socket()  # it stays in that namespace
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            return await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise

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
        """What the container wrote; for a built-in server, its access log; of `pause`, nothing."""
        kubelet, run = self._ready(), self._run(pod)
        wanted = containerlogs.LogOptions(follow, tail_lines, since, timestamps)
        known = await kubelet.commands.process(run, container)
        if previous:
            entries = containerlogs.of_previous(run, container)
        elif known is not None:
            entries = containerlogs.of_process(known, wanted)
        elif behaviour(run.spec_of(container)).kind != "server":
            entries = containerlogs.of_silent(run, container, wanted)
        else:
            entries = containerlogs.of_server(kubelet.keeper.client, run, container, wanted)
        async for chunk in containerlogs.rendered(entries, wanted):
            yield chunk

    def _ready(self) -> Kubelet:
        if self._kubelet is None:
            raise ApiError("the lab is starting", code=503, reason="ServiceUnavailable")
        return self._kubelet

    def _run(self, pod: Object) -> PodRun:
        run = self._ready().run_of(meta.key(pod))
        if run is None or run.uid != meta.uid(pod):
            raise NotFound(f'pod "{meta.name(pod)}" does not run')
        return run
