"""Asks the lab's own processes, every now and then, whether they still answer.

One that ends is started again by its keeper. One that stands still (`kill -STOP`, an endless loop)
does not end: what it does for the lab just hangs. That is said; it is not killed for it, as a
machine may be busy, and with the runtime all commands of pods would go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from msgspec import Struct

from netlab.dns.dnsmasq import Dnsmasq
from netlab.errors import NetlabError
from netlab.kernel import paths
from netlab.workload.calls import Calls

log = logging.getLogger(__name__)

INTERVAL = 2.0
"""Seconds between an answer and the next question."""

PATIENCE = 5.0
"""Seconds without an answer after which a process counts as silent."""


class Watched(Struct, frozen=True):
    """A process: `ask` returns once it has answered, however long that takes, `pid` knows its id
    as soon as somebody does."""

    ask: Callable[[], Awaitable[object]]
    pid: Callable[[], int | None]


class Vigil:
    """Watches over processes, by what they are called."""

    def __init__(
        self,
        watched: Mapping[str, Watched],
        interval: float = INTERVAL,
        patience: float = PATIENCE,
    ) -> None:
        self._watched = watched
        self._interval, self._patience = interval, patience
        self._silent: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to ask."""
        self._tasks = [
            asyncio.create_task(self._watch(name), name=f"vigil, {name}") for name in self._watched
        ]

    async def stop(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def silent(self) -> Iterator[str]:
        """A line for each process that does not answer."""
        yield from self._silent.values()

    async def _watch(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        while True:
            timer = loop.call_later(self._patience, self._fell_silent, name)
            # If it is not there, that is its keeper's business.
            with contextlib.suppress(NetlabError, OSError):
                await self._watched[name].ask()
            timer.cancel()
            if self._silent.pop(name, None) is not None:
                log.info("%s answers again, or was started anew", name)
            await asyncio.sleep(self._interval)

    def _fell_silent(self, name: str) -> None:
        pid = self._watched[name].pid()
        which = f" (process {pid})" if pid else ""
        self._silent[name] = f"{name}{which} does not answer: it is stopped, or hangs"
        log.error("%s", self._silent[name])


def processes(directory: Path, dnsmasqs: Iterable[Dnsmasq]) -> dict[str, Watched]:
    """Those of the lab in `directory`."""
    sockets = {
        "the responder, which answers for built-in pods,": paths.responder_socket(directory),
        "the runtime, which keeps pods' commands,": paths.runtime_socket(directory),
        "the process for the cluster's names": paths.names_socket(directory, "cluster"),
        "the process for the internet's names": paths.names_socket(directory, "internet"),
    }
    called = {name: _called(Calls(path, name)) for name, path in sockets.items()}
    return called | {
        f"dnsmasq on port {each.port}": Watched(each.answers, partial(_pid, each))
        for each in dnsmasqs
    }


def _pid(dnsmasq: Dnsmasq) -> int | None:
    return dnsmasq.pid


def _called(calls: Calls) -> Watched:
    return Watched(partial(calls.call, "pid"), lambda: calls.peer)
