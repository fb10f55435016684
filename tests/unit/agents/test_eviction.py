"""Pods that keep more on disk than they may."""

from __future__ import annotations

import asyncio

import pytest

from netlab.agents import eviction
from netlab.agents.eviction import Evictions, exceeded, is_limited
from netlab.agents.podevents import PodEvents

MIB = 1 << 20
LIMITED = {"name": "c", "resources": {"limits": {"ephemeral-storage": "5Mi"}}}
FREE = {"name": "other"}


def volume(**empty):
    return {"name": "v", "emptyDir": empty}


@pytest.mark.parametrize(
    ("containers", "volumes", "used", "why"),
    [
        ([LIMITED], [], {"c": 5 * MIB}, None),
        ([LIMITED], [], {"c": 5 * MIB + 1},
         "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "),
        ([LIMITED, FREE], [], {"other": 6 * MIB},
         "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "),
        ([LIMITED, {**LIMITED, "name": "d"}], [], {"c": 6 * MIB},
         'Container c exceeded its local ephemeral storage limit "5Mi". '),
        ([FREE], [volume(sizeLimit="1Mi")], {"v": 2 * MIB},
         'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '),
        ([FREE], [volume(sizeLimit="1Mi", medium="Memory")], {"v": 2 * MIB}, None),
        ([FREE], [volume()], {"v": 2 * MIB, "other": 200 * MIB}, None),
    ],
)  # fmt: skip
def test_what_is_exceeded(containers, volumes, used, why):
    spec = {"containers": containers, "volumes": volumes}
    found = {
        "containers": {name: size for name, size in used.items() if name != "v"},
        "volumes": {name: size for name, size in used.items() if name == "v"},
    }
    assert exceeded(spec, found) == why
    if why is not None:
        assert is_limited(spec)


async def test_who_exceeds_a_limit_is_ended_and_says_why(pod_run, recorder, monkeypatch):
    monkeypatch.setattr(eviction, "PERIOD", 0.01)
    run, calm = pod_run(LIMITED), pod_run(FREE)
    ended = asyncio.Event()

    async def usage(uids):
        assert uids == [run.uid]
        return {run.uid: {"containers": {"c": 6 * MIB}, "volumes": {}}}

    async def expire(one):
        assert one is run
        ended.set()

    evictions = Evictions(usage, PodEvents(recorder), expire)
    evictions.watch(calm)
    evictions.watch(run)
    async with asyncio.timeout(10):
        await ended.wait()
    assert run.failure is not None
    assert run.failure[0] == "Evicted"
    assert recorder.warnings == [f"Evicted: {run.failure[1]}"]
    await evictions.stop()
