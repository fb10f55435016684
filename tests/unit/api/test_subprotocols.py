"""What clients speak in websockets and over SPDY besides v5: as a real API server takes them."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest
from unit.api.test_streams import POD, pod
from unit.api.test_upgrades import create_pod, upgraded

BASE64 = ("base64.channel.k8s.io", "v4.base64.channel.k8s.io")
OLD = ("", "channel.k8s.io", "base64.channel.k8s.io")
EVERY = ("v4.channel.k8s.io", *BASE64, "channel.k8s.io", "")


async def opened(lab: Any, target: str, *protocols: str) -> aiohttp.ClientWebSocketResponse:
    names = tuple(filter(None, protocols))
    return await lab.http.ws_connect(f"http://lab{POD}/{target}", protocols=names)


def message(protocol: str, channel: int, data: bytes) -> str | bytes:
    if protocol in BASE64:
        return f"{channel}{base64.b64encode(data).decode()}"
    return bytes([channel]) + data


async def say(socket: Any, protocol: str, channel: int, data: bytes) -> None:
    words = message(protocol, channel, data)
    await (socket.send_str(words) if isinstance(words, str) else socket.send_bytes(words))


async def told(socket: Any) -> list[str | bytes]:
    async with asyncio.timeout(5):
        return [one.data async for one in socket]


async def closed(lab: Any) -> None:
    """Nobody reads a log any more."""
    async with asyncio.timeout(5):
        while lab.streams.logs_open:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("protocol", EVERY)
async def test_a_command_with_input(lab: Any, protocol: str) -> None:
    lab.registry.create(pod())
    socket = await opened(lab, "exec?command=cat&stdin=true&stdout=true&stderr=true", protocol)
    assert socket.protocol == (protocol or None)
    assert (await socket.receive()).data == message(protocol, 1, b"")
    await say(socket, protocol, 0, b"hello")
    assert (await socket.receive()).data == message(protocol, 1, b"hello")
    await socket.close()


@pytest.mark.parametrize("protocol", EVERY)
async def test_how_a_command_ended(lab: Any, protocol: str) -> None:
    """Before v4 a command that failed is told of in words, and one that did not in none."""
    lab.registry.create(pod())
    ended = await told(await opened(lab, "exec?command=fail&command=7&stderr=true", protocol))
    words = b"command terminated with non-zero exit code: exit status 7"
    assert ended[:2] == [message(protocol, 2, b""), message(protocol, 2, b"it failed\n")]
    well = await told(await opened(lab, "exec?command=echo&command=a&stdout=true", protocol))
    assert well[:2] == [message(protocol, 1, b""), message(protocol, 1, b"a\n")]
    if protocol in OLD:
        assert ended[2:] == [message(protocol, 3, words)]
        assert well[2:] == []
    else:
        told_of = ended[2]
        data = base64.b64decode(told_of[1:]) if protocol in BASE64 else told_of[1:]
        assert json.loads(data)["message"] == words.decode()
        assert len(well) == 3


async def test_what_is_not_base64_is_passed_over(lab: Any) -> None:
    lab.registry.create(pod())
    target = "exec?command=cat&stdin=true&stdout=true"
    socket = await opened(lab, target, "base64.channel.k8s.io")
    for nonsense in ("0?", "0YQ", "\x00YQ==", "", "9YQ==", "0YQ=="):
        await socket.send_str(nonsense)
    assert [(await socket.receive()).data for _ in range(2)] == ["1", "1YQ=="]
    await socket.close()


async def test_the_client_chooses_and_v5_comes_before_all(lab: Any) -> None:
    lab.registry.create(pod())
    target = "exec?command=echo&stdout=true"
    one = await opened(lab, target, "v9.channel.k8s.io", "channel.k8s.io", "v4.channel.k8s.io")
    assert one.protocol == "channel.k8s.io"
    two = await opened(lab, target, "v4.channel.k8s.io", "v5.channel.k8s.io")
    assert two.protocol == "v5.channel.k8s.io"
    for socket in (one, two):
        await socket.close()


@pytest.mark.parametrize("protocol", ["v2.channel.k8s.io", "binary.k8s.io", "x"])
async def test_what_nobody_speaks_is_refused(lab: Any, protocol: str) -> None:
    lab.registry.create(pod())
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await opened(lab, "exec?command=cat&stdout=true", protocol)
    assert caught.value.status == 400
    assert lab.streams.processes == []


async def test_an_older_protocol_has_no_output_to_lose(lab: Any) -> None:
    """Only clients that speak v5 drop what comes too soon."""
    lab.registry.create(pod())
    url = f"http://lab{POD}/exec?command=echo&command=a&stdout=true"
    headers = {"User-Agent": "e2e.test/v1.33.0 (linux/amd64) kubernetes/60a317e"}
    async with lab.http.ws_connect(url, protocols=("channel.k8s.io",), headers=headers) as socket:
        assert await told(socket) == [b"\x01", b"\x01a\n"]


@pytest.mark.parametrize("protocol", ["v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"])
async def test_older_clients_over_spdy(lab: Any, protocol: str) -> None:
    create_pod(lab)
    resizes = protocol.startswith("v3")
    target = "exec?command=fail&command=7&stdout=true&stderr=true&tty=true"
    async with upgraded(lab, target, protocol) as peer:
        for number, kind in ((1, "error"), (3, "stdout"), (5, "resize"))[: 3 if resizes else 2]:
            await peer.open(number, streamType=kind)
        await peer.until(lambda: peer.ended >= {1, 3})
    assert peer.data[1] == b"command terminated with non-zero exit code: exit status 7"


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v4.base64.channel.k8s.io", ""])
async def test_a_port_is_forwarded(lab: Any, protocol: str) -> None:
    create_pod(lab)
    socket = await opened(lab, "portforward?ports=7", protocol)
    begun = [(await socket.receive()).data for _ in range(2)]
    assert begun == [message(protocol, channel, b"\x07\0") for channel in (0, 1)]
    await say(socket, protocol, 0, b"hello")
    assert (await socket.receive()).data == message(protocol, 0, b"hello")
    await socket.close()


@pytest.mark.parametrize("protocol", ["", "binary.k8s.io", "base64.binary.k8s.io"])
async def test_a_log_in_a_websocket(lab: Any, protocol: str) -> None:
    lab.registry.create(pod())
    lab.streams.lines += [(0.0, "one"), (10.0, "two")]
    for query, wanted in (("", b"one\ntwo\n"), ("?limitBytes=5", b"one\nt")):
        empty, *found = await told(await opened(lab, f"log{query}", protocol))
        assert not empty
        is_text = protocol.startswith("base64")
        assert b"".join(base64.b64decode(one) if is_text else one for one in found) == wanted
    await closed(lab)


async def test_a_log_is_followed_in_a_websocket_until_the_client_goes(lab: Any) -> None:
    lab.registry.create(pod())
    socket = await opened(lab, "log?follow=true", "binary.k8s.io")
    assert (await socket.receive()).data == b""
    assert lab.streams.logs_open == 1
    await socket.close()
    await closed(lab)


async def test_a_log_that_cannot_be_had_is_no_websocket(lab: Any) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await opened(lab, "log", "binary.k8s.io")
    assert caught.value.status == 404
    lab.registry.create(pod())
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await opened(lab, "log", "channel.k8s.io")
    assert caught.value.status == 400
