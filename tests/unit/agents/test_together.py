"""Nodes that ask for the same at once are served at once."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from netlab.agents.together import Together


class PodNetwork:
    """Notes each call; one that is `held` waits for that."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.held: threading.Event | None = None

    def attach(self, runs: Any) -> dict[str, Exception]:
        self.calls.append([run.uid for run in runs])
        if self.held is not None:
            assert self.held.wait(5)
        if any(run.uid == "bad" for run in runs):
            raise RecursionError("too deep")
        return {run.uid: OSError("no room") for run in runs if run.uid == "refused"}

    def detach(self, runs: Any) -> None:
        self.calls.append([run.uid for run in runs])

    def let_go(self) -> None:
        self.calls.append(["let go"])


def pods(*uids: str) -> list[Any]:
    return [SimpleNamespace(uid=uid) for uid in uids]


async def test_what_is_asked_in_one_turn_is_one_call() -> None:
    network = PodNetwork()
    together = Together(network)
    answers = await asyncio.gather(
        together.attach(pods("a", "b")), together.attach(pods("refused")),
    )  # fmt: skip
    assert network.calls == [["a", "b", "refused"]]
    assert all("refused" in answer for answer in answers)


async def test_what_comes_meanwhile_is_the_next_call() -> None:
    network = PodNetwork()
    network.held = threading.Event()
    together = Together(network)
    first = asyncio.create_task(together.attach(pods("a")))
    while not network.calls:
        await asyncio.sleep(0.001)
    others = [asyncio.create_task(together.attach(pods(uid))) for uid in "bcd"]
    await asyncio.sleep(0.01)
    network.held.set()
    await asyncio.gather(first, *others)
    assert network.calls == [["a"], ["b", "c", "d"]]


async def test_taking_away_does_not_wait_for_putting_there() -> None:
    network = PodNetwork()
    network.held = threading.Event()
    together = Together(network)
    attaching = asyncio.create_task(together.attach(pods("a")))
    while not network.calls:
        await asyncio.sleep(0.001)
    await together.detach(pods("b"))
    assert network.calls == [["a"], ["b"]]
    network.held.set()
    await attaching


async def test_what_goes_one_after_another_is_let_go_of_together(monkeypatch: Any) -> None:
    monkeypatch.setattr("netlab.agents.together.QUIET", 0.05)
    network = PodNetwork()
    together = Together(network)
    await together.detach(pods("a"))
    await together.detach(pods("b"))
    assert network.calls == [["a"], ["b"]]
    while len(network.calls) < 3:
        await asyncio.sleep(0.001)
    await together.detach(pods("c"))
    while len(network.calls) < 5:
        await asyncio.sleep(0.001)
    assert network.calls == [["a"], ["b"], ["let go"], ["c"], ["let go"]]


async def test_while_others_go_on_and_on_the_first_are_let_go_of(monkeypatch: Any) -> None:
    monkeypatch.setattr("netlab.agents.together.QUIET", 60.0)
    monkeypatch.setattr("netlab.agents.together.LONGEST", 0.05)
    network = PodNetwork()
    together = Together(network)
    while ["let go"] not in network.calls:
        await together.detach(pods("another"))
        await asyncio.sleep(0.001)


async def test_a_mistake_is_told_to_all_whose_pods_went_with_it() -> None:
    together = Together(PodNetwork())
    answers = await asyncio.gather(
        together.attach(pods("a")), together.attach(pods("bad")), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [RecursionError, RecursionError]
    assert await together.attach(pods("a")) == {}


async def test_who_is_cancelled_takes_nobody_along() -> None:
    network = PodNetwork()
    together = Together(network)
    one = asyncio.create_task(together.attach(pods("a")))
    two = asyncio.create_task(together.attach(pods("b")))
    await asyncio.sleep(0)
    one.cancel()
    assert await two == {}
    with pytest.raises(asyncio.CancelledError):
        await one
    assert network.calls == [["a", "b"]]
