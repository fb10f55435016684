"""The same controllers over the HTTP form of the Api, where watches lag behind writes."""

import asyncio
import contextlib
from collections import Counter

import pytest
from aiohttp import web

from netlab.api.server import build_app
from netlab.client.http import HttpApi
from netlab.controllers.manager import CONTROLLERS, start_controllers
from netlab.objects import meta


class NoStreams:
    """Nobody asks for logs or exec here."""


async def until(condition):
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def over_http(c, socket):
    """The cluster's controllers anew, over HTTP: the api they use, and they."""
    await c.running.stop()
    runner = web.AppRunner(
        build_app(c.registry, NoStreams()), handler_cancellation=True, shutdown_timeout=0.1
    )
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    async with HttpApi(socket) as api:
        running = await start_controllers(api, controllers=(*CONTROLLERS, type(c.kubelet)))
        yield api, running
        await running.stop()
    await runner.cleanup()


async def test_a_rollout_over_http_creates_no_pod_too_many(cluster, make, tmp_path):
    async def roll(api, births):
        async def complete():
            status = (await api.get("Deployment", "default", "web"))["status"]
            generation = status.get("observedGeneration", 0)
            counts = {status.get(f) for f in ("replicas", "updatedReplicas", "availableReplicas")}
            return counts == {30} and generation == wanted

        wanted = 1
        await api.create(make.deployment(replicas=30))
        await until(complete)
        assert len(births) == 30
        items = (await api.list("Pod", "default")).items
        assert sorted(Counter(p["spec"]["nodeName"] for p in items).values()) == [10, 10, 10]
        wanted = 2
        containers = [{"name": "web", "image": "nginx:2"}]
        template = {"spec": {"template": {"spec": {"containers": containers}}}}
        await api.patch("Deployment", "default", "web", template)
        await until(complete)
        assert len(births) == 60
        await api.delete("Deployment", "default", "web")

        async def empty():
            return not (await api.list("Pod", "default")).items

        await until(empty)
        assert len({meta.uid(pod) for pod in births}) == 60

    async with over_http(cluster, tmp_path / "api.sock") as (api, running):
        births = []
        running.informers["Pod"].add_listener(
            lambda old, new: births.append(new) if old is None else None
        )
        await roll(api, births)


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
async def test_history_over_http_has_no_revision_twice(cluster, make, tmp_path, kind):
    made = {**make.deployment("db", 2), "kind": kind}
    if kind == "DaemonSet":
        del made["spec"]["replicas"]
    async with over_http(cluster, tmp_path / "api.sock") as (api, running):
        births = []
        running.informers["ControllerRevision"].add_listener(
            lambda old, new: births.append(new) if old is None else None
        )

        async def renewed():
            pods = (await api.list("Pod", "default")).items
            images = {pod["spec"]["containers"][0]["image"] for pod in pods}
            return images == {wanted} and len(pods) > 1 and all(map(meta.is_ready, pods))

        wanted = "nginx:1"
        await api.create(made)
        await until(renewed)
        for wanted in ("nginx:2", "nginx:1", "nginx:2"):
            containers = [{"name": "web", "image": wanted}]
            template = {"spec": {"template": {"spec": {"containers": containers}}}}
            await api.patch(kind, "default", "db", template)
            await until(renewed)
        assert len(births) == 2
        kept = (await api.list("ControllerRevision", "default")).items
        assert sorted(one["revision"] for one in kept) == [3, 4]
