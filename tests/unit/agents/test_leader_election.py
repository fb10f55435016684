"""Who leads, of candidates for one Lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bootstrapped import initial_objects

from netlab.agents.leader_election import Candidate, LeaderElection
from netlab.client.inprocess import InProcessApi
from netlab.errors import ApiError
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

pytestmark = pytest.mark.anyio

TTL = 1.0


class Running:
    """A candidate of that name for `leader`, and what he had to say."""

    def __init__(self, api: Any, name: str) -> None:
        self.said: list[str] = []
        self.refused: list[str] = []
        self.changes = 0
        candidate = Candidate("default", "leader", name, TTL)
        self.election = LeaderElection(
            api, candidate, self._changed, self.said.append, self.refused.append
        )

    def _changed(self) -> None:
        self.changes += 1


@asynccontextmanager
async def running(api: Any, name: str) -> AsyncIterator[Running]:
    one = Running(api, name)
    one.election.start()
    async with asyncio.timeout(20):
        while not one.election.idle:
            await asyncio.sleep(0.005)
        try:
            yield one
        finally:
            await one.election.stop()


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.02)


@pytest.fixture
def api() -> InProcessApi:
    lab = lab_from_object(
        {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "t"}, "spec": {"nodes": 2}}
    )
    registry = Registry(Store(None), lab)
    for obj in initial_objects(lab):
        registry.create(obj)
    return InProcessApi(registry)


async def spec(api: InProcessApi) -> Any:
    return (await api.get("Lease", "default", "leader"))["spec"]


async def test_the_first_one_leads_and_renews(api: InProcessApi) -> None:
    async with running(api, "a") as first, running(api, "b") as second:
        assert first.election.leads and not second.election.leads
        made = await spec(api)
        assert made["holderIdentity"] == "a" and made["leaseTransitions"] == 0
        assert made["leaseDurationSeconds"] == 1
        while (await spec(api))["renewTime"] == made["renewTime"]:
            await asyncio.sleep(0.02)
        assert (await spec(api))["acquireTime"] == made["acquireTime"]
        assert (first.changes, second.changes) == (1, 0)
    assert first.said == [
        "attempting to acquire leader lease default/leader...",
        '"New leader elected" identity="a"',
        "successfully acquired lease default/leader",
    ]


async def test_another_one_leads_when_the_lease_has_run_out(api: InProcessApi) -> None:
    async with running(api, "a"):
        pass
    async with running(api, "b") as second:
        assert not second.election.leads and (await spec(api))["holderIdentity"] == "a"
        await until(lambda: second.election.leads)
        taken = await spec(api)
        assert (taken["holderIdentity"], taken["leaseTransitions"]) == ("b", 1)


async def test_who_comes_back_leads_at_once(api: InProcessApi) -> None:
    async with running(api, "a"):
        before = await spec(api)
    async with running(api, "a") as again:
        assert again.election.leads
        after = await spec(api)
        assert (after["acquireTime"], after["leaseTransitions"]) == (before["acquireTime"], 0)


class Refusing:
    """An API that takes no changes any more."""

    def __init__(self, api: InProcessApi) -> None:
        self.api, self.refuses = api, False

    async def get(self, *where: str) -> Any:
        return await self.api.get(*where)

    async def create(self, obj: Any) -> Any:
        return await self.api.create(obj)

    async def update(self, obj: Any) -> Any:
        if self.refuses:
            raise ApiError("no", code=403, reason="Forbidden")
        return await self.api.update(obj)


async def test_who_cannot_renew_gives_up_before_another_one_leads(api: InProcessApi) -> None:
    refusing = Refusing(api)
    async with running(refusing, "a") as first:
        refusing.refuses = True
        await until(lambda: not first.election.leads)
        assert (await spec(api))["holderIdentity"] == "a"
        await until(lambda: first.changes == 2)
        assert "Failed to update lock: no" in first.refused
        assert first.said[-1] == "failed to renew lease default/leader"
