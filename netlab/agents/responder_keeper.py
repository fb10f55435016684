"""Keeps the lab's responder alive: the process behind all built-in pods.

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
from netlab.kernel.process import Process
from netlab.workload.calls import Gone
from netlab.workload.client import ResponderClient, ensure_responder

log = logging.getLogger(__name__)

T = TypeVar("T")

Held = tuple[asyncio.StreamReader, asyncio.StreamWriter]

ATTEMPTS = 100
"""How often what was served is offered to a new responder before it counts as gone again."""

RETRY = 0.01
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
    async def start(
        socket: Path, owner: str, log_file: Path, started: Process | None = None
    ) -> ResponderKeeper:
        """Start the responder, or find it running or just `started`; watch it from now on."""
        client = await ensure_responder(socket, owner=owner, log=log_file, started=started)
        keeper = ResponderKeeper(client, socket, owner, log_file)
        held = await keeper._hold()
        keeper._task = asyncio.create_task(keeper._keep(held), name="responder")
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
            except Gone:
                await asyncio.sleep(RETRY)

    async def _keep(self, held: Held) -> None:
        while True:
            await _until_gone(held)
            self._up.clear()
            log.warning("the responder ended; starting it again")
            held = await self._start_again()
            self._up.set()
            await asyncio.gather(*(self._serve_again(serve) for serve in self._served))

    async def _start_again(self) -> Held:
        while True:
            try:
                fresh = await ensure_responder(self._socket, owner=self._owner, log=self._log_file)
                await fresh.close()
                return await self._hold()
            except (NetlabError, OSError, ValueError) as error:
                log.info("the responder does not answer yet: %s", error)
                await asyncio.sleep(RETRY)

    async def _hold(self) -> Held:
        """A connection whose end is the responder's. Only an answer shows that one is there: the
        socket of one that dies still takes connections for a moment."""
        held = await self.client.open({"id": 1, "op": "pid"})
        try:
            json.loads(await held[0].readline())
        except BaseException:
            held[1].close()
            raise
        return held

    async def _serve_again(self, serve: Callable[[], Awaitable[None]]) -> None:
        for _ in range(ATTEMPTS):
            try:
                return await serve()
            except Gone:  # our own connection may still be that to the one before
                await asyncio.sleep(RETRY)
            except Exception:
                log.exception("not everything is served again")
                return None
        return None  # it went away again, which will be seen


async def _until_gone(held: Held) -> None:
    reader, writer = held
    try:
        await reader.read()
    except OSError:
        pass
    finally:
        writer.close()
