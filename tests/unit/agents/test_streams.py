"""What clients of the API reach inside a node's pods: who answers for which container."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from netlab.agents import streams as module
from netlab.agents.podrun import PodRun
from netlab.agents.streams import KubeletStreams
from netlab.client.kubelets import ContainerRef, LogOptions, PodRef
from netlab.errors import ApiError, BadRequest, NetlabError, NotFound
from netlab.workload import crilog

POD = PodRef("n", "p", "u")
LATER = PodRef("n", "p", "another")
ALL = LogOptions()


class Process:
    """One that has written a line, and can be joined."""

    def __init__(self, log: Any) -> None:
        self.log = log

    async def attach(self) -> str:
        return "joined"


class Commands:
    """Runs nothing: says what it was asked for, or refuses."""

    def __init__(self) -> None:
        self.processes: dict[str, Process] = {}
        self.refusal: NetlabError | None = None

    async def start(self, run: PodRun, container: str, argv: Any, *, stdin: bool, tty: bool) -> Any:
        if self.refusal is not None:
            raise self.refusal
        return (run.key, container, tuple(argv), stdin, tty)

    async def process(self, _run: PodRun, container: str) -> Process | None:
        return self.processes.get(container)


class Responder:
    """Has an access log of one line for each container."""

    async def logs(self, uid: str, _name: str, **_: Any) -> AsyncIterator[tuple[float, str]]:
        yield 0.0, f"GET / of {uid}"


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
def run(pod_run: Callable[..., PodRun]) -> PodRun:
    return pod_run(
        {"name": "shell", "command": ["sh"]},
        {"name": "web", "image": "nginx"},
        {"name": "pause", "image": "registry.k8s.io/pause"},
    )


@pytest.fixture
def streams(commands: Commands, run: PodRun, tmp_path: Path) -> KubeletStreams:
    runtime: Any = SimpleNamespace(commands=commands, keeper=SimpleNamespace(client=Responder()))
    return KubeletStreams(runtime, {run.key: run}, tmp_path)


def at(container: str, pod: PodRef = POD) -> ContainerRef:
    return ContainerRef(pod, container)


async def said(streams: KubeletStreams, container: str, wanted: LogOptions = ALL) -> bytes:
    return b"".join([chunk async for chunk in streams.logs(at(container), wanted)])


async def test_a_command_runs_in_the_container_that_is_meant(streams: KubeletStreams) -> None:
    started = await streams.exec(at("web"), ["ls", "/"], stdin=True, tty=False)
    assert started == ("n/p", "web", ("ls", "/"), True, False)


async def test_a_command_that_cannot_start_is_the_apis_error(
    streams: KubeletStreams, commands: Commands
) -> None:
    commands.refusal = NetlabError("no crun", hint="apt install crun")
    with pytest.raises(ApiError, match="no crun") as refused:
        await streams.exec(at("web"), ["ls"], stdin=False, tty=False)
    assert (refused.value.code, refused.value.hint) == (500, "apt install crun")
    commands.refusal = BadRequest("it is not running")
    with pytest.raises(BadRequest):
        await streams.exec(at("web"), ["ls"], stdin=False, tty=False)


async def test_a_process_can_be_joined_and_a_built_in_server_says_what_can_be_done(
    streams: KubeletStreams, commands: Commands, run: PodRun
) -> None:
    commands.processes["shell"] = Process(run.directory)
    assert await streams.attach(at("shell"), stdin=True, tty=True) == "joined"
    with pytest.raises(BadRequest, match="container web is a built-in server") as refused:
        await streams.attach(at("web"), stdin=False, tty=False)
    assert refused.value.hint == "netlab exec -it p -- sh, or netlab logs -f p"


async def test_another_life_of_a_pod_is_another_pod(streams: KubeletStreams) -> None:
    """Whoever asked meant the one that was deleted meanwhile."""
    for pod in (LATER, PodRef("n", "q", "u")):
        with pytest.raises(NotFound, match="does not run"):
            await streams.exec(at("web", pod), ["ls"], stdin=False, tty=False)
        with pytest.raises(NotFound):
            await streams.attach(at("web", pod), stdin=False, tty=False)
        with pytest.raises(NotFound):
            await anext(streams.logs(at("web", pod), ALL))
        with pytest.raises(NotFound):
            await streams.dial(pod, 80)


async def test_each_log_comes_from_whoever_keeps_it(
    streams: KubeletStreams, commands: Commands, run: PodRun
) -> None:
    logs = run.directory / "containers" / "shell"
    logs.mkdir(parents=True)
    (logs / "1.log").write_bytes(b"2026-01-01T00:00:00Z stdout F now\n")
    (logs / "0.log").write_bytes(b"2026-01-01T00:00:00Z stdout F before\n")
    assert list(crilog.read(logs / "1.log"))
    commands.processes["shell"] = Process(logs / "1.log")
    assert await said(streams, "shell") == b"now\n"
    assert await said(streams, "web") == b"GET / of u/web\n"
    assert await said(streams, "pause") == b""
    run.state("shell").restarts = 1
    assert await said(streams, "shell", LogOptions(previous=True)) == b"before\n"


async def test_a_program_of_the_machines_has_the_log_it_writes(
    streams: KubeletStreams, run: PodRun
) -> None:
    place = run.directory / "programs" / "web"
    place.mkdir(parents=True)
    (place / "nginx.log").write_text("ready\nserving\n")
    assert await said(streams, "web", LogOptions(tail=1)) == b"serving\n"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod's namespace is the one that the test runs in."""
    monkeypatch.setattr(module.netns, "entered", lambda _: contextlib.nullcontext())


@pytest.mark.usefixtures("here")
async def test_a_connection_goes_both_ways_and_each_way_ends_by_itself(
    streams: KubeletStreams,
) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())  # after the end of what it gets
        writer.close()

    async with await asyncio.start_server(shout, "127.0.0.1", 0) as server:
        connection = await streams.dial(POD, server.sockets[0].getsockname()[1])
        await connection.write(b"hello ")
        await connection.write(b"there")
        await connection.end()
        heard = [await connection.read(), await connection.read()]
        await connection.close()
    assert heard == [b"HELLO THERE", b""]


@pytest.mark.usefixtures("here")
async def test_where_nobody_listens_the_words_are_those_of_connect(
    streams: KubeletStreams,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ApiError, match=r"^connect: connection refused$"):
        await streams.dial(POD, port)
