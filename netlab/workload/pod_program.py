"""A program of the machine's that runs where a pod's image stands for it, as one record.

NGINX = PodProgram(
    "nginx",
    port=10246,
    user=userns.NGINX,
    arguments=lambda place: ("nginx", "-c", f"{place.config}/nginx.conf"),
    check=lambda place: ("nginx", "-t", "-c", f"{place.config}/nginx.conf"),
    files=first_config,
)
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from netlab.kernel import process, userns
from netlab.workload.confined_program import ConfinedProgram
from netlab.workload.program import finish
from netlab.workload.published import Published

_ANSWER_SECONDS = 0.5

FINISH = 5.0
"""Seconds in which a program may finish before it is ended."""

TAKEN_OVER = 5.0
"""Seconds that a program may take to have new workers instead of those that know no better."""


class ProgramContext(Struct, frozen=True):
    """Where a program runs: the pod's addresses, `config` (its files, which it reads) and `state`
    (which it may write)."""

    ips: tuple[str, ...]
    config: Path
    state: Path


class PodProgram(Struct, frozen=True):
    """What runs in a pod, and how one deals with it.

    `name` is what the catalogue's `program` says. It is well while it takes connections on a TCP
    `port` of the pod's loopback. `files` are what it begins with, by their names in `config`;
    before others are in force `check` is asked, and afterwards `reload` is sent. `user` is which of
    the lab's own daemons it runs as (`userns`), `read` what of the machine it sees besides; one
    that `opens_log` writes to that by its name, too. `finish` has it end once it has done what it
    has begun, for which it has `FINISH` seconds. With `scratch` its `state` is bounded, and gone
    with it. Where workers answer, its children, others take their place at a `reload`: what calls
    itself by something that ends in `retiring` is one that answers nobody new.
    """

    name: str
    port: int
    user: int
    arguments: Callable[[ProgramContext], Sequence[str]]
    files: Callable[[ProgramContext], Mapping[str, str]] = lambda _: {}
    check: Callable[[ProgramContext], Sequence[str]] = lambda _: ()
    reload: signal.Signals = signal.SIGHUP
    read: tuple[Path, ...] = ()
    opens_log: bool = False
    finish: signal.Signals | None = None
    scratch: bool = False
    retiring: str = ""


class RunningPodProgram(ConfinedProgram):
    """A `PodProgram` in one pod, which `pod` names in messages; `directory` is its own."""

    def __init__(
        self, entry: PodProgram, pod: str, ips: Sequence[str], directory: Path, owner: str
    ) -> None:
        config = Published(directory / "config")
        self._place = ProgramContext(tuple(ips), config.current, directory / "state")
        super().__init__(
            f"{entry.name} of pod {pod}",
            entry.arguments(self._place),
            directory,
            owner,
            userns.daemon_id(owner, entry.user),
            read=entry.read,
            write=[] if entry.scratch else [self._place.state],
            scratch=self._place.state if entry.scratch else None,
            config=config,
            opens_log=entry.opens_log,
        )
        self.reload_signal = entry.reload
        self.last_signal = entry.finish or signal.SIGTERM
        self._entry = entry
        self._published = config
        self._former: frozenset[int] = frozenset()
        self._told = 0.0
        """Who answered when it was last told to reload, and when (of the monotonic clock)."""

    async def start(self, netns: int | Path) -> None:
        """As `ConfinedProgram`; the first time with the files to begin with."""
        if not self._published.files():
            await self.configure(self._entry.files(self._place))
        await super().start(netns)

    @property
    def files(self) -> Mapping[str, str]:
        """The files that it goes by, by their names."""
        return self._published.files()

    async def stop(self) -> None:
        """See `ConfinedProgram`; it may finish what it has begun."""
        held, request = self._pidfd, self._entry.finish
        held = os.dup(held) if held is not None and request is not None else None
        await self.detach()
        if held is not None and request is not None:
            await finish(held, request, FINISH)
            process.reap()
        await super().stop()

    async def reloaded(self) -> None:
        """Return once nobody is answered any more as it was before its last files."""
        while self.is_up and (self.is_to_reload or self.is_reloading()):
            await asyncio.sleep(0.01)

    def is_reloading(self) -> bool:
        """See `ConfinedProgram`: until its new workers have taken over."""
        waits = time.monotonic() < self._told + TAKEN_OVER
        return waits and not self._former.isdisjoint(self._workers())

    def send_reload(self, pidfd: int) -> None:
        """See `ConfinedProgram`."""
        self._former, self._told = self._workers(), time.monotonic()
        super().send_reload(pidfd)

    def _workers(self) -> frozenset[int]:
        """Those that take connections, where not it itself does."""
        if not self._entry.retiring or self.pid is None:
            return frozenset()
        titles = process.children(self.pid).items()
        return frozenset(pid for pid, title in titles if not title.endswith(self._entry.retiring))

    def check(self, config: Path) -> Sequence[str]:
        """See `ConfinedProgram`."""
        return self._entry.check(replace(self._place, config=config))

    async def asked(self) -> None:
        """Connect to its port, which may be taken before there are workers: what it is told then
        may be lost."""
        with self.entered():
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with sock:
            async with asyncio.timeout(_ANSWER_SECONDS):
                address = ("127.0.0.1", self._entry.port)
                await asyncio.get_running_loop().sock_connect(sock, address)
        if self._entry.retiring and not self._workers():
            raise ConnectionError(f"{self.name} has no workers yet")
