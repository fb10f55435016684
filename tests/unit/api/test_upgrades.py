"""exec and port-forward over SPDY, raw and in a websocket, and the Python clients' channels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from netlab.serving import spdy
from netlab.serving.spdy import FIN, FrameWriter, SpdyFrameReader

pytestmark = pytest.mark.parametrize("far", [False, True], ids=["near", "far"])

POD = "/api/v1/namespaces/default/pods/web"
EXEC = "v4.channel.k8s.io"
FORWARD = "portforward.k8s.io"


def create_pod(lab: Any) -> None:
    spec = {"containers": [{"name": "c", "image": "nginx"}], "nodeName": "node1"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    made = lab.registry.create(pod)
    lab.registry.update({**made, "status": {"phase": "Running"}}, subresource="status")


class Peer:
    """The client's end of a SPDY connection, over whatever carries bytes."""

    def __init__(self, send: Any, receive: Any) -> None:
        self._send, self._receive = send, receive
        self._reader, self._writer = SpdyFrameReader(), FrameWriter()
        self.data: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.frames: list[spdy.Frame] = []

    async def open(self, number: int, **headers: str) -> None:
        await self._send(self._writer.syn_stream(number, headers))

    async def say(self, number: int, data: bytes, *, last: bool = False) -> None:
        await self._send(spdy.data_frame(number, data, FIN if last else 0))

    async def raw(self, data: bytes) -> None:
        await self._send(data)

    async def until(self, holds: Any) -> None:
        """Read until something holds, or the server ends the connection."""
        while not holds():
            data = await asyncio.wait_for(self._receive(), 5)
            if not data:
                break
            for frame in self._reader.feed(data):
                self.frames.append(frame)
                if frame.type == 0:
                    self.data[frame.stream] = self.data.get(frame.stream, b"") + frame.data
                    self.ended |= {frame.stream} if frame.is_last else set()
        assert holds()


@asynccontextmanager
async def upgraded(lab: Any, target: str, protocol: str) -> AsyncIterator[Peer]:
    """SPDY on the connection itself."""
    reader, writer = await asyncio.open_unix_connection(str(lab.socket))
    head = (
        f"POST {POD}/{target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        f"X-Stream-Protocol-Version: {protocol}\r\nContent-Length: 0\r\n\r\n"
    )
    writer.write(head.encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    assert f"X-Stream-Protocol-Version: {protocol}".encode() in answer

    async def send(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    yield Peer(send, lambda: reader.read(65536))
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def tunnelled(lab: Any, target: str, protocol: str) -> AsyncIterator[Peer]:
    """SPDY in the messages of a websocket."""
    url, names = f"http://lab{POD}/{target}", (f"SPDY/3.1+{protocol}",)
    async with lab.http.ws_connect(url, protocols=names) as socket:

        async def receive() -> bytes:
            message = await socket.receive()
            return message.data if isinstance(message.data, bytes) else b""

        yield Peer(socket.send_bytes, receive)


async def test_a_command_over_spdy(lab: Any) -> None:
    create_pod(lab)
    target = "exec?command=fail&command=7&stdout=true&stderr=true"
    async with upgraded(lab, target, EXEC) as peer:
        for number, kind in ((1, "error"), (3, "stdout"), (5, "stderr")):
            await peer.open(number, streamType=kind)
        await peer.until(lambda: peer.ended >= {1, 3, 5})
    assert peer.data[5] == b"it failed\n"
    assert json.loads(peer.data[1])["details"]["causes"][0]["message"] == "7"
    assert lab.streams.processes[0].killed


async def test_input_over_spdy_until_its_end(lab: Any) -> None:
    create_pod(lab)
    async with upgraded(lab, "exec?command=cat&stdin=true&stdout=true", EXEC) as peer:
        for number, kind in ((1, "error"), (3, "stdin"), (5, "stdout")):
            await peer.open(number, streamType=kind)
        await peer.say(3, b"some ")
        await peer.raw(spdy.ping(9))
        await peer.say(3, b"words", last=True)
        await peer.until(lambda: peer.ended >= {1, 5})
    assert peer.data[5] == b"some words"
    assert json.loads(peer.data[1])["status"] == "Success"
    assert any(frame.type == spdy.PING and frame.stream == 9 for frame in peer.frames)


async def test_a_terminal_size_over_spdy(lab: Any) -> None:
    create_pod(lab)
    target = "exec?command=size&stdin=true&stdout=true&tty=true"
    async with upgraded(lab, target, EXEC) as peer:
        for number, kind in ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "resize")):
            await peer.open(number, streamType=kind)
        for nonsense in (b'{"Width":9e999}', b"[" * 5000, b"{}", b"5", b"\xff"):
            await peer.say(7, nonsense)
        await peer.say(7, b'{"Width":90,"Height":30}\n')
        await peer.until(lambda: 5 in peer.ended)
    assert peer.data[5] == b"90x30\n"


async def test_a_client_that_vanishes_takes_its_process_along(lab: Any) -> None:
    create_pod(lab)
    async with upgraded(lab, "exec?command=sleep&stdout=true", EXEC) as peer:
        await peer.open(1, streamType="error")
        await peer.open(3, streamType="stdout")
        await peer.until(lambda: len(peer.frames) == 2)
    async with asyncio.timeout(3):
        while not lab.streams.processes[0].killed:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("target", "upgrade", "protocol"),
    [
        ("exec?command=cat&stdout=true", "SPDY/3.1", "v9.channel.k8s.io"),
        ("exec?command=cat&stdout=true", "SPDY/3.1", FORWARD),
        ("exec?command=cat&stdout=true", "h2c", EXEC),
        ("portforward", "SPDY/3.1", EXEC),
        ("portforward", "", ""),
    ],
)
async def test_protocols_that_are_not_spoken(
    lab: Any, target: str, upgrade: str, protocol: str
) -> None:
    create_pod(lab)
    headers = {"X-Stream-Protocol-Version": protocol}
    if upgrade:
        headers |= {"Connection": "Upgrade", "Upgrade": upgrade}
    async with lab.http.post(f"http://lab{POD}/{target}", headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["kind"] == "Status"


@pytest.mark.parametrize("carried", [upgraded, tunnelled])
async def test_connections_are_forwarded(lab: Any, carried: Any) -> None:
    create_pod(lab)
    async with carried(lab, "portforward", FORWARD) as peer:
        for first, request in ((1, "0"), (5, "1")):
            await peer.open(first, streamType="error", port="7", requestID=request)
            await peer.open(first + 2, streamType="data", port="7", requestID=request)
        big = bytes(range(256)) * 2000
        for start in range(0, len(big), 65536):
            await peer.say(3, big[start : start + 65536])
            seen = min(start + 65536, len(big))
            await peer.until(lambda seen=seen: len(peer.data.get(3, b"")) == seen)
        await peer.say(7, b"other", last=True)
        await peer.until(lambda: {5, 7} <= peer.ended)
        assert 3 not in peer.ended
    assert (peer.data[3], peer.data[7]) == (big, b"other")
    done, _ = await asyncio.wait(lab.streams.connections, timeout=3)
    assert len(done) == 2


@pytest.mark.parametrize("carried", [upgraded, tunnelled])
async def test_a_port_where_nobody_listens(lab: Any, carried: Any) -> None:
    create_pod(lab)
    async with carried(lab, "portforward", FORWARD) as peer:
        await peer.open(1, streamType="error", port="81", requestID="0")
        await peer.open(3, streamType="data", port="81", requestID="0")
        await peer.until(lambda: {1, 3} <= peer.ended)
    assert b"dial tcp4 127.0.0.1:81: connect: connection refused" in peer.data[1]


async def test_nonsense_after_the_upgrade_ends_the_connection(lab: Any) -> None:
    create_pod(lab)
    async with upgraded(lab, "portforward", FORWARD) as peer:
        await peer.raw(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(AssertionError):
            await peer.until(lambda: False)
    async with upgraded(lab, "exec?command=cat&stdin=true", EXEC) as peer:
        await peer.raw(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(AssertionError):
            await peer.until(lambda: False)
    while not lab.streams.processes[0].killed:
        await asyncio.sleep(0.01)


async def test_the_python_clients_channels(lab: Any) -> None:
    create_pod(lab)
    url = f"http://lab{POD}/portforward?ports=7,81"
    async with lab.http.ws_connect(url, protocols=("v4.channel.k8s.io",)) as socket:
        first = [(await socket.receive()).data for _ in range(4)]
        assert first == [b"\0\x07\0", b"\x01\x07\0", b"\x02\x51\0", b"\x03\x51\0"]
        refusal = (await socket.receive()).data
        assert refusal[0] == 3
        assert b"connection refused" in refusal
        await socket.send_bytes(b"\0hello")
        assert (await socket.receive()).data == b"\0hello"


@pytest.mark.parametrize("ports", ["", "x", "70000", "0"])
async def test_ports_that_are_none(lab: Any, ports: str) -> None:
    create_pod(lab)
    headers = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": "v4.channel.k8s.io",
    }  # fmt: skip
    url = f"http://lab{POD}/portforward?ports={ports}"
    async with lab.http.get(url, headers=headers) as answer:
        assert answer.status == 400
