"""What is said of a node whose network somebody changed by hand, and once it is right again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from bootstrapped import initial_objects

from netlab.agents.nodestatus import NodeStatus
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.lab import lab_from_object
from netlab.objects.meta import Object
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = lab_from_object({"metadata": {"name": "test"}, "spec": {"nodes": 2}})
GONE = "the bridge cni0 is gone"


class Scene:
    """A node of a lab in an API in memory, at a time that goes on by a second with each look."""

    def __init__(self, recorder: Any) -> None:
        self.recorder = recorder
        self.registry = Registry(Store(None), LAB)
        for obj in initial_objects(LAB):
            self.registry.create(obj)
        self.informers = Informers(InProcessApi(self.registry))
        _ = self.informers["Node"]
        self.seconds = 0
        self.status = self.of("worker001")

    def of(self, name: str) -> NodeStatus:
        return NodeStatus(name, self.informers, self.recorder, self.now)

    def now(self) -> str:
        self.seconds += 1
        return f"2026-01-01T00:00:{self.seconds:02}Z"

    def condition(self, kind: str) -> dict[str, Any]:
        found = meta.condition(self.registry.get("Node", "", "worker001"), kind)
        assert found is not None
        return dict(found)

    def is_(self, kind: str) -> str:
        return str(self.condition(kind)["status"])

    @property
    def revision(self) -> str:
        return str(self.registry.get("Node", "", "worker001")["metadata"]["resourceVersion"])

    def set_ready(self, status: str, message: str) -> None:
        node = self.registry.get("Node", "", "worker001")
        others = [c for c in node["status"].get("conditions") or [] if c["type"] != "Ready"]
        ready = {"type": "Ready", "status": status, "reason": "R", "message": message}
        conditions = [*others, ready]
        patch = {"status": {"conditions": conditions}}
        self.informers["Node"].wrote(
            self.registry.patch("Node", "", "worker001", patch, subresource="status")
        )


@pytest.fixture
async def scene(recorder: Any) -> AsyncIterator[Scene]:
    scene = Scene(recorder)
    await scene.informers.start()
    scene.set_ready("True", "kubelet is posting ready status")
    yield scene
    await scene.informers.stop()


async def test_what_is_amiss_is_a_condition_and_an_event(scene: Scene) -> None:
    await scene.status.found(GONE)
    assert scene.is_("NetworkUnavailable") == "True"
    assert GONE in scene.condition("NetworkUnavailable")["message"]
    assert scene.is_("Ready") == "True"  # it is about to be put right
    assert scene.recorder.warnings == [f"NetworkChanged: changed by hand: {GONE}"]
    assert scene.status.broken == GONE


async def test_the_same_is_told_once_and_something_else_anew(scene: Scene) -> None:
    for text in (GONE, GONE, "eth1 is down"):
        await scene.status.found(text)
    assert scene.recorder.warnings == [
        f"NetworkChanged: changed by hand: {text}" for text in (GONE, "eth1 is down")
    ]


async def test_what_cannot_be_put_right_makes_the_node_unready(scene: Scene) -> None:
    await scene.status.found(GONE)
    await scene.status.remains(f"{GONE} (no room)")
    assert scene.is_("Ready") == "False"
    message = scene.condition("Ready")["message"]
    assert message.startswith("container runtime network not ready: NetworkReady=false")
    assert message.endswith(f"{GONE} (no room)")


async def test_once_it_is_right_the_node_is_ready_again_and_it_is_told(scene: Scene) -> None:
    await scene.status.remains(GONE)
    await scene.status.sound()
    assert (scene.is_("NetworkUnavailable"), scene.is_("Ready")) == ("False", "True")
    assert scene.recorder.told == [f"NetworkMended: as planned again; before: {GONE}"]
    assert scene.status.broken is None
    await scene.status.sound()
    assert len(scene.recorder.told) == 1


async def test_readiness_that_others_took_is_not_ours_to_give_back(scene: Scene) -> None:
    await scene.status.found(GONE)
    scene.set_ready("Unknown", "Kubelet stopped posting node status.")
    await scene.status.sound()
    assert (scene.is_("NetworkUnavailable"), scene.is_("Ready")) == ("False", "Unknown")


async def test_a_condition_that_goes_on_keeps_the_time_since_when(scene: Scene) -> None:
    await scene.status.found(GONE)
    began = scene.condition("NetworkUnavailable")
    await scene.status.found("eth1 is down")
    later = scene.condition("NetworkUnavailable")
    assert later["lastTransitionTime"] == began["lastTransitionTime"]
    assert later["lastHeartbeatTime"] > began["lastHeartbeatTime"]
    await scene.status.sound()
    assert scene.condition("NetworkUnavailable")["lastTransitionTime"] > began["lastTransitionTime"]


async def test_nothing_is_written_where_nothing_is_new(scene: Scene) -> None:
    await scene.status.remains(GONE)
    before = scene.revision
    await scene.status.remains(GONE)
    assert scene.revision == before


async def test_of_a_machine_that_is_no_node_an_event_tells_alone(scene: Scene) -> None:
    about: list[Object] = []
    scene.recorder.warning = lambda obj, *_: about.append(obj)
    fabric = scene.of("fabric")
    await fabric.found(GONE)
    await fabric.remains(GONE)
    assert fabric.broken == GONE
    assert [obj["metadata"]["name"] for obj in about] == ["fabric"]


async def test_an_api_that_does_not_answer_stops_nobody(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuses(*_: Any, **__: Any) -> None:
        raise NetlabError("no disk")

    monkeypatch.setattr(scene.informers, "patch_status", refuses)
    await scene.status.remains(GONE)
    assert scene.status.broken == GONE
    assert "node worker001: status not written: no disk" in caplog.text
