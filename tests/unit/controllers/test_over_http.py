"""The same controllers over the HTTP form of the Api, where watches lag behind writes."""

import asyncio
from collections import Counter

from aiohttp import web

from netlab.api.server import build_app
from netlab.client.http import HttpApi
from netlab.controllers.runtime import CONTROLLERS, start_controllers
from netlab.objects import meta


class NoStreams:
    """Nobody asks for logs or exec here."""


async def until(condition):
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.01)


def test_a_rollout_over_http_creates_no_pod_too_many(in_cluster, make, tmp_path):
    async def scenario(c):
        await c.running.stop()
        app = build_app(c.registry, NoStreams())
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        socket = tmp_path / "api.sock"
        await web.UnixSite(runner, str(socket)).start()
        async with HttpApi(socket_path=socket) as api:
            running = await start_controllers(api, controllers=(*CONTROLLERS, type(c.kubelet)))
            births = []
            running.informers["Pod"].add_listener(
                lambda old, new: births.append(new) if old is None else None
            )
            await roll(api, births)
            await running.stop()
        await runner.cleanup()

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

    in_cluster(scenario)
