"""agnhost's stand-in, run where it is meant to: in a pod, by the machine's python3."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from kernel.asking import connected, get, raw
from kernel.sandboxes import Lab, executed, logged, said

from netlab.workload.sandbox import Command, SandboxProcess, base_environment

pytestmark = pytest.mark.root

TWICE = "127.0.0.1,127.0.0.1"

Start = Callable[..., Awaitable[SandboxProcess]]


@pytest.fixture
def agnhost(lab: Lab) -> Start:
    """Starts `/agnhost WORDS` as a container of the pod of that name; it has begun its work."""

    async def start(*words: str, name: str = "debug", **env: str) -> SandboxProcess:
        place = lab.place(name, programs={"main": ("agnhost",)})
        variables = base_environment(name) | env
        command = Command(("/agnhost", *words), variables)
        started = await lab.sandboxes.start(place, "main", command, attempt=next(lab.attempts))
        await started.first_words(10)
        return started

    return start


async def test_netexec_answers_runs_and_dials(lab: Lab, agnhost: Start) -> None:
    started = await agnhost(
        "netexec",
        "--http-port=80",
        "--udp-port",
        "81",
        "--udp-listen-addresses",
        TWICE,
        name="web-0",
    )
    assert "Started HTTP server on port 80" in said(started)

    async def body(path: str, **query: Any) -> tuple[int, str]:
        return (await get(lab, 80, path, **query))[:2]

    assert await body("/hostName") == await body("/hostname") == (200, "web-0")
    assert (await body("/"))[1].startswith("NOW: 20")
    assert (await body("/clientip"))[1].startswith("127.0.0.1:")
    assert await body("/echo", msg="hi you", code=418) == (418, "hi you")
    assert await body("/healthz") == (200, "")
    assert await body("/header", key="accept-encoding") == (200, "identity")
    shell = await body("/shell", cmd="cat /etc/hostname; hostname; echo wrong >&2; exit 3")
    assert json.loads(shell[1]) == {"error": "exit status 3", "output": "web-0\nweb-0\nwrong\n"}
    status, _, headers = await get(lab, 80, "/redirect", location="/echo?msg=x", code=307)
    assert (status, headers["Location"]) == (307, "/echo?msg=x")
    dialled: dict[str, Any] = {"host": "127.0.0.1", "port": 80, "request": "hostname", "tries": 2}
    assert json.loads((await body("/dial", **dialled))[1]) == {"responses": ["web-0", "web-0"]}
    dialled |= {"port": 81, "protocol": "udp", "request": "echo HI"}
    assert json.loads((await body("/dial", **dialled))[1]) == {"responses": ["hi", "hi"]}
    refused = json.loads((await body("/dial", host="127.0.0.1", port=9, request="x"))[1])
    assert refused == {
        "errors": ['Get "http://127.0.0.1:9/x": dial tcp 127.0.0.1:9: connect: connection refused']
    }
    assert (await body("/dial", host="127.0.0.1", port=80))[0] == 400
    with connected(lab, 81, socket.SOCK_DGRAM) as client:
        client.send(b"hostName\n")
        assert await asyncio.to_thread(client.recv, 99) == b"web-0"
        client.send(b"serverport\n")
        assert await asyncio.to_thread(client.recv, 99) == b"81"
    form = (
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        b"#!/bin/sh\necho up\r\n--B--\r\n"
    )
    head = "POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += f"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: {len(form)}\r\n\r\n"
    answered = await raw(lab, 80, head.encode() + form)
    assert answered.startswith(b"HTTP/1.1 201 Created\r\n")
    uploaded = json.loads(answered.partition(b"\r\n\r\n")[2])["output"]
    assert await executed(started, lab, uploaded) == (0, "up\n", "")


async def test_netexec_refuses_what_is_no_request_and_ends(lab: Lab, agnhost: Start) -> None:
    started = await agnhost("netexec", "--udp-port=-1")
    for data in (b"hostName\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n"):
        assert (await raw(lab, 8080, data)).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert (await started.kill(20)).code == 0
    started = await agnhost("netexec", "--delay-shutdown=600")
    killing = asyncio.create_task(started.kill(60))
    await logged(started, "Sleeping 600 seconds")
    status, body, _ = await get(lab, 8080, "/readyz")
    assert (status, body) == (503, "shutting down")
    with pytest.raises(http.client.RemoteDisconnected):
        await get(lab, 8080, "/exit", code=7)
    assert (await killing).code == 7


async def test_the_program_asks_from_within_a_pod(lab: Lab, agnhost: Start) -> None:
    started = await agnhost("netexec")

    async def ran(*words: str) -> tuple[int, str, str]:
        return await executed(started, lab, "/agnhost", *words)

    assert await ran("connect", "127.0.0.1:8080", "--timeout=5s") == (0, "", "")
    assert await ran("connect", "127.0.0.1:9", "--timeout", "5s") == (1, "", "REFUSED\n")
    assert await ran("connect", "--protocol=udp", "127.0.0.1:8081") == (0, "", "")
    code, _, why = await ran("connect", "nowhere.invalid:80")
    assert (code, why.split(":")[0]) == (1, "DNS")
    assert (await ran("connect", "nonsense"))[2].startswith("UNKNOWN: ")
    assert await ran("dns-suffix") == (
        0, "default.svc.cluster.local,svc.cluster.local\n", "",
    )  # fmt: skip
    assert await ran("dns-server-list") == (0, "10.96.0.10\n", "")
    assert await ran("entrypoint-tester", "a", "b") == (0, "[/agnhost entrypoint-tester a b]\n", "")
    code, text, _ = await ran("mounttest", "--new_file_0660=/tmp/new", "--file_perm=/tmp/new")
    assert (code, text) == (
        0,
        'content of file "/tmp/new": mount-tester new file\n\n'
        'perms of file "/tmp/new": -rw-rw----\n',
    )
    assert (await ran("nonsense"))[2].startswith('Error: unknown command "nonsense"')
    _, said_so, _ = await executed(started, lab, "/agnhost-2", "entrypoint-tester", "a")
    assert said_so == "[/agnhost-2 entrypoint-tester a]\n"
    code, _, _ = await executed(started, lab, "sh", "-c", "echo >/agnhost")
    assert code != 0


async def test_porter_serves_variables_and_serve_hostname_lingers(lab: Lab, agnhost: Start) -> None:
    served = {
        "SERVE_PORT_80": "plain",
        "SERVE_PORT_81": '\n<A href="/x">x</A>',
        "SERVE_PORT_82": "a <b>",
        "SERVE_UDP_PORT_53": "datagram",
        "SERVE_TLS_PORT_443": "secret",
    }
    started = await agnhost("porter", **served)
    assert (await get(lab, 80, "/any"))[1] == "plain"
    kinds = [(await get(lab, port, "/"))[2]["Content-Type"] for port in (80, 81, 82)]
    assert kinds == [f"text/{kind}; charset=utf-8" for kind in ("plain", "html", "plain")]
    with connected(lab, 53, socket.SOCK_DGRAM) as client:
        client.send(b"x")
        assert await asyncio.to_thread(client.recv, 99) == b"datagram"

    def sealed() -> bytes:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(connected(lab, 443)) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: client.recv(4096), b""))

    assert (await asyncio.to_thread(sealed)).endswith(b"\r\n\r\nsecret")
    assert (await get(lab, 443, "/"))[:2] == (
        400, "Client sent an HTTP request to an HTTPS server.\n",
    )  # fmt: skip
    await started.kill(0)
    started = await agnhost("serve-hostname", "--port=80", name="named")
    killing = asyncio.create_task(started.kill(60))
    await logged(started, "Awaiting pod deletion.")
    assert (await get(lab, 80, "/"))[1] == "named"
    await started.kill(0)
    assert (await killing).code == 137


async def test_files_of_the_container_and_half_closed_connections(lab: Lab, agnhost: Start) -> None:
    started = await agnhost("test-webserver")
    await executed(started, lab, "sh", "-c", "mkdir /tmp/d; echo content >/tmp/d/f")
    assert (await get(lab, 80, "/tmp/d/f"))[:2] == (200, "content\n")
    assert '<a href="f">f</a>' in (await get(lab, 80, "/tmp/d/"))[1]
    assert (await get(lab, 80, "/../../none"))[0] == 404
    await started.kill(0)
    started = await agnhost("net", "--serve", ":8889")
    client = {"RemoteAddr": "127.0.0.1:9999", "TimeoutSeconds": 5, "PostFinTimeoutSeconds": 0}
    server = {"LocalAddr": "127.0.0.1:9999", "PostFinTimeoutSeconds": 1}
    runner = ("/agnhost", "net", "--runner", "nat-closewait-server", "--options")
    serving = asyncio.create_task(executed(started, lab, *runner, json.dumps(server)))

    async def run() -> str:
        path, options = "/run/nat-closewait-client", json.dumps(client).encode()
        return (await get(lab, 8889, path, "POST", options))[1]

    async with asyncio.timeout(10):
        while "Server has half-closed" not in (answer := await run()):
            assert "refused" in answer  # the server is yet to come
    assert (await serving)[0] == 0


async def test_a_guestbook_of_three_pods(lab: Lab, agnhost: Start) -> None:
    """All in one namespace here, so that they differ by port."""
    await agnhost("guestbook", "--http-port=6379", name="primary")
    replica = ("--http-port=80", "--replicaof=127.0.0.1", "--backend-port=6379")
    started = await agnhost("guestbook", *replica, name="replica")
    await logged(started, "Registered to node: 127.0.0.1")
    assert (await get(lab, 80, "/set", key="k", value="v"))[:2] == (200, '{"message":"Updated"}')
    assert (await get(lab, 80, "/get", key="k"))[1] == '{"data":"v"}'
    assert (await get(lab, 80, "/guestbook", cmd="set"))[0] == 400


async def test_a_packet_from_outside_of_the_window_is_sent_on_purpose(lab: Lab) -> None:
    """On the loopback nothing tells it apart, and the client takes no notice."""
    place = lab.place("boom", programs={"main": ("boom-server",)})
    variables = base_environment("boom") | {"POD_IPS": "127.0.0.1"}
    command = Command(("/boom-server",), variables)
    started = await lab.sandboxes.start(place, "main", command, attempt=next(lab.attempts))
    await logged(started, "listen on 0.0.0.0:9000")
    with connected(lab, 9000) as client:
        await logged(started, "boom packet injected")
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert "ERROR" not in said(started)
