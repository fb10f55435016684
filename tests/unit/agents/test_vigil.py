"""Who watches the lab's own processes: a silent one is told of, and no longer when it is back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from netlab.agents.vigil import Vigil
from netlab.errors import NetlabError
from netlab.retry import Retry
from netlab.workload.program import Program


class Asked(Program):
    """Stands for this very process, which answers while it `goes_on`."""

    def __init__(self) -> None:
        super().__init__("dnsmasq", Path(os.devnull), Retry(0.01, 0.01))
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.asks = 0
        self.refusal: NetlabError | None = None

    async def begin(self) -> None:
        self.hold(os.getpid())

    async def asked(self) -> None:
        self.asks += 1
        if self.refusal is not None:
            raise self.refusal
        await self.goes_on.wait()


async def test_who_stands_still_is_told_of_until_it_answers() -> None:
    program = Asked()
    vigil = await watching(program)
    assert list(vigil.lacking()) == []
    program.goes_on.clear()
    await until(lambda: bool(list(vigil.lacking())))
    assert list(vigil.lacking()) == [
        f"dnsmasq (process {os.getpid()}) does not answer: it is stopped, or hangs"
    ]
    program.goes_on.set()
    await until(lambda: not list(vigil.lacking()))
    await vigil.stop()
    await program.detach()


async def test_who_is_not_there_is_not_silent() -> None:
    program = Asked()
    program.refusal = NetlabError("nobody listens")
    vigil = await watching(program)
    await until(lambda: program.asks > 3)
    assert list(vigil.lacking()) == []
    await vigil.stop()
    await program.detach()


async def test_who_is_forgotten_is_not_told_of() -> None:
    program, other = Asked(), Asked()
    vigil = await watching(program)
    vigil.watch(other)
    await until(lambda: other.asks == 0 and program.asks > 0)
    program.goes_on.clear()
    await until(lambda: bool(list(vigil.lacking())))
    await vigil.forget(program)
    assert list(vigil.lacking()) == []
    asks = program.asks
    await asyncio.sleep(0.05)
    assert program.asks == asks
    await vigil.stop()
    await program.detach()


async def watching(program: Program) -> Vigil:
    await program.ensure()
    vigil = Vigil([program], interval=0.01, patience=0.2)
    vigil.start()
    await asyncio.sleep(0.05)
    return vigil


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
