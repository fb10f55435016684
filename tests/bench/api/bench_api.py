"""How fast the API answers. Run it: `.venv/bin/python tests/bench/api/bench_api.py`.

A real server on a unix socket in this process, over a store with its file; a bare client that
sends prepared bytes, so that the figures are the server's. Medians, in milliseconds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from netlab.api.server import build_app
from netlab.objects.lab import lab_from_object
from netlab.serving.http import serve_unix
from netlab.store.registry import Registry
from netlab.store.store import Store

sys.path.insert(0, str(Path(__file__).parents[2]))
from bootstrapped import initial_objects
from fake_streams import FakeStreams

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
LAB = {
    "apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "bench"}, "spec": {"nodes": 2},
}  # fmt: skip


def service(number: int) -> dict[str, Any]:
    spec = {"selector": {"app": f"web-{number}"}, "ports": [{"port": 80, "targetPort": 8080}]}
    metadata = {"name": f"web-{number}", "labels": {"app": f"web-{number}"}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def pod(number: int) -> dict[str, Any]:
    metadata = {"name": f"web-7dfd748479-{number:05}", "labels": {"app": "web"}}
    spec = {"nodeName": "node1", "containers": [{"name": "web", "image": "nginx"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


class Connection:
    """A kept-alive connection that sends prepared requests and reads whole answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, socket: Path) -> Connection:
        return cls(*await asyncio.open_unix_connection(str(socket), limit=64 << 20))

    async def ask(self, method: str, path: str, accept: str, body: bytes = b"") -> bytes:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 20"), answer
        length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        return await self.reader.readexactly(length)


async def median(times: int, call: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        await call()
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


async def reads(registry: Registry, connection: Connection) -> None:
    for kind, path, make, count in (
        ("Services", "/api/v1/namespaces/default/services", service, 1000),
        ("pods", "/api/v1/pods", pod, 5000),
    ):
        for number in range(count):
            registry.create(make(number))
        for form, accept in (("as a Table", TABLE), ("as JSON", "application/json")):
            start = time.perf_counter()
            size = len(await connection.ask("GET", path, accept))
            first = 1000 * (time.perf_counter() - start)
            again = await median(15, lambda a=accept, p=path: connection.ask("GET", p, a))
            show(
                f"list of {count:,} {kind} {form} ({size // 1024} KiB)", again, f"first {first:.1f}"
            )
    one = "/api/v1/namespaces/default/services/web-1"
    show("get one Service", await median(300, lambda: connection.ask("GET", one, TABLE)))


async def fan_out(socket: Path, connection: Connection, watchers: int, creates: int) -> None:
    """Creates over HTTP while watchers follow them all."""
    path = "/api/v1/namespaces/default/configmaps"
    bodies = [
        json.dumps({"metadata": {"name": f"c{watchers}-{number}"}, "data": {"a": "1"}}).encode()
        for number in range(creates)
    ]

    async def follow() -> None:
        watch = await Connection.open(socket)
        watch.writer.write(f"GET {path}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        seen, last = 0, f"c{watchers}-{creates - 1}".encode()
        while chunk := await watch.reader.read(1 << 20):
            seen += chunk.count(b'"type":"ADDED"')
            if last in chunk:
                break
        watch.writer.close()

    followers = [asyncio.create_task(follow()) for _ in range(watchers)]
    await asyncio.sleep(0.2)
    start = time.perf_counter()
    for body in bodies:
        await connection.ask("POST", path, "application/json", body)
    created = time.perf_counter() - start
    await asyncio.gather(*followers)
    told = time.perf_counter() - start
    rates = f"{creates / created:,.0f}/s, all told at {creates / told:,.0f}/s"
    what = f"create with {watchers} watchers (they run in this process too)"
    show(what, 1000 * created / creates, rates)


def show(what: str, milliseconds: float, more: str = "") -> None:
    print(f"{what:62} {milliseconds:8.2f} ms  {more}", flush=True)


async def main() -> None:
    lab = lab_from_object(LAB)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        registry = Registry(Store(Path(directory) / "store.journal"), lab)
        for obj in initial_objects(lab):
            registry.create(obj)
        socket = Path(directory) / "api.sock"
        runner = await serve_unix(build_app(registry, FakeStreams()), socket)
        connection = await Connection.open(socket)
        await reads(registry, connection)
        for watchers in (0, 20):
            await fan_out(socket, connection, watchers, 2000)
        connection.writer.close()
        await runner.cleanup()
    gc.collect()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory {peak} MiB")


if __name__ == "__main__":
    asyncio.run(main())
