"""Keeps the lab's responder alive: the process behind all built-in pods and commands.

It outlives controllers, but nothing saves it from a `kill -9`. Its end shows on a connection that
is held open for nothing else; then it is started anew, and those who were served are told.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from netlab.errors import NetlabError
from netlab.workload.client import ResponderClient, ResponderGone, ensure_responder

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY = 0.05
"""Seconds between attempts to reach, or to start, a responder that went away."""


class ResponderKeeper:
    """One responder. `client` stays the same when it has to be started anew."""

    def __init__(self, client: ResponderClient, socket: Path, owner: str, log_file: Path) -> None:
        self.client = client
        self._socket = socket
        self._owner = owner
        self._log_file = log_file
        self._up = asyncio.Event()
        self._up.set()
        self._served: list[Callable[[], Awaitable[None]]] = []
        self._task: asyncio.Task[None] | None = None

    @staticmethod
    async def start(socket: Path, owner: str, log_file: Path) -> ResponderKeeper:
        """Start the responder, or find it running, and watch it from now on."""
        client = await ensure_responder(socket, owner=owner, log=log_file)
        keeper = ResponderKeeper(client, socket, owner, log_file)
        keeper._task = asyncio.create_task(keeper._keep(), name="responder")
        return keeper

    async def stop(self) -> None:
        """Watch no longer; the responder goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.client.close()

    def on_restart(self, serve: Callable[[], Awaitable[None]]) -> None:
        """Call `serve` whenever a responder has been started that knows of nothing yet."""
        self._served.append(serve)

    async def reached(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of `call`, which is made again for as long as the responder is away."""
        while True:
            await self._up.wait()
            try:
                return await call()
            except ResponderGone:
                await asyncio.sleep(RETRY)

    async def _keep(self) -> None:
        while True:
            try:
                await self._until_gone()
            except (NetlabError, OSError, ValueError):
                await asyncio.sleep(RETRY)
            self._up.clear()
            log.warning("the responder ended; starting it again")
            await self._start_again()
            self._up.set()
            await asyncio.gather(*(self._serve_again(serve) for serve in self._served))

    async def _until_gone(self) -> None:
        reader, writer = await self.client.open({"id": 1, "op": "pid"})
        try:
            json.loads(await reader.readline())
            await reader.read()
        finally:
            writer.close()

    async def _start_again(self) -> None:
        while True:
            try:
                fresh = await ensure_responder(self._socket, owner=self._owner, log=self._log_file)
                await fresh.close()
                return
            except (NetlabError, OSError) as error:
                log.error("the responder does not start: %s", error)
                await asyncio.sleep(RETRY * 10)

    async def _serve_again(self, serve: Callable[[], Awaitable[None]]) -> None:
        try:
            await serve()
        except Exception:
            log.exception("not everything is served again")
