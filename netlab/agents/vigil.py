"""Asks the lab's own processes, every now and then, whether they still answer.

One that ends is started again by its keeper. One that stands still (`kill -STOP`, an endless loop)
does not end: what it does for the lab just hangs. That is said; it is not killed for it, as a
machine may be busy, and with the runtime all commands of pods would go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator

from netlab.errors import NetlabError
from netlab.tasks import cancel
from netlab.workload.program import Program

log = logging.getLogger(__name__)

INTERVAL = 2.0
"""Seconds between an answer and the next question."""

PATIENCE = 5.0
"""Seconds without an answer after which a process counts as silent."""


class Vigil:
    """Watches over programs, from `start` on; more may come, and go."""

    def __init__(
        self,
        programs: Iterable[Program] = (),
        interval: float = INTERVAL,
        patience: float = PATIENCE,
    ) -> None:
        self._interval, self._patience = interval, patience
        self._programs = list(programs)
        self._silent: dict[Program, str] = {}
        self._tasks: dict[Program, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Begin to ask."""
        for program in self._programs:
            self.watch(program)

    def watch(self, program: Program) -> None:
        """Ask one more. Idempotent."""
        if program not in self._tasks:
            work = self._watch(program)
            self._tasks[program] = asyncio.create_task(work, name=f"vigil, {program.name}")

    async def forget(self, program: Program) -> None:
        """Ask that one no more. Idempotent."""
        await cancel(self._tasks.pop(program, None))
        self._silent.pop(program, None)

    async def stop(self) -> None:
        """Ask no more."""
        for program in list(self._tasks):
            await self.forget(program)

    def lacking(self) -> Iterator[str]:
        """A line for each program that does not answer, and each that cannot be started again."""
        yield from self._silent.values()
        for program in self._tasks:
            if program.error is not None:
                yield f"{program.name} cannot be started again: {program.error}"

    async def _watch(self, program: Program) -> None:
        loop = asyncio.get_running_loop()
        while True:
            timer = loop.call_later(self._patience, self._fell_silent, program)
            try:
                # If it is not there, that is its keeper's business.
                with contextlib.suppress(NetlabError, OSError):
                    await program.answers()
            finally:
                timer.cancel()
            if self._silent.pop(program, None) is not None:
                log.info("%s answers again, or was started anew", program.name)
            await asyncio.sleep(self._interval)

    def _fell_silent(self, program: Program) -> None:
        which = f" (process {program.pid})" if program.pid else ""
        self._silent[program] = f"{program.name}{which} does not answer: it is stopped, or hangs"
        log.error("%s", self._silent[program])
