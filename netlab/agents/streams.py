"""exec, attach, logs and connections: what clients of the API may reach inside a node's pods."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from netlab.agents import containerlogs
from netlab.agents.pod_runtime import PodRuntime
from netlab.agents.podprograms import program_log
from netlab.agents.podrun import PodRun, container_log
from netlab.client.kubelets import ContainerRef, LogOptions, PodRef
from netlab.errors import ApiError, BadRequest, KernelRefused, NetlabError, NotFound
from netlab.kernel import netns
from netlab.objects.addresses import join_host_port
from netlab.workload.behaviour import behaviour
from netlab.workload.session import AttachSession, ExecSession

_CHUNK = 32 * 1024
_DIAL_SECONDS = 30.0


class KubeletStreams:
    """Implements `client.kubelets.PodStreams` for the pods of one node, which are in `runs` by
    `namespace/name`; `node` is its own network namespace."""

    def __init__(self, pod_runtime: PodRuntime, runs: Mapping[str, PodRun], node: Path) -> None:
        self._runtime = pod_runtime
        self._runs = runs
        self._node = node

    async def exec(
        self, at: ContainerRef, argv: Sequence[str], *, stdin: bool, tty: bool
    ) -> ExecSession:
        """Run a command beside what the container runs."""
        run = self._run(at.pod)
        try:
            return await self._runtime.commands.start(run, at.container, argv, stdin=stdin, tty=tty)
        except ApiError:
            raise
        except NetlabError as error:
            raise ApiError(error.message, hint=error.hint) from error

    async def attach(self, at: ContainerRef, *, stdin: bool, tty: bool) -> AttachSession:
        """Join the container's own process; a built-in server has none to join."""
        del stdin, tty  # the process has what its container's spec gave it
        known = await self._runtime.commands.process(self._run(at.pod), at.container)
        if known is None:
            name = at.pod.name
            raise BadRequest(
                f"container {at.container} is a built-in server: there is no process to attach to",
                hint=f"netlab exec -it {name} -- sh, or netlab logs -f {name}",
            )
        return await known.attach()

    async def dial(self, pod: PodRef, port: int) -> TcpPodConnection:
        """A TCP connection to a port on the pod's own loopback."""
        try:
            return await _connected(self._run(pod).netns, "127.0.0.1", port)
        except OSError as error:
            raise ApiError(_why(error)) from error

    async def connect(self, address: str, port: int) -> TcpPodConnection:
        """A TCP connection from the node."""
        dial = f"dial tcp {join_host_port(address, port)}"
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                return await _connected(self._node, address, port)
        except TimeoutError:
            raise ApiError(f"{dial}: i/o timeout") from None
        except (OSError, KernelRefused) as error:
            raise ApiError(f"{dial}: {_why(error)}") from error

    async def logs(self, at: ContainerRef, wanted: LogOptions) -> AsyncGenerator[bytes, None]:
        """What the container wrote; for a built-in server, its access log; of `pause`, nothing."""
        run, container = self._run(at.pod), at.container
        known = await self._runtime.commands.process(run, container)
        if wanted.previous:
            entries = containerlogs.of_previous(run, container)
        elif known is not None:
            entries = containerlogs.of_process(known, wanted)
        elif behaviour(run.spec_of(container)).kind == "task":
            entries = containerlogs.of_file(container_log(run, container), wanted)
        elif (log := program_log(run, container)) is not None:
            entries = containerlogs.of_program(log, run, container, wanted)
        elif (found := behaviour(run.spec_of(container))).kind != "server":
            entries = containerlogs.of_silent(run, container, found.says, wanted)
        else:
            entries = containerlogs.of_server(self._runtime.keeper.client, run, container, wanted)
        async for chunk in containerlogs.rendered(entries, wanted):
            yield chunk

    def _run(self, pod: PodRef) -> PodRun:
        run = self._runs.get(pod.key)
        if run is None or run.uid != pod.uid:
            raise NotFound(f'pod "{pod.name}" does not run')
        return run


async def _connected(namespace: Path, address: str, port: int) -> TcpPodConnection:
    """From a namespace, to an address: a name would be looked up on the machine's own network."""
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    with netns.entered(namespace):
        sock = socket.socket(family)  # it stays in that namespace
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
        return TcpPodConnection(*await asyncio.open_connection(sock=sock))
    except BaseException:
        sock.close()
        raise


class TcpPodConnection:
    """Implements `client.kubelets.PodConnection`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """As the protocol says."""
        return await self._reader.read(_CHUNK)

    async def write(self, data: bytes) -> None:
        """As the protocol says."""
        self._writer.write(data)
        await self._writer.drain()

    async def end(self) -> None:
        """As the protocol says."""
        self._writer.write_eof()

    async def close(self) -> None:
        """As the protocol says."""
        self._writer.close()


def _why(error: OSError | KernelRefused) -> str:
    """In the words of Go's net."""
    if isinstance(error, KernelRefused):
        return error.message
    if isinstance(error, ConnectionRefusedError):
        return "connect: connection refused"
    return os.strerror(error.errno).lower() if error.errno else str(error)
