"""Built-in servers on the real kernel: one process, listening inside pods' namespaces."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.agents.responder_keeper import ResponderKeeper
from netlab.errors import NetlabError
from netlab.kernel import netns, paths, process, run, syscalls, userns
from netlab.workload.behaviour import served_pod
from netlab.workload.calls import Gone
from netlab.workload.client import ResponderClient
from netlab.workload.served import HealthAnswer, ServedPod

pytestmark = pytest.mark.root

Scenario = Callable[[ResponderClient], Coroutine[Any, Any, None]]


@pytest.fixture
def namespaces() -> Iterator[Callable[[], int]]:
    """Makes network namespaces that exist as long as the test: nothing is mounted."""
    made = []

    def make() -> int:
        home = netns.current()
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            made.append(netns.current())
        finally:
            syscalls.setns(home)
            os.close(home)
        run.run(["ip", "link", "set", "lo", "up"], netns=made[-1])
        return made[-1]

    yield make
    for descriptor in made:
        os.close(descriptor)


@contextlib.asynccontextmanager
async def responding(directory: Path) -> AsyncIterator[ResponderClient]:
    """Who asks a responder of its own, which ends afterwards."""
    owner = str(uuid.uuid4())
    responder = keeper(directory, owner)
    await responder.ensure()
    try:
        yield responder.client
    finally:
        await responder.detach()
        process.end_owned(owner)
    assert process.owned(owner) == []


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ResponderClient]:
    async with responding(tmp_path) as client:
        yield client


def keeper(directory: Path, owner: str) -> ResponderKeeper:
    paths.processes(directory).mkdir(exist_ok=True)
    return ResponderKeeper(directory, owner)


def netns_path(descriptor: int) -> str:
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def pod_of(name: str, image: str, descriptor: int, **container: Any) -> ServedPod:
    pod = {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
        "spec": {
            "nodeName": "worker001",
            "containers": [{"name": "main", "image": image, **container}],
        },
    }
    served = served_pod(pod, netns_path(descriptor), ("127.0.0.1",))
    assert served is not None
    return served


def connect(descriptor: int, port: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
    with netns.entered(descriptor):
        sock = socket.socket(socket.AF_INET, kind)
    sock.settimeout(5)
    try:
        sock.connect(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock


def say(descriptor: int, port: int, data: bytes) -> bytes:
    """Everything a server answers until it closes."""
    with connect(descriptor, port) as sock:
        sock.sendall(data)
        received = b""
        while chunk := sock.recv(65536):
            received += chunk
        return received


async def get(descriptor: int, port: int, target: str = "/", headers: str = "") -> bytes:
    request = f"GET {target} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n{headers}\r\n"
    return await asyncio.to_thread(say, descriptor, port, request.encode())


async def test_a_pod_answers_in_its_own_namespace_and_nowhere_else(
    client: ResponderClient, namespaces: Callable[[], int]
) -> None:
    pod, other = namespaces(), namespaces()
    image = "alicek106/rr-test:echo-hostname"
    assert await client.serve([pod_of("hostname-7dfd748479-4tg5p", image, pod)]) == {}
    answer = await get(pod, 80)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    greeted = [line for line in answer.split(b"\n") if b"Hello" in line]
    assert greeted == [b"        <p>Hello,  hostname-7dfd748479-4tg5p</p>     </blockquote>"]
    with pytest.raises(ConnectionRefusedError):
        connect(other, 80)


async def test_a_stopped_pod_refuses_and_its_open_connections_are_reset(
    client: ResponderClient, namespaces: Callable[[], int]
) -> None:
    pod = namespaces()
    await client.serve([pod_of("web", "nginx:1.27", pod)])
    with connect(pod, 80) as kept:
        kept.sendall(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
        assert b"Welcome to nginx!" in await asyncio.to_thread(kept.recv, 65536)
        await client.stop(["uid-web", "uid-never-served"])
        with contextlib.suppress(ConnectionResetError):
            assert kept.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(pod, 80)
    assert await client.list() == {}


async def test_a_pod_that_is_left_answers_who_came_before(
    client: ResponderClient, namespaces: Callable[[], int]
) -> None:
    pod = namespaces()
    await client.serve([pod_of("web", "nginx:1.27", pod)])
    asking = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
    with connect(pod, 80) as new, connect(pod, 80) as kept:
        kept.sendall(asking)
        assert b"Welcome to nginx!" in await asyncio.to_thread(kept.recv, 65536)
        await client.leave("uid-web")
        with pytest.raises(ConnectionRefusedError):
            connect(pod, 80)
        assert await asyncio.to_thread(kept.recv, 1) == b"", "it has been answered, and is closed"
        new.sendall(asking)
        answer = await asyncio.to_thread(new.recv, 65536)
        assert b"Connection: close" in answer and b"Welcome to nginx!" in answer
    assert await client.list() == {}


async def test_two_hundred_pods_are_one_process(
    client: ResponderClient, namespaces: Callable[[], int]
) -> None:
    descriptors = [namespaces() for _ in range(200)]
    pods = [
        pod_of(f"web-{number}", "traefik/whoami", descriptor)
        for number, descriptor in enumerate(descriptors)
    ]
    assert await client.serve(pods) == {}
    for number in range(0, 200, 20):
        assert f"Hostname: web-{number}\n".encode() in await get(descriptors[number], 80)
    assert len(await client.list()) == 200


async def test_a_new_controller_finds_what_the_last_one_asked_for(
    client: ResponderClient, namespaces: Callable[[], int], tmp_path: Path
) -> None:
    pod = namespaces()
    served = pod_of("web", "ethos93/go-httpd:v2", pod)
    await client.serve([served])
    await client.close()
    again = ResponderClient(paths.responder_socket(tmp_path))
    assert await again.list() == {"uid-web": served}
    assert b"This version is v2 and hostname is web" in await get(pod, 8080)
    await again.close()


async def test_a_port_in_use_is_a_problem_of_that_pod_alone(
    client: ResponderClient, namespaces: Callable[[], int]
) -> None:
    busy, free = namespaces(), namespaces()
    problems = await client.serve(
        [
            pod_of("first", "nginx", busy),
            pod_of("second", "httpd", busy),
            pod_of("third", "httpd", free),
        ]
    )
    assert problems == {"uid-second": ["TCP port 80: Address already in use"]}
    assert b"It works!" in await get(free, 80)
    gone = ServedPod("uid-x", "/nowhere", (), pod_of("x", "nginx", free).containers)
    assert "no network namespace at /nowhere" in (await client.serve([gone]))["uid-x"][0]


async def test_udp_is_echoed_or_answered_by_how_it_begins(
    client: ResponderClient, namespaces: Callable[[], int]
) -> None:
    pod = namespaces()
    ports = [{"containerPort": 5353, "protocol": "UDP"}]
    await client.serve(
        [
            pod_of("any", "example.com/own:1", pod, ports=ports),
            pod_of("who", "traefik/whoamiudp", pod),
        ]
    )
    for port, said, answer in (
        (5353, b"ping", b"ping"),
        (8080, b"WHO", b"Hostname: who\nIP: 127.0.0.1\n"),
        (8080, b"else", b"Received: else"),
    ):
        with connect(pod, port, socket.SOCK_DGRAM) as sock:
            sock.send(said)
            assert (await asyncio.to_thread(sock.recv, 1500)).startswith(answer)


async def test_databases_listen_and_say_nothing(
    client: ResponderClient, namespaces: Callable[[], int]
) -> None:
    pod = namespaces()
    await client.serve([pod_of("cache", "redis:7", pod)])
    with connect(pod, 6379) as sock:
        sock.sendall(b"PING\r\n")
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(1)


async def test_requests_show_in_the_log_and_can_be_followed(
    client: ResponderClient, namespaces: Callable[[], int]
) -> None:
    pod = namespaces()
    await client.serve([pod_of("web", "nginx", pod)])
    await get(pod, 80, "/one", 'User-Agent: x"\x1b[31m\r\n'.replace("\x1b", "é"))
    lines = [line async for _, line in client.logs("uid-web", "main")]
    assert len(lines) == 1
    assert lines[0].startswith("127.0.0.1 - - [")
    assert '"GET /one HTTP/1.1" 404 ' in lines[0]
    assert lines[0].endswith(' "-" "x\\x22\\xC3\\xA9[31m"')

    async with contextlib.aclosing(client.logs("uid-web", "main", follow=True)) as following:
        assert "/one" in (await anext(following))[1]
        await get(pod, 80, "/two")
        assert "/two" in (await asyncio.wait_for(anext(following), 5))[1]
    assert [line async for _, line in client.logs("uid-web", "main", tail=0)] == []
    with pytest.raises(NetlabError, match="not served"):
        await anext(client.logs("uid-other", "main"))


async def test_health_ports_change_their_answer_and_close(
    client: ResponderClient, namespaces: Callable[[], int]
) -> None:
    node = namespaces()

    async def tell(ports: dict[int, HealthAnswer]) -> list[str]:
        return await client.health("node/a", netns_path(node), ["127.0.0.1"], ports)

    well = HealthAnswer(200, {"localEndpoints": 1}, {"X-Load-Balancing-Endpoint-Weight": "1"})
    assert await tell({31000: well, 31001: well}) == []
    answer = await get(node, 31000)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\nX-Load-Balancing-Endpoint-Weight: 1\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"localEndpoints": 1}
    await tell({31000: HealthAnswer(503, {"localEndpoints": 0})})
    assert (await get(node, 31000)).startswith(b"HTTP/1.1 503 Service Unavailable")
    with pytest.raises(ConnectionRefusedError):
        connect(node, 31001)


async def test_calls_fail_plainly_when_the_responder_is_gone(
    client: ResponderClient, namespaces: Callable[[], int], tmp_path: Path
) -> None:
    pid = await client.call("pid")
    ended = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([ended], [], [], 5)[0]
    os.close(ended)
    with pytest.raises(Gone):
        while True:
            await client.list()
    # its socket file is still there, and does not keep the next one from starting
    again = keeper(tmp_path, str(uuid.uuid4()))
    await again.ensure()
    await again.stop()


async def test_what_is_served_under_a_uid_is_replaced(
    client: ResponderClient, namespaces: Callable[[], int]
) -> None:
    """Also where both listen on the same port, and answer in different ways."""
    pod = namespaces()
    for image, answer in (("nginx", "Welcome to nginx"), ("traefik/whoami", "Hostname: web")):
        assert await client.serve([pod_of("web", image, pod)]) == {}
        assert answer.encode() in await get(pod, 80)


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def test_it_has_no_rights_and_sees_nothing_of_the_machine(client: ResponderClient) -> None:
    pid = await client.call("pid")
    found = status_of(pid)
    owner = process.mark_of(pid)
    assert owner is not None
    user = userns.daemon_id(owner, userns.RESPONDER)
    for name in ("Uid", "Gid"):
        assert found[name].split() == [str(user)] * 4
    assert found["Groups"] == ""
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(found[name], 16) == 0, name
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    for kind in ("mnt", "net", "ipc"):
        theirs, ours = Path(f"/proc/{pid}/ns/{kind}"), Path(f"/proc/self/ns/{kind}")
        assert theirs.readlink() != ours.readlink()
    root = Path(f"/proc/{pid}/root")
    assert [*root.iterdir(), *(root / "tmp").iterdir()] == [root / "tmp"]
    links = run.run(["ip", "-o", "link"], netns=Path(f"/proc/{pid}/ns/net")).stdout
    assert [line.split(": ")[1] for line in links.splitlines()] == ["lo"]
    assert "UP" not in links
    names = [path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()]
    opened = [str(name) for name in names if not str(name).startswith(("socket:", "anon_inode"))]
    assert all(name == "/dev/null" or name.endswith("responder.log") for name in opened), opened


async def test_it_looks_for_no_module_once_it_sees_no_files(
    namespaces: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever clients do, what Python imports only when it is needed is there by then."""
    monkeypatch.setenv("PYTHONVERBOSE", "2")
    pod = namespaces()
    said = paths.responder_log(tmp_path)
    async with responding(tmp_path) as client:
        await client.call("pid")  # only now it has certainly begun
        before = said.read_text()
        assert "trying" in before
        texts = [pod_of("e", "kicbase/echo-server", pod), pod_of("u", "traefik/whoamiudp", pod)]
        await client.serve([pod_of("web", "nginx", pod), *texts])
        for target in ("/", "/none", "/%ff\u00fc?x=%zz"):
            await get(pod, 80, target)
        for target in ("/echo?msg=ü", "/%ff", "/x"):
            await get(pod, 8080, target)
        for nonsense in (
            b"GET\r\n\r\n",
            b"\xff\x00" * 50000 + b"\r\n\r\n",
            b"POST / HTTP/1.1\r\n"
            b"Host: \xc3\xbc.example\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        ):
            with contextlib.suppress(ConnectionError):
                await asyncio.to_thread(say, pod, 80, nonsense)
        with connect(pod, 8080, socket.SOCK_DGRAM) as sock:
            sock.send(b"hostname \xff")
            await asyncio.to_thread(sock.recv, 1500)
        assert [line async for _, line in client.logs("uid-web", "main")]
        for request in ({"op": "none"}, {"op": "stop", "uids": 7}, {"op": "logs"}, {"op": "serve"}):
            reader, writer = await client.open({"id": 1, **request})
            assert await reader.readline()
            writer.close()
        _, writer = await client.open({})
        writer.write(b"nonsense\n")
        writer.close()
        assert len(await client.list()) == 3
        after = said.read_text()[len(before) :]
        assert [line for line in after.splitlines() if "trying" in line or "import" in line] == []


async def test_clients_wait_while_it_is_killed_and_another_takes_over(
    namespaces: Callable[[], int], tmp_path: Path
) -> None:
    """No connection is refused, no datagram lost: both wait in sockets that are kept."""
    pod, node = namespaces(), namespaces()
    owner = str(uuid.uuid4())
    answer = HealthAnswer(200, {"localEndpoints": 1})
    try:
        responder = keeper(tmp_path, owner)
        await responder.keep()
        ports = [{"containerPort": 53, "protocol": "UDP"}]
        pods = [pod_of("web", "nginx", pod), pod_of("echo", "example.com/own:1", pod, ports=ports)]

        async def serve() -> None:
            assert await responder.client.serve(pods) == {}
            assert (
                await responder.client.health("n", netns_path(node), ["127.0.0.1"], {31000: answer})
                == []
            )

        responder.on_restart(serve)
        await serve()
        for _ in range(3):
            pid = await responder.client.call("pid")
            descriptor = os.pidfd_open(pid)
            with connect(pod, 53, socket.SOCK_DGRAM) as sock:
                os.kill(pid, signal.SIGKILL)
                assert select.select([descriptor], [], [], 5)[0]
                os.close(descriptor)
                sock.send(b"are you there?")
                requests = [get(pod, 80), get(pod, 80), get(node, 31000)]
                for answered in await asyncio.gather(*requests):
                    assert answered.startswith(b"HTTP/1.1 200 OK")
                assert await asyncio.to_thread(sock.recv, 1500) == b"are you there?"
        await responder.client.stop(["uid-web", "n"])
        for place, port in ((pod, 80), (node, 31000)):
            with pytest.raises(ConnectionRefusedError):
                connect(place, port)
        await responder.detach()
    finally:
        process.end_owned(owner)
    assert process.owned(owner) == []


def test_a_controller_that_comes_back_opens_anew_what_dies_later(
    namespaces: Callable[[], int], tmp_path: Path
) -> None:
    """It has not the sockets of the one before; it does not need them while they are served."""
    pod, node = namespaces(), namespaces()
    owner = str(uuid.uuid4())
    well, ill = HealthAnswer(200, {}), HealthAnswer(503, {})

    async def controller(health: HealthAnswer, *, kill: bool) -> None:
        responder = keeper(tmp_path, owner)
        await responder.keep()
        served = pod_of("web", "nginx", pod)
        again = asyncio.Event()

        async def serve() -> None:
            await responder.client.ensure_served(served)
            place = netns_path(node), ["127.0.0.1"]
            assert await responder.client.health("n", *place, {31000: health}) == []
            again.set()

        responder.on_restart(serve)
        await serve()
        if kill:
            again.clear()
            os.kill(await responder.client.call("pid"), signal.SIGKILL)
            await asyncio.wait_for(again.wait(), 30)
        await responder.detach()

    try:
        asyncio.run(controller(well, kill=False))
        with connect(pod, 80) as kept:
            asyncio.run(controller(ill, kill=False))
            kept.sendall(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            assert b"Welcome to nginx!" in kept.recv(65536)
        assert b" 503 " in asyncio.run(get(node, 31000))
        asyncio.run(controller(well, kill=True))
        assert b" 200 " in asyncio.run(get(node, 31000))
        assert b"Welcome to nginx!" in asyncio.run(get(pod, 80))
    finally:
        process.end_owned(owner)
    assert process.owned(owner) == []
