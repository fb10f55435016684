"""Reaches the lab's runtime, which keeps pods' commands; it is started when first needed.

If it is killed, what it kept is gone: whoever waits for that
is told (`calls.Gone`), and the next command has it started anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from netlab.kernel import paths
from netlab.kernel.process import Process
from netlab.workload import launch
from netlab.workload.calls import Calls, Gone
from netlab.workload.controlled_program import ControlledProgram

log = logging.getLogger(__name__)

T = TypeVar("T")

_ATTEMPTS = 3


class RuntimeKeeper(ControlledProgram):
    """The runtime of the lab in `directory`."""

    def __init__(self, directory: Path, owner: str) -> None:
        self.calls = Calls(paths.runtime_socket(directory), "runtime")
        name = "the runtime, which keeps pods' commands,"
        super().__init__(name, self.calls, paths.runtime_log(directory))
        self._directory = directory
        self._owner = owner
        self._starting = asyncio.Lock()

    def launch(self) -> Process:
        """See `ControlledProgram`."""
        return launch.start_runtime(self._directory, owner=self._owner, log=self.log)

    async def reached(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of `call`, made again if the runtime goes away meanwhile."""
        for attempt in range(_ATTEMPTS):
            async with self._starting:
                if self.calls.peer is None:
                    await self.ensure()
            try:
                return await call()
            except Gone:
                if attempt == _ATTEMPTS - 1:
                    raise
                log.warning("the runtime ended; starting it again")
        raise AssertionError("unreachable")
