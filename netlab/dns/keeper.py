"""The controller's side of a process that answers names: started or adopted, told, kept alive.

The controller holds the sockets that it has handed over. While the process is dead queries wait in
them, and the next one answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from netlab.errors import NetlabError
from netlab.kernel import netns, process
from netlab.kernel.receiving import make_room
from netlab.tasks import cancel
from netlab.workload import launch
from netlab.workload.calls import Calls, Gone
from netlab.workload.controlled_program import ControlledProgram
from netlab.workload.ports import bound
from netlab.workload.served import Listener

Json = dict[str, Any]

_END_SECONDS = 0.5
_NEXT_SECONDS = 5.0
_ROOM = 4 << 20


class Door(Struct, frozen=True):
    """Where queries come in, over UDP and over TCP: a port of the namespace, on all its addresses
    or on its loopback's alone."""

    port: int
    local: bool = False


class NamesKeeper(ControlledProgram):
    """One process that answers names, `which` of them; `socket_path` is what it is controlled by.

    Entries are what it knows names by, each with a key; it is told of what `set` changes, soon.
    `encode` makes of one what travels. `coming` runs if the process was just started.
    """

    def __init__(
        self,
        which: str,
        socket_path: Path,
        owner: str,
        log_file: Path,
        encode: Callable[[Any], Any],
        coming: process.Process | None = None,
    ) -> None:
        calls = Calls(socket_path, f"process for the {which}'s names")
        super().__init__(f"the process for the {which}'s names", calls, log_file, coming)
        self._owner = owner
        self._encode = encode
        self._entries: dict[str, Any] = {}
        self._changed: set[str] = set()
        self._telling = False
        self._told: Json = {}
        self._doors: tuple[Path, Sequence[Door]] = Path(), ()
        self._sockets: list[socket.socket] = []
        self._teller: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether the process knows all that was set."""
        return not (self.is_up and (self._changed or self._telling))

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
        self._doors = namespace, doors
        await self.keep()
        self._teller = asyncio.create_task(self._tell_changes(), name=f"{self.name}, told")

    async def change(self, **told: Any) -> None:
        """Have it told otherwise from now on. What runs ends, and the next one is; meanwhile
        queries wait, and so does this, for a while."""
        if not self._told or all(self._told.get(key) == value for key, value in told.items()):
            return
        self._told |= json.loads(json.dumps(told))
        if self.is_up:
            self._up.clear()
            await self._end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_NEXT_SECONDS):
                    await self._up.wait()

    async def counted(self) -> str:
        """What the process has counted since it began, as Prometheus reads it."""
        return str(await self._calls.call("counted"))

    async def detach(self) -> None:
        """Leave it running, and watch it no longer. Idempotent."""
        await cancel(self._teller)
        self._teller = None
        await super().detach()
        for each in self._sockets:
            each.close()
        self._sockets = []

    # -- its life --------------------------------------------------------------------------

    def launch(self) -> process.Process:
        """See `ControlledProgram`."""
        return launch.start_names(self._calls.path, owner=self._owner, log=self.log)

    async def begin(self) -> None:
        """Adopt it if it was told the same, or have a new one serve; tell it everything."""
        await super().begin()
        known = await self._calls.call("told")
        if known is not None:
            await self._take_back_sockets(known["place"])
            if _sort(known) != _sort(self._told):
                await self._replace()
                known = None
        if known is None:
            await self._serve()
        self._changed.clear()
        await self._send(self._entries, replace=True)

    async def ensure(self) -> None:
        """See `Program`."""
        await super().ensure()
        self._wake.set()  # something may have been set since it was told everything

    async def _take_back_sockets(self, place: Json) -> None:
        if not self._sockets and place == self._told["place"]:
            self._sockets = await self._calls.taken("sockets", 2 * len(self._doors[1]))

    async def _replace(self) -> None:
        await self._end()
        await super().begin()

    async def _serve(self) -> None:
        if not self._sockets:
            opening = partial(_opened, *self._doors, dual=self._told["place"]["dual"])
            self._sockets = await asyncio.to_thread(opening)
        try:
            await self._calls.hand_over("serve", self._sockets, told=self._told)
        except NetlabError:  # it may have given up its rights by now, and is of no use
            await self._end()
            raise

    async def _end(self) -> None:
        assert self._pid is not None
        await self._calls.disconnect()
        await asyncio.to_thread(process.end, [self._pid], _END_SECONDS)

    # -- what it knows ---------------------------------------------------------------------

    async def _tell_changes(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self.is_up and self._changed:
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
    make_room(udp, _ROOM)  # for queries that come while nobody answers
    return udp, bound(Listener(door.port, "tcp", ""), dual=dual and not door.local, host=host)
