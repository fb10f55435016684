"""What the kubelets of one machine share: beginning with what is there, and going on without us."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from bootstrapped import initial_objects

from netlab.agents import pod_runtime as module
from netlab.agents.draining import Draining
from netlab.agents.pod_runtime import PodRuntime
from netlab.agents.podgroups import PodGroups
from netlab.agents.podrun import PodRun
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.kernel import paths
from netlab.objects import meta
from netlab.objects.lab import lab_from_object
from netlab.objects.meta import Object
from netlab.store.registry import Registry
from netlab.store.store import Store
from netlab.workload.certificate import Issuer

LAB = lab_from_object({"metadata": {"name": "test"}, "spec": {"nodes": 2}})
MACHINES = ["test.fabric", "test.worker001"]


class Containers:
    """Stands for what runs in pods: what was adopted and let go of, once it may."""

    def __init__(self, *_: Any) -> None:
        self.adopted: list[set[str]] = []
        self.may_adopt = asyncio.Event()
        self.may_adopt.set()

    async def enter(self, _run: PodRun, _name: str) -> None:
        """Nobody goes into any here."""
        self.detached = False

    async def adopt(self, uids: set[str]) -> None:
        await self.may_adopt.wait()
        self.adopted.append(uids)

    async def detach(self) -> None:
        self.detached = True


class Node:
    """Stands for a node's kubelet."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.idle = True
        self.runs: dict[str, PodRun] = {}
        self.failed: list[str] = []

    def not_started(self) -> list[str]:
        return self.failed

    def volume_runs(self) -> list[PodRun]:
        return list(self.runs.values())


class Scene:
    """A pod that runs, in an API in memory, and the directory of its lab."""

    def __init__(self, directory: Path, recorder: Any) -> None:
        self.registry = Registry(Store(None), LAB)
        for obj in initial_objects(LAB):
            self.registry.create(obj)
        self.directory = directory
        paths.namespaces(directory).mkdir(parents=True)
        self.informers = Informers(InProcessApi(self.registry))
        for kind in ("Pod", "Service", "EndpointSlice", "Lease", "Node", "ConfigMap", "Secret"):
            _ = self.informers[kind]  # type: ignore[index]
        keeper: Any = None
        self.runtime = PodRuntime(
            LAB, directory, keeper, self.informers, {}, PodGroups("owner"),
            Draining(self.informers), recorder, recorder,
            Issuer(directory, lambda: None),
            owner=str(uuid.UUID(int=7)), now=lambda: "2026-01-01T00:00:00Z",
        )  # fmt: skip
        self.containers: Any = self.runtime._containers

    def pod(self, name: str, **spec: Any) -> Object:
        containers = [{"name": "c", "image": "nginx"}]
        head = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
        }
        return self.registry.create({**head, "spec": {"containers": containers, **spec}})

    def stand(self, *names: str) -> None:
        for name in names:
            (paths.namespaces(self.directory) / name).touch()

    @property
    def standing(self) -> list[str]:
        return sorted(path.name for path in paths.namespaces(self.directory).iterdir())

    def node(self, number: int = 1) -> Any:
        return self.runtime.kubelet_of(LAB.nodes[number])


@pytest.fixture
async def scene(
    tmp_path: Path, recorder: Any, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.setenv(paths.NETNS_DIR_VARIABLE, str(tmp_path / "netns"))
    monkeypatch.setattr(module, "PodContainers", Containers)
    monkeypatch.setattr(module, "Kubelet", Node)
    scene = Scene(tmp_path / "lab", recorder)
    yield scene
    await scene.runtime.stop()
    await scene.informers.stop()


async def test_it_begins_with_the_pods_there_are_and_what_belongs_to_none_goes(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    pod = scene.pod("web")
    scene.stand(*MACHINES, "test.default.web", "test.default.gone")
    files = {uid: paths.pod(scene.directory, uid) for uid in (meta.uid(pod), "gone")}
    for directory in files.values():
        directory.mkdir(parents=True)
    await scene.informers.start()
    scene.runtime.start(MACHINES)
    assert [meta.name(each) for each in await scene.runtime.adopted()] == ["web"]
    assert scene.containers.adopted == [{meta.uid(pod)}]
    assert scene.standing == sorted([*MACHINES, "test.default.web"])
    assert "namespace test.default.gone belonged to no pod any more" in caplog.text
    assert {uid: path.exists() for uid, path in files.items()} == {
        meta.uid(pod): True,
        "gone": False,
    }


async def test_who_gives_up_waiting_does_not_end_what_others_wait_for(scene: Scene) -> None:
    await scene.informers.start()
    scene.containers.may_adopt.clear()
    scene.runtime.start(MACHINES)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await scene.runtime.adopted()
    scene.containers.may_adopt.set()
    assert await scene.runtime.adopted() == []


async def test_it_is_at_work_as_long_as_a_node_is(
    scene: Scene, pod_run: Callable[..., PodRun]
) -> None:
    node, other = scene.node(0), scene.node(1)
    assert list(scene.runtime.at_work()) == []
    other.idle = False
    assert list(scene.runtime.at_work()) == ["pods and names are being set up"]
    other.idle, other.runs = True, {"n/p": pod_run()}
    assert list(scene.runtime.unready()) == [("n/p", False)]
    other.runs, node.failed = {}, ["default/lost"]
    assert list(scene.runtime.unready()) == [("default/lost", True)]
    assert list(scene.runtime.at_work()) == []  # waiting would not help


async def test_a_node_that_is_gone_keeps_nobody_waiting(scene: Scene) -> None:
    scene.node().idle = False
    assert not scene.runtime.idle
    scene.runtime.forget(LAB.nodes[1])
    assert scene.runtime.idle
    scene.runtime.forget(LAB.nodes[1])


async def test_files_of_pods_that_run_follow_their_objects(
    scene: Scene, pod_run: Callable[..., PodRun], until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A pod whose files cannot be brought up to date keeps no other from it."""
    caplog.set_level("INFO")
    volume = {"name": "v", "configMap": {"name": "settings"}}
    good, refused, broken = runs = [pod_run(volumes=[volume]) for _ in range(3)]
    for number, run in enumerate(runs):
        run.pod["metadata"] |= {"namespace": "default", "uid": f"u{number}"}
    errors = {id(refused): OSError("no room"), id(broken): KeyError("a mistake")}
    prepared: list[PodRun] = []

    def prepare(run: PodRun, _: object) -> None:
        prepared.append(run)
        if id(run) in errors:
            raise errors[id(run)]

    scene.runtime._files.volumes.prepare = prepare  # type: ignore[method-assign]
    scene.node().runs = {"a": refused, "b": broken, "c": good}
    await scene.informers.start()
    scene.runtime.start(MACHINES)
    await scene.runtime.adopted()
    assert prepared == []
    head = {"apiVersion": "v1", "kind": "ConfigMap"}
    settings = {"name": "settings", "namespace": "default"}
    scene.registry.create({**head, "metadata": settings, "data": {"color": "red"}})
    await until(lambda: prepared == [refused, broken, good])
    scene.registry.patch("ConfigMap", "default", "settings", {"data": {"color": "blue"}})
    await until(lambda: len(prepared) == 6)
    assert "p: volumes stay as they are: no room" in caplog.text


async def test_pods_go_on_when_it_stops(scene: Scene) -> None:
    await scene.informers.start()
    scene.stand("test.default.web")
    scene.containers.may_adopt.clear()
    scene.runtime.start(MACHINES)
    await asyncio.sleep(0)
    await scene.runtime.stop()
    assert scene.containers.detached
    assert scene.standing == ["test.default.web"]
    assert scene.containers.adopted == []
