"""Who watches the lab's own processes: a silent one is told of, and no longer when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from netlab.agents.vigil import Vigil, Watched
from netlab.errors import NetlabError


def test_who_stands_still_is_told_of_until_it_answers() -> None:
    async def scenario() -> None:
        goes_on = asyncio.Event()
        goes_on.set()

        async def ask() -> None:
            await goes_on.wait()

        vigil = await watching(ask)
        assert list(vigil.silent()) == []
        goes_on.clear()
        await until(lambda: bool(list(vigil.silent())))
        assert list(vigil.silent()) == [
            "dnsmasq (process 17) does not answer: it is stopped, or hangs"
        ]
        goes_on.set()
        await until(lambda: not list(vigil.silent()))
        await vigil.stop()

    asyncio.run(scenario())


def test_who_is_not_there_is_not_silent() -> None:
    async def scenario() -> None:
        asked = 0

        async def ask() -> None:
            nonlocal asked
            asked += 1
            raise NetlabError("nobody listens")

        vigil = await watching(ask)
        await until(lambda: asked > 3)
        assert list(vigil.silent()) == []
        await vigil.stop()

    asyncio.run(scenario())


async def watching(ask: Callable[[], Awaitable[object]]) -> Vigil:
    vigil = Vigil({"dnsmasq": Watched(ask, lambda: 17)}, interval=0.01, patience=0.2)
    vigil.start()
    await asyncio.sleep(0.05)
    return vigil


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
