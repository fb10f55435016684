"""A real server over a real registry, on a unix socket, driven by a real client."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from bootstrapped import initial_objects
from fake_streams import FakeStreams

from netlab.agents import kubelet_server
from netlab.api.server import build_app
from netlab.client.kubelet_http import HttpKubelets
from netlab.client.kubelets import Kubelets
from netlab.objects.lab import lab_from_object
from netlab.serving.http import serve_unix
from netlab.store.registry import Registry
from netlab.store.store import Store

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@dataclass
class Answer:
    code: int
    headers: Any
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def message(self) -> str:
        """The message of a failure's Status."""
        assert self.json["kind"] == "Status", self.json
        assert self.json["status"] == "Failure"
        assert self.json["code"] == self.code
        return str(self.json["message"])


@dataclass
class Lab:
    """The server under test."""

    registry: Registry
    streams: FakeStreams
    http: aiohttp.ClientSession
    socket: Path
    app: web.Application

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        accept: str = "application/json",
        content_type: str = "application/json",
        **query: str,
    ) -> Answer:
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        data = None if raw is None else io.BytesIO(raw)
        headers = {"Accept": accept, "Content-Type": content_type}
        url = f"http://lab{path}"
        async with self.http.request(
            method, url, data=data, headers=headers, params=query
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def table(self, path: str, **query: str) -> Any:
        return (await self.ask("GET", path, accept=TABLE, **query)).json

    @asynccontextmanager
    async def watch(
        self, path: str, *, accept: str = "application/json", **query: str
    ) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
        """A function that gives the next event of a watch, None at its end."""
        async with self.http.get(
            f"http://lab{path}", params={"watch": "1", **query}, headers={"Accept": accept}
        ) as answer:
            assert answer.status == 200, await answer.text()

            async def following() -> Any:
                line = await asyncio.wait_for(answer.content.readline(), 2)
                return json.loads(line) if line else None

            yield following


@asynccontextmanager
async def running_lab(directory: Path, lab: Any = None, *, far: bool = False) -> AsyncIterator[Lab]:
    """A server, whose kubelets are in its process or `far` away."""
    lab = lab_from_object(lab or LAB)
    registry = Registry(Store(None), lab)
    for obj in initial_objects(lab):
        registry.create(obj)
    streams = FakeStreams()
    socket = directory / f"{uuid.uuid4().hex[:8]}.sock"
    async with AsyncExitStack() as stack:
        reached = await far_away(streams, directory, stack) if far else streams
        app = build_app(registry, reached)
        stack.push_async_callback((await serve_unix(app, socket)).cleanup)
        connector = aiohttp.UnixConnector(str(socket), limit=0)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        yield Lab(registry, streams, http, socket, app)


async def far_away(streams: FakeStreams, directory: Path, stack: AsyncExitStack) -> Kubelets:
    """The same kubelets, at the other end of a wire."""
    socket = directory / f"{uuid.uuid4().hex[:8]}.kubelet"
    runner = await serve_unix(kubelet_server.build_app(streams), socket)
    stack.push_async_callback(runner.cleanup)
    kubelets = HttpKubelets(socket)
    stack.push_async_callback(kubelets.close)
    return kubelets


LAB = {
    "apiVersion": "netlab/v1",
    "kind": "Lab",
    "metadata": {"name": "test"},
    "spec": {"nodes": 2},
}


@pytest.fixture
def far() -> bool:
    """Whether kubelets are reached over a wire."""
    return False


@pytest.fixture
async def lab(tmp_path: Path, far: bool) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path, far=far) as lab:
        yield lab
