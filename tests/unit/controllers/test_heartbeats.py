"""Nodes that say nothing any more are lost, and so are their pods."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from clock import Clock

from netlab.controllers.heartbeats import Heartbeats
from netlab.objects import meta

SILENT, LIVES = "w2", "w1"
GRACE = 0.4


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pass_by(heartbeats: Heartbeats, clock: Clock, seconds: float, *talking: str) -> list[str]:
    """Let time pass in small steps; the nodes that are silent in the end."""
    silent: list[str] = []
    for _ in range(round(seconds / heartbeats.period)):
        clock.now += heartbeats.period
        for node in talking:
            heartbeats.heard(node)
        silent = heartbeats.silent()
    return silent


def test_who_says_nothing_for_the_grace_period_is_lost(clock: Clock) -> None:
    heartbeats = Heartbeats(2.0, clock)
    heartbeats.heard(SILENT)
    assert pass_by(heartbeats, clock, 1.75, LIVES) == []
    assert pass_by(heartbeats, clock, 0.25, LIVES) == [SILENT]
    heartbeats.heard(SILENT)
    assert not heartbeats.is_silent(SILENT)
    heartbeats.forget(SILENT)
    assert pass_by(heartbeats, clock, 10) == [LIVES]


def test_one_of_which_nothing_is_known_has_the_grace_period_from_now_on(clock: Clock) -> None:
    heartbeats = Heartbeats(2.0, clock)
    pass_by(heartbeats, clock, 60)
    assert not heartbeats.is_silent(SILENT)
    assert pass_by(heartbeats, clock, 2.0) == [SILENT]


def test_time_in_which_nobody_listened_is_held_against_nobody(clock: Clock) -> None:
    heartbeats = Heartbeats(2.0, clock)
    heartbeats.heard(SILENT)
    clock.now += 3600
    assert heartbeats.silent() == []
    clock.now -= 7200
    assert heartbeats.silent() == []
    assert pass_by(heartbeats, clock, 2.0) == [SILENT]


def test_while_nothing_could_be_said_nobody_is_lost(clock: Clock) -> None:
    heartbeats = Heartbeats(2.0, clock)
    heartbeats.heard(SILENT)
    assert pass_by(heartbeats, clock, 2.0) == [SILENT]
    heartbeats.deaf()
    assert pass_by(heartbeats, clock, 1.75) == []
    assert pass_by(heartbeats, clock, 0.25) == [SILENT]


def test_a_long_grace_is_looked_at_as_often_as_upstream(clock: Clock) -> None:
    assert Heartbeats(3600, clock).period == 5.0


@contextlib.asynccontextmanager
async def losing(make: Any, **spec: Any) -> AsyncIterator[Any]:
    """A cluster of two nodes, of which one renews its Lease and the other does not."""
    nodes = [make.node(LIVES), make.node(SILENT)]
    for node in nodes:
        pressure = {"type": "MemoryPressure", "status": "False"}
        outage = {"type": "NetworkUnavailable", "status": "False"}
        node["status"]["conditions"] += [pressure, outage]
    async with make.cluster(nodes, grace=GRACE, **spec) as cluster:
        cluster.kubelet.undying = lambda pod: pod["spec"].get("nodeName") == SILENT
        # What a dead kubelet would say nobody hears.
        cluster.kubelet.unready = cluster.kubelet.undying
        namespace = {"apiVersion": "v1", "kind": "Namespace"}
        await cluster.create({**namespace, "metadata": {"name": "kube-node-lease"}})
        await cluster.create(lease(LIVES))
        beating = asyncio.create_task(beat(cluster))
        yield cluster
        beating.cancel()


def lease(node: str) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": node, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": node},
    }


async def beat(cluster: Any) -> None:
    number = 0
    while True:
        number += 1
        renewal = {"metadata": {"annotations": {"beat": str(number)}}}
        await cluster.patch("Lease", LIVES, renewal, "kube-node-lease")
        await asyncio.sleep(0.02)


async def eventually(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not await holds():
            await asyncio.sleep(0.02)


def by_type(node: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {one["type"]: (one["status"], one.get("reason")) for one in node["status"]["conditions"]}


def taints(node: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["key"], one["effect"]) for one in node["spec"].get("taints") or []]


async def test_a_lost_node_is_unknown_and_unreachable_in_upstream_s_words(make: Any) -> None:
    async with losing(make) as cluster:

        async def is_lost() -> bool:
            return bool(taints(await cluster.get("Node", SILENT, "")))

        await eventually(is_lost)
        node = await cluster.get("Node", SILENT, "")
        unknown = ("Unknown", "NodeStatusUnknown")
        assert by_type(node) == {
            "Ready": unknown,
            "MemoryPressure": unknown,
            "NetworkUnavailable": ("False", None),
        }
        ready = meta.condition(node, "Ready")
        assert ready["message"] == "Kubelet stopped posting node status."
        unreachable = "node.kubernetes.io/unreachable"
        assert taints(node) == [(unreachable, "NoSchedule"), (unreachable, "NoExecute")]
        assert all(one["timeAdded"] for one in node["spec"]["taints"])
        (event,) = await cluster.events("NodeNotReady")
        assert event["message"] == f"Node {SILENT} status is now: NodeNotReady"
        other = await cluster.get("Node", LIVES, "")
        assert by_type(other)["Ready"][0] == "True" and not taints(other)


async def test_its_pods_are_not_ready_at_once_and_elsewhere_in_the_end(make: Any) -> None:
    seconds = {"defaultUnreachableTolerationSeconds": 0}
    async with losing(make, nodeLifecycle=seconds) as cluster:
        cluster.kubelet.unready = lambda _: False
        await cluster.create(make.service(), make.deployment(replicas=4))

        async def alive() -> Counter[str]:
            pods = [pod for pod in await cluster.list("Pod") if not meta.is_terminating(pod)]
            return Counter(pod["spec"].get("nodeName") for pod in pods)

        async def have_moved() -> bool:
            return await alive() == {LIVES: 4}

        await eventually(have_moved)
        left = [one for one in await cluster.list("Pod") if one["spec"]["nodeName"] == SILENT]
        assert left and all(map(meta.is_terminating, left)), "its kubelet has not confirmed"
        assert len(await cluster.events("TaintManagerEviction")) == len(left)
        for pod in left:
            assert meta.condition(pod, "DisruptionTarget")["reason"] == "DeletionByTaintManager"
            assert not meta.is_ready(pod)
        taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
        given = (await cluster.get("Node", SILENT, ""))["spec"]["taints"]
        await cluster.patch("Node", SILENT, {"spec": {"taints": [*given, taint]}}, "")

        async def are_given_up() -> bool:
            return len(await cluster.list("Pod")) == 4

        await eventually(are_given_up)


async def test_a_pod_says_itself_how_long_it_bears_it(make: Any) -> None:
    bears = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    seconds = {"defaultUnreachableTolerationSeconds": 0, "defaultNotReadyTolerationSeconds": 7}
    async with losing(make, nodeLifecycle=seconds) as cluster:
        await cluster.create(make.pod("short", nodeName=SILENT))
        await cluster.create(make.pod("long", nodeName=SILENT, tolerations=[bears]))

        async def is_evicted() -> bool:
            return meta.is_terminating(await cluster.get("Pod", "short"))

        await eventually(is_evicted)
        stays = await cluster.get("Pod", "long")
        assert not meta.is_terminating(stays)
        assert [one.get("tolerationSeconds") for one in stays["spec"]["tolerations"]] == [None, 7]


async def test_a_node_that_is_heard_of_again_is_as_it_was(make: Any) -> None:
    async with losing(make) as cluster:

        async def is_lost() -> bool:
            return bool(taints(await cluster.get("Node", SILENT, "")))

        await eventually(is_lost)
        await cluster.create(lease(SILENT))
        heartbeat = {**make.ready(), "lastHeartbeatTime": "2026-01-01T00:01:00Z"}
        await cluster.api.patch_status("Node", "", SILENT, {"conditions": [heartbeat]})
        await cluster.settle()
        assert not taints(await cluster.get("Node", SILENT, ""))
