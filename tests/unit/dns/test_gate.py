"""Who is let through next."""

from __future__ import annotations

import asyncio

from netlab.dns.gate import Gate

BUSY, OTHER, THIRD = "10.0.0.1", "10.0.0.2", "10.0.0.3"


class Passing:
    """Who came in, in turn, and who is to leave."""

    def __init__(self, at_once: int) -> None:
        self.gate = Gate(at_once)
        self.came: list[str] = []
        self._leave: dict[str, asyncio.Event] = {}

    def begin(self, address: str, name: str) -> asyncio.Task[None]:
        self._leave[name] = asyncio.Event()
        return asyncio.create_task(self._pass(address, name))

    async def _pass(self, address: str, name: str) -> None:
        async with self.gate.passed(address):
            self.came.append(name)
            await self._leave[name].wait()

    async def leave(self, *names: str) -> None:
        for name in names:
            self._leave[name].set()
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_address_holds_no_more_than_half_and_waits_in_turn() -> None:
    passing = Passing(4)
    tasks = [passing.begin(BUSY, f"b{number}") for number in range(8)]
    await settled()
    assert passing.came == ["b0", "b1"]
    tasks += [passing.begin(OTHER, f"o{number}") for number in range(3)]
    tasks.append(passing.begin(THIRD, "t"))
    await settled()
    assert passing.came == ["b0", "b1", "o0", "o1"]
    await passing.leave("b0")
    assert passing.came[4:] == ["b2"] or passing.came[4:] == ["t"]
    await passing.leave(*[f"b{number}" for number in range(8)], "o0", "o1", "o2", "t")
    await asyncio.gather(*tasks)
    assert len(passing.came) == 12
    assert passing.came.index("t") < passing.came.index("b4"), "who came last has his turn"


async def test_who_gives_up_leaves_no_place_taken() -> None:
    passing = Passing(2)
    first, waits = passing.begin(BUSY, "first"), passing.begin(BUSY, "waits")
    await settled()
    waits.cancel()
    first.cancel()
    await asyncio.gather(first, waits, return_exceptions=True)
    tasks = [passing.begin(BUSY, "next"), passing.begin(OTHER, "other")]
    await settled()
    assert passing.came == ["first", "next", "other"]
    await passing.leave("next", "other")
    await asyncio.gather(*tasks)


async def test_one_who_gives_up_as_it_becomes_his_turn_passes_it_on() -> None:
    passing = Passing(2)
    tasks = [passing.begin(BUSY, name) for name in ("one", "two", "three")]
    await settled()
    await passing.leave("one")
    assert passing.came == ["one", "two"]
    tasks[1].cancel()
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    last = passing.begin(BUSY, "last")
    await settled()
    assert passing.came[-1] == "last"
    await passing.leave("last")
    await last
