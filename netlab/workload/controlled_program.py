"""A process of the lab's own, which a controller tells over a socket what to do (`control`)."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from pathlib import Path

from netlab.kernel.process import Process
from netlab.retry import Retry
from netlab.workload.calls import Calls, Gone
from netlab.workload.program import Program

# Somebody waits meanwhile, and to start one takes as long as that.
_RETRY = Retry(0.01, 0.1)
_ATTEMPTS, _AGAIN = 500, 0.01  # and seconds


class ControlledProgram(Program):
    """The process behind the socket of `calls`, which stay the same when it is started anew.

    Who answers there is adopted. `coming` runs if the process was just started, with others.
    """

    def __init__(self, name: str, calls: Calls, log: Path, coming: Process | None = None) -> None:
        super().__init__(name, log, _RETRY)
        self._calls = calls
        self._asking = Calls(calls.path, name)  # what `calls` carry may take long
        self._coming = coming

    @property
    def pid(self) -> int | None:
        """Its process; also one that somebody else has started, once it was asked."""
        return self._pid if self._pid is not None else self._asking.peer

    @abstractmethod
    def launch(self) -> Process:
        """Start the process; it need not answer yet."""

    async def begin(self) -> None:
        """See `Program`."""
        for _ in range(_ATTEMPTS):
            await self._calls.disconnect()  # perhaps from the one before
            await self._calls.ensure(self._start, self.log)
            self._coming = None
            if await self._is_alive():
                return
            await asyncio.sleep(_AGAIN)
        raise Gone(f"{self.name} does not stay", hint=f"see {self.log}")

    def _start(self) -> Process:
        coming, self._coming = self._coming, None
        return coming or self.launch()

    async def _is_alive(self) -> bool:
        """Hold who answers. The socket of one that dies still takes connections for a moment: only
        an answer shows that it lives, and that its number is nobody else's."""
        if (peer := self._calls.peer) is None:
            return False
        try:
            self.hold(peer)
            return bool(await self._calls.call("pid") == peer)
        except (Gone, ProcessLookupError):
            return False

    async def asked(self) -> None:
        """See `Program`; the answer is waited for until it ends."""
        await self._asking.call("pid")

    async def answers(self) -> None:
        """As `Program` says; one that is found standing still, and so never begins, is silent."""
        await self.asked()

    async def detach(self) -> None:
        """Watch it no longer and leave it running. Idempotent."""
        await super().detach()
        await self._asking.close()
        await self._calls.close()
