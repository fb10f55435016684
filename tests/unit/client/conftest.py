"""A real API server in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bootstrapped import initial_objects
from fake_streams import FakeStreams

from netlab.api.server import build_app
from netlab.objects.lab import lab_from_object
from netlab.serving.http import serve_unix
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = {
    "apiVersion": "netlab/v1",
    "kind": "Lab",
    "metadata": {"name": "test"},
    "spec": {"nodes": 2},
}


@dataclass
class Server:
    """A server that runs; `call` runs a function on its loop's thread."""

    socket: Path
    registry: Registry
    streams: FakeStreams
    loop: asyncio.AbstractEventLoop
    _runner: Any

    def call(self, function: Callable[[], Any]) -> Any:
        async def on_loop() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(on_loop(), self.loop).result(60)

    def stop(self) -> None:
        """End the server; its connections break."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self.loop).result(60)

    def start_again(self) -> None:
        """Serve the same registry again."""
        app = build_app(self.registry, self.streams)
        starting = asyncio.run_coroutine_threadsafe(serve_unix(app, self.socket), self.loop)
        self._runner = starting.result(60)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    lab = lab_from_object(LAB)
    registry = Registry(Store(None), lab)
    for obj in initial_objects(lab):
        registry.create(obj)
    running = Server(tmp_path / "api.sock", registry, FakeStreams(), loop, None)
    running.start_again()
    try:
        yield running
    finally:
        running.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
