"""Container logs, from whoever keeps them, in the form that `kubectl logs` asks for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from msgspec import Struct

from netlab.agents.podrun import PodRun
from netlab.agents.servers import served_uid
from netlab.client.kubelets import LogOptions
from netlab.errors import BadRequest
from netlab.objects import meta
from netlab.objects.times import micro_time
from netlab.workload import crilog
from netlab.workload.client import ResponderClient
from netlab.workload.sandbox import SandboxProcess

_PATIENCE = 0.5
"""Seconds until one who follows the log of a silent container hears that it has ended."""


class LogLine(Struct, frozen=True):
    """One line, its end included if it has one, and when it was written (RFC 3339)."""

    time: str
    data: bytes


async def of_process(process: SandboxProcess, wanted: LogOptions) -> AsyncIterator[LogLine]:
    """What a process wrote, and (following) goes on to write until it ends."""
    past = list(crilog.read(process.log))
    for line in _tail(_entry_lines(past), wanted.tail):
        yield line
    if not wanted.follow:
        return
    seen = 0
    async for entry in process.follow_log():
        seen += 1
        if seen > len(past):
            yield LogLine(entry.time, entry.data)


async def of_file(path: Path, wanted: LogOptions) -> AsyncIterator[LogLine]:
    """What a container wrote that had no process, and says nothing more."""
    for line in _tail(_entry_lines(crilog.read(path)), wanted.tail):
        yield line


async def of_previous(run: PodRun, container: str) -> AsyncIterator[LogLine]:
    """The log of the container's life before this one."""
    attempt = run.state(container).restarts - 1
    path = run.directory / "containers" / container / f"{attempt}.log"
    if attempt < 0 or not Path(path).exists():
        raise BadRequest(
            f'previous terminated container "{container}" in pod "{meta.name(run.pod)}" not found'
        )
    for line in _entry_lines(crilog.read(path)):
        yield line


async def of_server(
    responder: ResponderClient, run: PodRun, container: str, wanted: LogOptions
) -> AsyncIterator[LogLine]:
    """A built-in server's access log."""
    lines = responder.logs(
        served_uid(run, container), container, follow=wanted.follow, tail=wanted.tail
    )
    async for seconds, text in lines:
        yield LogLine(micro_time(seconds), text.encode() + b"\n")


async def of_program(
    log: Path, run: PodRun, container: str, wanted: LogOptions
) -> AsyncIterator[LogLine]:
    """What a program of the machine's wrote. It says no times: all is as old as the last of it."""

    def line(data: bytes) -> LogLine:
        return LogLine(micro_time(log.stat().st_mtime), data)

    with log.open("rb") as reading:
        for past in _tail(map(line, reading.readlines()), wanted.tail):
            yield past
        while wanted.follow and run.state(container).running:
            if data := reading.readline():
                yield line(data)
            else:
                await asyncio.sleep(_PATIENCE)
                if reading.tell() > log.stat().st_size:  # it has become too long, and begun anew
                    reading.seek(0)


async def of_silent(
    run: PodRun, container: str, said: str, wanted: LogOptions
) -> AsyncIterator[LogLine]:
    """Of what has no process and serves nothing (`pause`): what it said at first, if anything."""
    if said and wanted.tail != 0:
        yield LogLine(run.state(container).started_at, f"{said}\n".encode())
    while wanted.follow and run.state(container).running:
        await asyncio.sleep(_PATIENCE)


async def rendered(lines: AsyncIterator[LogLine], wanted: LogOptions) -> AsyncIterator[bytes]:
    """The lines as they go to the client."""
    since = micro_time(wanted.since) if wanted.since is not None else ""
    async for line in lines:
        if line.time >= since:
            yield line.time.encode() + b" " + line.data if wanted.timestamps else line.data


def _tail(lines: Iterable[LogLine], count: int | None) -> Iterable[LogLine]:
    return lines if count is None else deque(lines, maxlen=count)


def _entry_lines(entries: Iterable[crilog.LogEntry]) -> Iterable[LogLine]:
    return (LogLine(entry.time, entry.data) for entry in entries)
