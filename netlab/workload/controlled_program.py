"""A process of the lab's own, which a controller tells over a socket what to do (`control`)."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from netlab.kernel.process import Process
from netlab.workload.calls import Calls, Gone
from netlab.workload.program import Program


class ControlledProgram(Program):
    """The process behind the socket of `calls`, which stay the same when it is started anew.

    Who answers there is adopted. `coming` runs if the process was just started, with others.
    """

    def __init__(self, name: str, calls: Calls, log: Path, coming: Process | None = None) -> None:
        super().__init__(name, log)
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
        await self._calls.disconnect()  # perhaps from the one before
        coming, self._coming = self._coming, None
        await self._calls.ensure(lambda: coming or self.launch(), self.log)
        if self._calls.peer is None:
            raise Gone(f"{self.name} went away")
        self.hold(self._calls.peer)
        await self._calls.call("pid")  # it lives: its number is nobody else's

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
