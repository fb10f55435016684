"""A pod's server ends after the rules that send it connections, not before."""

from __future__ import annotations

import asyncio
from typing import Any

from netlab.agents import draining
from netlab.agents.draining import Draining
from netlab.objects.meta import Object


class Slices:
    """Stands for the informer of EndpointSlices: how many list the pod, and who listens."""

    def __init__(self) -> None:
        self.objects: list[Object] = []
        self.listeners: list[Any] = []

    def add_index(self, _index: str, function: Any) -> None:
        self._function = function

    def add_listener(self, listener: Any) -> None:
        self.listeners.append(listener)

    def count(self, _index: str, value: str) -> int:
        return sum(value in self._function(obj) for obj in self.objects)

    def now_hold(self, *objects: Object) -> None:
        self.objects = list(objects)
        for listener in self.listeners:
            listener(None, None)


class Proxy:
    def __init__(self) -> None:
        self.heard = self.written = 0

    @property
    def idle(self) -> bool:
        return self.heard == self.written


def endpoint_slice(*, ready: bool) -> Object:
    endpoint = {"conditions": {"ready": ready}, "targetRef": {"uid": "u"}}
    return {"metadata": {}, "endpoints": [endpoint]}


def started() -> tuple[Draining, Slices, Proxy]:
    slices, proxy = Slices(), Proxy()
    drain = Draining({"EndpointSlice": slices})  # type: ignore[arg-type]
    drain.follow(lambda: [proxy])  # type: ignore[list-item,return-value]
    return drain, slices, proxy


async def settled(task: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return task.done()


async def test_a_pod_of_no_service_does_not_wait() -> None:
    drain, _, _ = started()
    task = asyncio.create_task(drain.wait("u", 30))
    assert await settled(task)


async def test_waits_for_the_slice_then_for_the_rules(monkeypatch: Any) -> None:
    monkeypatch.setattr(draining, "LINGER", 0)
    drain, slices, proxy = started()
    slices.now_hold(endpoint_slice(ready=True))
    task = asyncio.create_task(drain.wait("u", 30))
    assert not await settled(task)
    proxy.heard = 1
    slices.now_hold(endpoint_slice(ready=False))
    assert not await settled(task)
    proxy.written = 1
    drain.progressed()
    assert await settled(task)


async def test_changes_heard_later_are_not_waited_for(monkeypatch: Any) -> None:
    monkeypatch.setattr(draining, "LINGER", 0)
    drain, _, proxy = started()
    proxy.heard = 1
    task = asyncio.create_task(drain.wait("u", 30))
    assert not await settled(task)
    proxy.heard, proxy.written = 2, 1
    drain.progressed()
    assert await settled(task)


async def test_a_proxy_that_is_stuck_does_not_hold_it_for_ever(monkeypatch: Any) -> None:
    monkeypatch.setattr(draining, "LIMIT", 0.01)
    drain, _, proxy = started()
    proxy.heard = 1
    await asyncio.wait_for(drain.wait("u", 30), 1)


async def test_without_grace_it_ends_at_once() -> None:
    drain, slices, _ = started()
    slices.now_hold(endpoint_slice(ready=True))
    await asyncio.wait_for(drain.wait("u", 0), 0.5)
