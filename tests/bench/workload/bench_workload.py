"""How fast pods are served, started and entered; run it with sudo and the project's python.

Prints medians. Each figure is set against a floor measured in the same run, because machines
differ: a plain `true`, a bare asyncio server that answers the same bytes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from netlab.agents.responder_keeper import ResponderKeeper
from netlab.agents.runtime_keeper import RuntimeKeeper
from netlab.kernel import netns, paths, run, syscalls, teardown, userns
from netlab.workload import etc_files
from netlab.workload.behaviour import served_pod
from netlab.workload.client import ResponderClient
from netlab.workload.sandbox import Command, ContainerPlace, Sandboxes, base_environment

REQUEST = b"GET / HTTP/1.1\r\nHost: web\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
SECONDS = 2.0


def namespace() -> int:
    with netns.entered(netns.current()):
        syscalls.unshare(syscalls.CLONE_NEWNET)
        made = netns.current()
    run.run(["ip", "link", "set", "lo", "up"], netns=made)
    return made


def say(what: str, value: float, unit: str, beside: str = "") -> None:
    print(f"{what:<52} {value:>10,.1f} {unit:<10} {beside}")


async def times(count: int, once: Callable[[], Awaitable[None]]) -> float:
    """The median in milliseconds."""
    measured = []
    for _ in range(count):
        before = time.perf_counter()
        await once()
        measured.append((time.perf_counter() - before) * 1000)
    return statistics.median(measured)


def pod(number: int, image: str, descriptor: int) -> dict[str, object]:
    return {
        "metadata": {"name": f"web-{number}", "namespace": "default", "uid": f"uid-{number}"},
        "spec": {"nodeName": "a", "containers": [{"name": "main", "image": image}]},
        "netns": f"/proc/{os.getpid()}/fd/{descriptor}",
    }


async def serve(client: ResponderClient, descriptors: list[int], image: str) -> float:
    pods = []
    for number, descriptor in enumerate(descriptors):
        data = pod(number, image, descriptor)
        served = served_pod(data, str(data["netns"]), ("127.0.0.1",))
        assert served is not None
        pods.append(served)
    before = time.perf_counter()
    problems = await client.serve(pods)
    assert problems == {}, problems
    return (time.perf_counter() - before) * 1000


def client_process(descriptor: int, port: int, kept: bool) -> float:
    """Requests a second from another process (a C client would show a little more)."""
    script = f"""
import socket, time
request = {REQUEST!r}
count, end = 0, time.perf_counter() + {SECONDS}
sock = None
while time.perf_counter() < end:
    if sock is None:
        sock = socket.create_connection(("127.0.0.1", {port}))
    batch = 32 if {kept} else 1
    sock.sendall(request * batch)
    answers = b""
    while answers.count(b"HTTP/1.1 200") < batch or not answers.endswith(b"\\n"):
        answers += sock.recv(262144)
    count += batch
    if not {kept}:
        sock.close()
        sock = None
print(count / {SECONDS})
"""
    with netns.entered(descriptor):
        answer = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
    return float(answer.stdout)


async def bench_serving(directory: Path, owner: str) -> ResponderClient:
    before = time.perf_counter()
    paths.processes(directory).mkdir(exist_ok=True)
    responder = ResponderKeeper(directory, owner)
    await responder.ensure()
    client = responder.client
    say("responder start", (time.perf_counter() - before) * 1000, "ms")
    descriptors = [namespace() for _ in range(200)]
    say("serve 200 pods, one message", await serve(client, descriptors, "nginx"), "ms")
    pid = await client.call("pid")
    status = Path(f"/proc/{pid}/status").read_text()
    say("responder memory", int(status.split("VmRSS:")[1].split()[0]) / 1024, "MiB")
    for image in ("alicek106/rr-test:echo-hostname", "traefik/whoami"):
        await serve(client, descriptors, image)
        rate = await asyncio.to_thread(client_process, descriptors[0], 80, True)
        say(f"{image}, kept alive, pipelined by 32", rate, "req/s")
        rate = await asyncio.to_thread(client_process, descriptors[0], 80, False)
        say(f"{image}, a connection each", rate, "req/s")
    for descriptor in descriptors[1:]:
        os.close(descriptor)
    return client


async def bench_processes(directory: Path, owner: str) -> None:
    made = paths.namespace(directory, "bench.pod")
    os.close(netns.create(made, userns.id_range(owner)))
    pod_directory = paths.pod(directory, "uid-p")
    etc_files.write_pod_files(
        pod_directory, hostname="web-0", hosts="127.0.0.1 localhost\n", resolv_conf="\n"
    )
    place = ContainerPlace("uid-p", pod_directory, made, "web-0")
    keeper = RuntimeKeeper(directory, owner)
    before = time.perf_counter()
    await keeper.reached(lambda: keeper.calls.call("pid"))
    say("runtime start", (time.perf_counter() - before) * 1000, "ms")
    sandboxes = Sandboxes(keeper.calls)
    env = base_environment("web-0")

    async def plain() -> None:
        await (await asyncio.create_subprocess_exec("true")).wait()

    async def started() -> None:
        await (await sandboxes.start(place, "main", Command(("true",), env))).wait()

    floor = await times(30, plain)
    say("`true`, plain", floor, "ms")
    spent = await times(30, started)
    say("`true` as a pod's process, start to exit code", spent, "ms", f"{spent / floor:.1f}x")
    idle = await sandboxes.idle(place)

    async def executed() -> None:
        session = await sandboxes.execute(idle, Command(("true",), env))
        await asyncio.gather(*(drain(stream) for stream in (session.stdout(), session.stderr())))
        await session.wait()
        await session.kill()

    async def drain(stream: object) -> None:
        async for _ in stream:  # type: ignore[attr-defined]
            pass

    spent = await times(30, executed)
    say("exec `true`, start to exit code", spent, "ms", f"{spent / floor:.1f}x")
    await keeper.detach()


async def main() -> None:
    base = Path(tempfile.mkdtemp(prefix="netlab-bench-"))
    os.environ |= {paths.RUN_VARIABLE: str(base / "run"), paths.NETNS_DIR_VARIABLE: str(base / "n")}
    directory = paths.lab_dir("bench")
    try:
        owner = netns.LabMount(directory).ensure()
        client = await bench_serving(directory, owner)
        await bench_processes(directory, owner)
        await client.close()
    finally:
        teardown.teardown(directory)
        shutil.rmtree(base)


if __name__ == "__main__":
    asyncio.run(main())
