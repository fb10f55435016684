"""Commands run beside what a container runs: for exec, for probes and for lifecycle hooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct

from netlab.agents.configuration import PodConfiguration
from netlab.agents.pod_files import Places
from netlab.agents.podrun import PodRun
from netlab.agents.runtime_keeper import RuntimeKeeper
from netlab.errors import BadRequest, NotFound
from netlab.objects import meta
from netlab.objects.podcontainers import target_of
from netlab.workload.sandbox import (
    Command,
    Sandboxes,
    SandboxProcess,
    base_environment,
    privileges,
)
from netlab.workload.session import ExecSession

Entering = Callable[[PodRun, str], Awaitable[None]]
"""Is told that somebody is about to go into a container."""

OUTPUT_LIMIT = 10 * 1024
"""Bytes of a probe's output that are kept, as the kubelet does."""


class Ran(Struct, frozen=True):
    """How a command ended, and what it said on both outputs."""

    code: int
    output: str


class Commands:
    """Runs commands in the containers of pods."""

    def __init__(
        self,
        sandboxes: Sandboxes,
        keeper: RuntimeKeeper,
        places: Places,
        configuration: PodConfiguration,
    ) -> None:
        self._sandboxes = sandboxes
        self._keeper = keeper
        self._places = places
        self._configuration = configuration
        self.entering: Entering = _unheard

    async def start(
        self, run: PodRun, container: str, argv: Sequence[str], *, stdin: bool, tty: bool
    ) -> ExecSession:
        """Run a command in all the namespaces of a container, which must be running."""
        if not run.state(container).running:
            raise BadRequest(f'container not found ("{container}"): it is not running')
        await self.entering(run, container)
        has_own = is_process(run, container)
        process = await (self._own(run, container) if has_own else self._standing_in(run))
        env = {} if has_own else self._environment(run, container)
        command = command_of(run, container, argv, env, tty=tty, stdin=stdin)
        return await self._sandboxes.execute(process, command, inherits=has_own)

    def _environment(self, run: PodRun, container: str) -> dict[str, str]:
        """What a built-in server was started with, as far as that is still to be had."""
        seen = run.state(container).services_seen
        return self._configuration.environment(run, container, seen)

    async def run(self, run: PodRun, container: str, argv: Sequence[str], timeout: float) -> Ran:
        """Run a command to its end; `TimeoutError` (it is killed) after `timeout` seconds."""
        session = await self.start(run, container, argv, stdin=False, tty=False)
        try:
            async with asyncio.timeout(timeout):
                out, err, code = await asyncio.gather(
                    _text(session.stdout()), _text(session.stderr()), session.wait()
                )
        finally:
            await session.kill()
        return Ran(code, out + err)

    async def process(self, run: PodRun, container: str) -> SandboxProcess | None:
        """The container's own process, also when it has ended; None for a built-in server."""
        if not is_process(run, container):
            return None
        return (await self._sandboxes.processes()).get((run.uid, container))

    async def _standing_in(self, run: PodRun) -> SandboxProcess:
        return await self._keeper.reached(partial(self._idle, run))

    async def _own(self, run: PodRun, container: str) -> SandboxProcess:
        known = run.processes.get(container)
        if known is None:
            raise NotFound(f'container "{container}" has no process')
        return known

    async def _idle(self, run: PodRun) -> SandboxProcess:
        return await self._sandboxes.idle(await self._places.place(run))


def is_process(run: PodRun, container: str) -> bool:
    """Whether a container is a process of its pod: by what it runs, or by now."""
    return container in run.entered or run.behaviour_of(container).kind == "process"


async def _unheard(run: PodRun, container: str) -> None:
    del run, container


def command_of(
    run: PodRun,
    container: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    tty: bool | None = None,
    stdin: bool | None = None,
    announces: bool = False,
) -> Command:
    """A command in a container, run as the container's entry in the pod's spec wants it.

    `tty` and `stdin` are the entry's own, unless they are given (for exec).
    """
    spec = run.spec_of(container)
    tty = bool(spec.get("tty")) if tty is None else tty
    return Command(
        tuple(argv),
        {**base_environment(run.hostname, tty=tty), **env},
        tty=tty,
        stdin=bool(spec.get("stdin")) if stdin is None else stdin,
        stdin_once=bool(spec.get("stdinOnce")),
        directory=str(spec.get("workingDir") or "/"),
        privileges=privileges(meta.spec(run.pod), spec),
        announces=announces,
        termination_log=spec.get("terminationMessagePath") or "",
        target=target_of(spec),
    )


async def _text(chunks: AsyncIterator[bytes]) -> str:
    """What comes, to its end, as far as the limit."""
    kept = b""
    async for chunk in chunks:
        kept += chunk[: OUTPUT_LIMIT - len(kept)]
    return kept.decode(errors="replace")
