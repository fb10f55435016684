"""Kubelets at the other end of a wire: what is asked of them arrives, and so does what they say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web
from fake_streams import FakeStreams
from msgspec import Struct, field

from netlab.agents import kubelet_server
from netlab.client.kubelet_http import HttpKubelet, HttpKubelets
from netlab.client.kubelets import (
    ContainerRef,
    LocalKubelets,
    LogOptions,
    PodRef,
    ProcessStream,
    Silent,
)
from netlab.errors import ApiError, BadRequest, NotFound
from netlab.serving.channels import SocketEnds
from netlab.serving.http import serve_unix

POD = PodRef("default", "web", "a-uid")
AT = ContainerRef(POD, "main")


class Asked(FakeStreams):
    """Remembers what it was asked."""

    execs: list[tuple[ContainerRef, tuple[str, ...], bool, bool]] = field(default_factory=list)
    logs_of: list[tuple[ContainerRef, LogOptions]] = field(default_factory=list)
    refusal: ApiError | None = None

    async def exec(
        self, at: ContainerRef, argv: Sequence[str], *, stdin: bool, tty: bool
    ) -> ProcessStream:
        self.execs.append((at, tuple(argv), stdin, tty))
        if self.refusal:
            raise self.refusal
        return await super().exec(at, argv, stdin=stdin, tty=tty)

    async def logs(self, at: ContainerRef, wanted: LogOptions) -> AsyncGenerator[bytes, None]:
        self.logs_of.append((at, wanted))
        if self.refusal:
            raise self.refusal
        async with contextlib.aclosing(super().logs(at, wanted)) as lines:
            async for line in lines:
                yield line


class Wire(Struct):
    asked: Asked
    kubelet: HttpKubelet
    kubelets: HttpKubelets
    server: web.AppRunner


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    """To a kubelet of node1."""
    asked, local = Asked(), LocalKubelets()
    local.connect("node1", asked)
    server = await serve_unix(kubelet_server.build_app(local), tmp_path / "kubelet.sock")
    kubelets = HttpKubelets(tmp_path / "kubelet.sock")
    yield Wire(asked, kubelets.of("node1"), kubelets, server)
    await kubelets.close()
    await server.cleanup()


async def all_of(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def test_a_command_arrives_word_for_word(wire: Wire) -> None:
    argv = ("echo", "a b", "ü&?=%", "", "--", "\n")
    process = await wire.kubelet.exec(AT, argv, stdin=False, tty=True)
    assert await all_of(process.stdout()) == " ".join(argv[1:]).encode() + b"\n"
    assert await process.wait() == 0
    await process.kill()
    assert wire.asked.execs == [(AT, argv, False, True)]
    assert wire.asked.processes[0].killed


async def test_an_exit_code_and_both_outputs(wire: Wire) -> None:
    process = await wire.kubelet.exec(AT, ("fail", "42"), stdin=False, tty=False)
    out, err = await asyncio.gather(all_of(process.stdout()), all_of(process.stderr()))
    assert (out, err, await process.wait()) == (b"", b"it failed\n", 42)
    await process.kill()


async def test_input_of_any_size_and_its_end(wire: Wire) -> None:
    sent = bytes(range(256)) * 40_000  # more than a message may be
    process = await wire.kubelet.attach(AT, stdin=True, tty=False)
    reading = asyncio.create_task(all_of(process.stdout()))
    await process.write(sent)
    await process.close_stdin()
    assert await reading == sent
    await process.kill()


async def test_a_process_is_killed_when_who_asked_says_so(wire: Wire) -> None:
    process = await wire.kubelet.exec(AT, ("sleep",), stdin=False, tty=False)
    await process.kill()
    assert wire.asked.processes[0].killed


async def test_no_process_is_left_to_who_goes_before_he_hears_of_it(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_ends: SocketEnds, _channel: int) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(SocketEnds, "begin", gone)
    with pytest.raises(Silent):
        await wire.kubelet.exec(AT, ("sleep",), stdin=False, tty=False)
    assert wire.asked.processes[0].killed
    with pytest.raises(Silent):
        await wire.kubelet.dial(POD, 7)
    await asyncio.wait(wire.asked.connections)


async def test_a_process_goes_with_its_node(wire: Wire) -> None:
    process = await wire.kubelet.exec(AT, ("sleep",), stdin=True, tty=False)
    await wire.server.cleanup()
    assert await all_of(process.stdout()) == b""
    assert await process.wait() == 137
    await process.write(b"nobody hears it")
    await process.kill()


@pytest.mark.parametrize(
    "wanted",
    [
        LogOptions(),
        LogOptions(tail=0),
        LogOptions(follow=False, tail=7, since=1_700_000_000.25, timestamps=True),
    ],
)
async def test_which_part_of_a_log(wire: Wire, wanted: LogOptions) -> None:
    await all_of(wire.kubelet.logs(AT, wanted))
    assert wire.asked.logs_of == [(AT, wanted)]


async def test_a_log_is_followed_until_nobody_listens(wire: Wire) -> None:
    wire.asked.lines.append((1.0, "one"))
    async with contextlib.aclosing(wire.kubelet.logs(AT, LogOptions(follow=True))) as log:
        assert await anext(log) == b"one\n"
        wire.asked.lines.append((2.0, "two"))
        assert await anext(log) == b"two\n"
    while wire.asked.logs_open:
        await asyncio.sleep(0.01)


async def test_a_log_breaks_off_with_its_node(wire: Wire) -> None:
    wire.asked.lines.append((1.0, "one"))
    async with contextlib.aclosing(wire.kubelet.logs(AT, LogOptions(follow=True))) as log:
        assert await anext(log) == b"one\n"
        await wire.server.cleanup()
        with pytest.raises(ConnectionError):
            await anext(log)


async def test_a_connection_and_the_end_of_what_is_said(wire: Wire) -> None:
    sent = bytes(range(256)) * 4_000
    connection = await wire.kubelet.dial(POD, 7)

    async def received() -> bytes:
        found = b""
        while data := await connection.read():
            found += data
        return found

    reading = asyncio.create_task(received())
    await connection.write(sent)
    await connection.end()  # and the answer still comes
    assert await reading == sent
    await connection.close()
    await asyncio.wait(wire.asked.connections)


async def test_a_connection_breaks_with_its_node(wire: Wire) -> None:
    connection = await wire.kubelet.dial(POD, 7)
    await wire.server.cleanup()
    with pytest.raises(ConnectionError):
        await connection.read()
    await connection.close()


async def test_who_goes_takes_his_connection_along(wire: Wire) -> None:
    connection = await wire.kubelet.dial(POD, 7)
    await connection.write(b"hello")
    assert await connection.read() == b"hello"
    await connection.close()
    await asyncio.wait(wire.asked.connections)


@pytest.mark.parametrize(
    "refusal",
    [
        NotFound('pod "web" does not run'),
        BadRequest("there is no process to attach to", hint="netlab logs -f web"),
        ApiError("crun: exec format error"),
    ],
)
async def test_a_refusal_comes_as_it_was_raised(wire: Wire, refusal: ApiError) -> None:
    wire.asked.refusal = refusal
    for asking in (
        wire.kubelet.exec(AT, ("sleep",), stdin=False, tty=False),
        wire.kubelet.attach(AT, stdin=False, tty=False),
        all_of(wire.kubelet.logs(AT, LogOptions())),
    ):
        with pytest.raises(type(refusal)) as raised:
            await asking
        assert raised.value.status() == refusal.status()
        assert raised.value.hint == refusal.hint


async def test_a_port_where_nobody_listens(wire: Wire) -> None:
    with pytest.raises(ApiError, match="connect: connection refused"):
        await wire.kubelet.dial(POD, 8)


async def ask_everything(kubelet: HttpKubelet) -> None:
    for asking in (
        kubelet.exec(AT, ("sleep",), stdin=False, tty=False),
        kubelet.attach(AT, stdin=False, tty=False),
        kubelet.dial(POD, 7),
        all_of(kubelet.logs(AT, LogOptions())),
    ):
        with pytest.raises(ApiError, match=r"the kubelet of node node\d does not answer") as raised:
            await asking
        assert raised.value.code == 503


async def test_a_node_that_nobody_has(wire: Wire) -> None:
    await ask_everything(wire.kubelets.of("node2"))


async def test_a_node_whose_process_is_gone(wire: Wire) -> None:
    await wire.server.cleanup()
    await ask_everything(wire.kubelet)


def test_a_kubelet_of_this_process_comes_and_goes() -> None:
    local, streams = LocalKubelets(), FakeStreams()
    local.connect("node1", streams)
    assert local.of("node1") is streams
    local.disconnect("node1")
    local.disconnect("node1")
    with pytest.raises(Silent) as raised:
        local.of("node1")
    assert raised.value.code == 503
