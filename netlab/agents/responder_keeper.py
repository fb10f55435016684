"""Keeps the lab's responder alive: the process behind all built-in pods.

It outlives controllers, but nothing saves it from a `kill -9`: then it is started anew, and those
who were served are told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from netlab.kernel import paths
from netlab.kernel.process import Process
from netlab.workload import launch
from netlab.workload.calls import Gone
from netlab.workload.client import ResponderClient
from netlab.workload.controlled_program import ControlledProgram

T = TypeVar("T")

AGAIN = 0.01
"""Seconds between attempts to reach a responder that went away."""


class ResponderKeeper(ControlledProgram):
    """The responder of the lab in `directory`; `coming` if it was started a moment ago."""

    def __init__(self, directory: Path, owner: str, coming: Process | None = None) -> None:
        self.client = ResponderClient(paths.responder_socket(directory))
        name = "the responder, which answers for built-in pods,"
        super().__init__(name, self.client, paths.responder_log(directory), coming)
        self._owner = owner

    def launch(self) -> Process:
        """See `ControlledProgram`."""
        return launch.start(self.client.path, owner=self._owner, log=self.log)

    async def reached(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of `call`, which is made again for as long as the responder is away."""
        while True:
            await self._up.wait()
            try:
                return await call()
            except Gone:
                await asyncio.sleep(AGAIN)
