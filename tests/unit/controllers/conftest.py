"""A control plane in memory: the real registry, the real controllers, and a kubelet of sorts."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import pytest

from netlab.client.inprocess import InProcessApi
from netlab.controllers.controller import Controller, ControllerContext, WatchedKind, own_key
from netlab.controllers.manager import CONTROLLERS, RunningControllers, start_controllers
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.lab import lab_from_object
from netlab.objects.meta import Object
from netlab.objects.pools import AddressRange
from netlab.store.registry import Registry
from netlab.store.store import Store

NOW = "2026-01-01T00:00:00Z"


def _never(_pod: Object) -> bool:
    return False


class Kubelet(Controller):
    """Gives bound pods an address and readiness, and confirms the end of those that are to go.

    `unready` and `undying` are predicates on pods: those never become ready, or never end.
    """

    name = "kubelet"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.unready: Callable[[Object], bool] = _never
        self.undying: Callable[[Object], bool] = _never
        self._addresses = itertools.count(2)

    def watches(self) -> Sequence[WatchedKind]:
        return (WatchedKind("Pod", own_key),)

    def look_again(self) -> None:
        for pod in self.informers["Pod"].items():
            self.queue.add(meta.key(pod))

    async def reconcile(self, key: str) -> None:
        pod = self.informers["Pod"].get(key)
        if pod is None or not meta.spec(pod).get("nodeName"):
            return
        if meta.is_terminating(pod):
            await self._end(pod)
        elif meta.status(pod).get("phase") in ("Succeeded", "Failed"):
            return
        elif meta.is_ready(pod) == self.unready(pod) or not meta.status(pod).get("podIP"):
            await self.informers.patch_status(pod, self._status(pod))

    async def _end(self, pod: Object) -> None:
        if not self.undying(pod):
            with contextlib.suppress(NotFound):
                await self.informers.delete(pod, grace_period=0)

    def _status(self, pod: Object) -> dict[str, Any]:
        number = next(self._addresses)
        address = meta.status(pod).get("podIP") or f"10.244.{number // 250}.{number % 250 + 1}"
        ready = "False" if self.unready(pod) else "True"
        others = [one for one in meta.status(pod).get("conditions") or [] if one["type"] != "Ready"]
        condition = {"type": "Ready", "status": ready, "lastTransitionTime": self.context.now()}
        return {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [*others, condition],
        }


class Cluster:
    """What a test talks to: `apply`, `get`, `list`, `settle`."""

    def __init__(self, registry: Registry, running: RunningControllers) -> None:
        self.registry = registry
        self.running = running
        self.api = running.informers.api
        self.kubelet: Any = next(one for one in running.controllers if isinstance(one, Kubelet))

    async def settle(self, seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            await self.running.wait_idle()

    async def create(self, *objects: Object) -> None:
        for obj in objects:
            await self.api.create(obj)

    async def patch(self, kind: str, name: str, patch: Any, namespace: str = "default") -> Object:
        return await self.api.patch(kind, namespace, name, patch)

    async def delete(self, kind: str, name: str, **options: Any) -> None:
        await self.api.delete(kind, options.pop("namespace", "default"), name, **options)

    async def get(self, kind: str, name: str, namespace: str = "default") -> Object:
        return await self.api.get(kind, namespace, name)

    async def list(self, kind: str, namespace: str | None = "default", **how: str) -> list[Object]:
        items = (await self.api.list(kind, namespace, **how)).items
        return sorted(items, key=meta.name)

    async def events(self, reason: str = "") -> list[Object]:
        await self.running.recorder.flush()
        return [one for one in await self.list("Event") if reason in ("", one["reason"])]


def node(name: str, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": spec,
        "status": {"conditions": [ready()], "allocatable": {"pods": "110"}},
    }


def ready(status: str = "True") -> dict[str, str]:
    return {"type": "Ready", "status": status, "lastTransitionTime": NOW}


def deployment(name: str = "web", replicas: int = 3, image: str = "nginx:1", **spec: Any) -> Object:
    template = spec.pop("template", {})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": image}], **template},
            },
            **spec,
        },
    }


def service(name: str = "web", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}],
            **spec,
        },
    }


def pod(name: str, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels or {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "nginx"}], **spec},
    }


@contextlib.asynccontextmanager
async def new_cluster(
    nodes: Iterable[Object] = (),
    controllers: Sequence[type[Controller]] = CONTROLLERS,
    pools: Sequence[AddressRange] = (),
    grace: float = 50.0,
    clock: Callable[[], float] = time.time,
    **spec: Any,
) -> AsyncIterator[Cluster]:
    """A running control plane with these nodes (three plain ones unless given).

    `pools` are the load balancers', `grace` is how many seconds a node may say nothing, `clock`
    gives the time, `spec` is the Lab's beside its nodes.
    """
    lab = lab_from_object(
        {
            "apiVersion": "netlab/v1",
            "kind": "Lab",
            "metadata": {"name": "t"},
            "spec": {"nodes": [{"name": "n1"}], **spec},
        }
    )
    registry = Registry(Store(None), lab, node_lifecycle=lab.node_lifecycle, clock=clock)
    api = InProcessApi(registry)
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    for one in list(nodes) or [node(f"worker00{n}") for n in (1, 2, 3)]:
        await api.create(one)
    running = await start_controllers(
        api,
        controllers=(*controllers, Kubelet),
        load_balancer_pools=pools,
        node_monitor_grace_period=grace,
        clock=clock,
    )
    try:
        yield Cluster(registry, running)
    finally:
        await running.stop()


class Make:
    """The makers of objects, for tests: `make.deployment(…)`."""

    node = staticmethod(node)
    ready = staticmethod(ready)
    deployment = staticmethod(deployment)
    service = staticmethod(service)
    pod = staticmethod(pod)
    cluster = staticmethod(new_cluster)


@pytest.fixture
def make() -> type[Make]:
    return Make


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """Three workers, no load balancers' addresses."""
    async with new_cluster() as cluster:
        yield cluster
