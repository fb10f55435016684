"""exec, attach and log over HTTP, with programs in memory at the other end."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

pytestmark = pytest.mark.parametrize("far", [False, True], ids=["near", "far"])

POD = "/api/v1/namespaces/default/pods/web"


def pod(name: str = "web", *, node: str = "node1", containers: int = 1) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "containers": [{"name": f"c{n}", "image": "nginx"} for n in range(containers)],
        "initContainers": [{"name": "init", "image": "busybox"}],
    }
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@asynccontextmanager
async def joined(
    lab: Any,
    verb: str = "exec",
    protocol: str = "v5.channel.k8s.io",
    agent: str = "test",
    **query: Any,
):
    """A websocket to a process."""
    parameters = {"stdout": "true", "stderr": "true", **query}
    pairs = [(key, one) for key, v in parameters.items() for one in (v if type(v) is list else [v])]
    url = f"http://lab{POD}/{verb}"
    headers = {"User-Agent": agent}
    async with lab.http.ws_connect(
        url, params=pairs, protocols=(protocol,), headers=headers
    ) as socket:
        assert socket.protocol == protocol
        yield socket


async def told(socket: aiohttp.ClientWebSocketResponse) -> dict[int, bytes]:
    """Everything said until the end, by channel."""
    found: dict[int, bytes] = {}
    async for message in socket:
        data = message.data
        found[data[0]] = found.get(data[0], b"") + data[1:]
    return found


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
async def test_a_command_says_its_output_and_ends(lab: Any, protocol: str) -> None:
    lab.registry.create(pod())
    command = ["echo", "a b", "c"]
    async with joined(lab, protocol=protocol, command=command) as socket:
        found = await told(socket)
    assert found[1] == b"a b c\n"
    assert json.loads(found[3]) == {"metadata": {}, "status": "Success"}
    assert lab.streams.processes[0].killed


async def test_an_exit_code_comes_as_a_status(lab: Any) -> None:
    lab.registry.create(pod())
    async with joined(lab, command=["fail", "42"]) as socket:
        found = await told(socket)
    assert found[2] == b"it failed\n"
    status = json.loads(found[3])
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "42"}]


async def test_input_goes_in_and_its_end_ends_the_command(lab: Any) -> None:
    lab.registry.create(pod())
    async with joined(lab, command="cat", stdin="true") as socket:
        await socket.send_bytes(b"\x00hello ")
        await socket.send_bytes(b"\x00world")
        await socket.send_bytes(b"\xff\x00")
        await socket.send_bytes(b"\x00too late")
        found = await told(socket)
    assert found[1] == b"hello world"
    assert json.loads(found[3])["status"] == "Success"


async def test_input_that_was_not_asked_for_is_dropped(lab: Any) -> None:
    lab.registry.create(pod())
    async with joined(lab, command="cat") as socket:
        await socket.send_bytes(b"\x00hello")
        await socket.send_bytes(b"")
        await socket.send_bytes(b"\x07?")
        await asyncio.sleep(0.05)
        assert lab.streams.processes[0].input.empty()


async def test_a_terminal_is_told_its_size(lab: Any) -> None:
    lab.registry.create(pod())
    async with joined(lab, command="size", tty="true", stdin="true") as socket:
        for nonsense in (
            b"\x04{",
            b'\x04{"Width":"x"}',
            b'\x04{"Width":0,"Height":1}',
            b"\x04[]",
        ):
            await socket.send_bytes(nonsense)
        await socket.send_bytes(b'\x04{"Width":120,"Height":40}')
        found = await told(socket)
    assert found[1] == b"120x40\n"
    assert 2 not in found


async def test_a_client_that_goes_takes_the_command_along(lab: Any) -> None:
    lab.registry.create(pod())
    for abrupt in (False, True):
        async with joined(lab, command="sleep", stdin="true") as socket:
            await socket.receive()
            process = lab.streams.processes[-1]
            assert not process.is_over
            if abrupt:
                socket._response.connection.transport.abort()
        for _ in range(100):
            if process.killed and process.is_over:
                break
            await asyncio.sleep(0.01)
        assert process.killed
        assert process.is_over


async def test_a_client_that_goes_while_its_input_is_stuck_is_noticed(
    lab: Any, monkeypatch: Any
) -> None:
    from netlab.serving import channels

    monkeypatch.setattr(channels, "_PING_SECONDS", 0.05)
    lab.registry.create(pod())
    async with joined(lab, command="sleep", stdin="true") as socket:
        await socket.receive()
        transport = socket._response.connection.transport
        for _ in range(50):
            transport.write(b"\x82\xff" + (32768).to_bytes(8, "big") + b"\0" * 4 + b"\0" * 32768)
        await asyncio.sleep(0.1)
        transport.abort()
    process = lab.streams.processes[-1]
    for _ in range(200):
        if process.killed:
            break
        await asyncio.sleep(0.01)
    assert process.killed


async def test_attach_joins_the_main_process(lab: Any) -> None:
    lab.registry.create(pod())
    lab.streams.main = "echo"
    async with joined(lab, "attach") as socket:
        assert (await told(socket))[1] == b"attached\n"


@pytest.mark.parametrize(
    ("made", "query", "words"),
    [
        (pod(), {"command": "echo", "stdout": "false"}, "at least 1 of stdin, stdout, stderr"),
        (pod(), {}, "at least one command"),
        (pod(), {"command": "echo", "container": "x"}, "container x is not valid for pod web"),
        (pod(node=""), {"command": "echo"}, "does not have a host assigned"),
        (
            pod(containers=2),
            {"command": "echo"},
            "a container name must be specified for pod web, choose one of: [c0 c1 init]",
        ),
        (pod(), {"command": "nothing"}, "executable file not found in $PATH"),
    ],
)
async def test_what_cannot_be_executed(lab: Any, made: Any, query: Any, words: str) -> None:
    lab.registry.create(made)
    headers = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "v5.channel.k8s.io",
    }  # fmt: skip
    asked = {"stdout": "true", **query}
    url = f"http://lab{POD}/exec"
    async with lab.http.get(url, params=asked, headers=headers) as answer:
        assert answer.status == 400
        assert words in (await answer.json())["message"]


async def test_only_known_protocols_are_spoken(lab: Any) -> None:
    lab.registry.create(pod())
    plain = await lab.ask("GET", f"{POD}/exec", command="echo", stdout="true")
    assert (plain.code, "Upgrade request required" in plain.message) == (400, True)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with joined(lab, protocol="v9.channel.k8s.io", command="echo"):
            pass
    assert caught.value.status == 400
    assert lab.streams.processes == []


@pytest.mark.parametrize("verb", ["exec", "attach"])
@pytest.mark.parametrize(
    "agent",
    [
        "kubectl/v1.30.13 (linux/amd64) kubernetes/60a317e",
        "kubectl.1.33/v1.33.1 (linux/amd64) kubernetes/8adc0f0",
        "kubectl/v1.32.4-dispatcher (linux/amd64) kubernetes/59526cd",
    ],
)
async def test_who_would_drop_the_first_output_is_sent_to_spdy(
    lab: Any, agent: str, verb: str
) -> None:
    lab.registry.create(pod())
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with joined(lab, verb, agent=agent, command="echo"):
            pass
    assert caught.value.status == 400
    assert lab.streams.processes == []


@pytest.mark.parametrize(
    "agent",
    [
        "kubectl/v1.34.0 (linux/amd64) kubernetes/f28b4c9",
        "kubectl/v1.3.0 (linux/amd64) kubernetes/f28b4c9",
        "OpenAPI-Generator/31.0.0/python",
    ],
)
async def test_who_keeps_all_output_has_its_websocket(lab: Any, agent: str) -> None:
    lab.registry.create(pod())
    async with joined(lab, agent=agent, command=["echo", "hi"]) as socket:
        assert (await told(socket))[1] == b"hi\n"


async def test_a_completed_pod_runs_nothing(lab: Any) -> None:
    lab.registry.create(pod())
    done = {"status": {"phase": "Succeeded"}}
    lab.registry.patch("Pod", "default", "web", done, subresource="status")
    answer = await lab.ask("GET", f"{POD}/exec", command="echo", stdout="true")
    assert answer.message == (
        "cannot exec into a container in a completed pod; current phase is Succeeded"
    )


# -- logs ----------------------------------------------------------------------------------


async def test_logs(lab: Any) -> None:
    lab.registry.create(pod())
    assert (await lab.ask("GET", f"{POD}/log")).raw == b""
    lab.streams.lines += [(0.0, "one"), (10.0, "two"), (20.0, "three")]

    async def log(**query: str) -> str:
        answer = await lab.ask("GET", f"{POD}/log", accept="*/*", **query)
        assert answer.code == 200
        assert answer.headers["Content-Type"] == "text/plain"
        return str(answer.raw.decode())

    assert await log() == "one\ntwo\nthree\n"
    assert await log(tailLines="1") == "three\n"
    assert await log(limitBytes="6") == "one\ntw"
    assert await log(sinceTime="1970-01-01T00:00:05Z") == "two\nthree\n"
    assert await log(sinceSeconds="60") == ""
    assert (await log(timestamps="true")).startswith("1970-01-01T00:00:00+00:00 one\n")
    assert lab.streams.logs_open == 0


async def test_logs_are_followed_until_the_client_goes(lab: Any) -> None:
    lab.registry.create(pod())
    async with lab.http.get(f"http://lab{POD}/log", params={"follow": "true"}) as answer:
        assert answer.status == 200
        for text in ("one", "two"):
            lab.streams.lines.append((0.0, text))
            assert await answer.content.readline() == f"{text}\n".encode()
        assert lab.streams.logs_open == 1
    for _ in range(100):
        if not lab.streams.logs_open:
            break
        await asyncio.sleep(0.01)
    assert lab.streams.logs_open == 0


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"previous": "true"}, 'previous terminated container "c0" in pod "web" not found'),
        ({"container": "x"}, "container x is not valid for pod web"),
        ({"sinceSeconds": "1", "sinceTime": "1970-01-01T00:00:05Z"}, "at most one of"),
        ({"sinceTime": "yesterday"}, "yesterday"),
        ({"tailLines": "many"}, "many"),
    ],
)
async def test_logs_that_cannot_be_had(lab: Any, query: Any, words: str) -> None:
    lab.registry.create(pod())
    answer = await lab.ask("GET", f"{POD}/log", **query)
    assert answer.code == 400
    assert words in answer.message


async def test_a_container_that_waits_has_no_log(lab: Any) -> None:
    lab.registry.create(pod())
    waiting = {
        "name": "c0", "ready": False, "restartCount": 0, "image": "", "imageID": "",
        "state": {"waiting": {"reason": "ContainerCreating"}},
    }  # fmt: skip
    change = {"status": {"containerStatuses": [waiting]}}
    lab.registry.patch("Pod", "default", "web", change, subresource="status")
    answer = await lab.ask("GET", f"{POD}/log")
    assert answer.message == ('container "c0" in pod "web" is waiting to start: ContainerCreating')
