"""The controller's side of a process that answers names: started or adopted, told, kept alive.

The controller holds the sockets that it has handed over. While the process is dead queries wait in
them, and the next one answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from netlab.errors import NetlabError
from netlab.kernel import netns, process
from netlab.workload import launch
from netlab.workload.calls import Calls, Gone
from netlab.workload.ports import bound
from netlab.workload.program import ended
from netlab.workload.served import Listener

log = logging.getLogger(__name__)

Json = dict[str, Any]

_RETRY = 0.02
_END_SECONDS = 0.5
_SO_RCVBUFFORCE, _ROOM = 33, 4 << 20


class Door(Struct, frozen=True):
    """Where queries come in, over UDP and over TCP: a port of the namespace, on all its addresses
    or on its loopback's alone."""

    port: int
    local: bool = False


class NamesKeeper:
    """One process that answers names; `socket_path` is what it is controlled by.

    Entries are what it knows names by, each with a key; it is told of what `set` changes, soon.
    `encode` makes of one what travels. `coming` runs if the process was just started.
    """

    def __init__(
        self,
        socket_path: Path,
        owner: str,
        log_file: Path,
        encode: Callable[[Any], Any],
        coming: process.Process | None = None,
    ) -> None:
        self._calls = Calls(socket_path, "process that answers names")
        self._socket = socket_path
        self._owner = owner
        self._log_file = log_file
        self._encode = encode
        self._coming = coming
        self._entries: dict[str, Any] = {}
        self._changed: set[str] = set()
        self._telling = False
        self._told: Json = {}
        self._sockets: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._up = False
        self.pid: int | None = None

    @property
    def idle(self) -> bool:
        """Whether the process knows all that was set."""
        return not (self._up and (self._changed or self._telling))

    def set(self, key: str, entry: Any) -> None:
        """There is now such an entry, or (None) none."""
        if entry is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = entry
        self._changed.add(key)
        self._wake.set()

    async def start(
        self,
        namespace: Path,
        doors: Sequence[Door],
        *,
        dual: bool,
        asks_from: Path | None,
        asks: bool,
        **told: Any,
    ) -> None:
        """Have queries answered that come in by these doors of a namespace.

        Who `asks` others does so from the namespace at `asks_from` (None: the machine's).
        What else is `told` depends on the role (`process`).
        """
        with netns.opened(namespace) as opened:
            inode = os.fstat(opened).st_ino
        place = {"inode": inode, "doors": [[door.port, door.local] for door in doors], "dual": dual}
        origin = str(asks_from) if asks_from else None
        wanted = {"place": place, "namespace": origin, "asks": asks, **told}
        self._told = json.loads(json.dumps(wanted))  # as it comes back from one that runs
        coming, self._coming = self._coming, None
        await self._calls.ensure(lambda: coming or self._start(), self._log_file)
        known = await self._calls.call("told")
        if known is not None and known["place"] == place:
            self._sockets = await self._calls.taken("sockets", 2 * len(doors))
        if known is not None and _sort(known) != _sort(self._told):
            await self._end()
            known = None
        if not self._sockets:
            self._sockets = await asyncio.to_thread(_opened, namespace, doors, dual)
        await (self._begin() if known is None else self._adopt())
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep()), loop.create_task(self._tell())]

    async def detach(self) -> None:
        """Leave it running, and watch it no longer. Idempotent."""
        self._up = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for each in self._sockets:
            each.close()
        self._sockets = []
        await self._calls.close()

    async def stop(self) -> None:
        """End it, if it runs. Idempotent."""
        pid = self.pid
        await self.detach()
        if pid is not None:
            await asyncio.to_thread(process.end, [pid], _END_SECONDS)
        self.pid = None

    # -- its life --------------------------------------------------------------------------

    def _start(self) -> process.Process:
        return launch.start_names(self._socket, owner=self._owner, log=self._log_file)

    async def _begin(self) -> None:
        """Have a new one serve, and tell it everything."""
        await self._calls.ensure(self._start, self._log_file)
        try:
            await self._calls.hand_over("serve", self._sockets, told=self._told)
        except NetlabError:  # it may have given up its rights by now, and is of no use
            with contextlib.suppress(Gone):
                await self._end()
            raise
        await self._adopt()

    async def _adopt(self) -> None:
        self.pid = await self._calls.call("pid")
        self._changed.clear()
        await self._send(self._entries, replace=True)
        self._up = True

    async def _end(self) -> None:
        pid = await self._calls.call("pid")
        await self._calls.close()
        await asyncio.to_thread(process.end, [pid], _END_SECONDS)

    async def _keep(self) -> None:
        """Wait for its end, however it comes, and start it again."""
        while True:
            assert self.pid is not None
            await ended(os.pidfd_open(self.pid))
            self._up = False
            log.warning("the process that answers names ended; starting it again")
            process.reap()
            while not self._up:
                try:
                    await self._calls.close()
                    await self._begin()
                except (NetlabError, OSError, ValueError) as error:
                    log.info("names cannot be answered yet: %s", error)
                    await asyncio.sleep(_RETRY)

    # -- what it knows ---------------------------------------------------------------------

    async def _tell(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._up and self._changed:
                changed = {key: self._entries.get(key) for key in self._changed}
                self._changed.clear()
                self._telling = True
                with contextlib.suppress(Gone):  # the next one is told everything
                    await self._send(changed, replace=False)
                self._telling = False

    async def _send(self, entries: Mapping[str, Any], *, replace: bool) -> None:
        encoded = {
            key: None if entry is None else self._encode(entry) for key, entry in entries.items()
        }
        await self._calls.call("tell", entries=encoded, replace=replace)


def _sort(told: Json) -> Json:
    """What one that runs must have been told to be ours: but for the path, which says it anew."""
    return {key: value for key, value in told.items() if key != "namespace"}


def _opened(namespace: Path, doors: Sequence[Door], dual: bool) -> list[socket.socket]:
    with netns.entered(namespace):
        return [each for door in doors for each in _both(door, dual=dual)]


def _both(door: Door, *, dual: bool) -> tuple[socket.socket, socket.socket]:
    host = "127.0.0.1" if door.local else ""
    udp = bound(Listener(door.port, "udp", ""), dual=dual and not door.local, host=host)
    try:  # queries that come while nobody answers find room to wait in
        udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
    except PermissionError:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
    return udp, bound(Listener(door.port, "tcp", ""), dual=dual and not door.local, host=host)
