"""The Api protocol over HTTP, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from netlab.client.http import HttpApi
from netlab.client.protocol import Api
from netlab.client.wire import BrokenAnswer, ControllerUnreachable
from netlab.errors import Conflict, NotFound
from netlab.store.store import LOG_KEPT


def pod(name: str, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "labels": labels}
    spec = {"containers": [{"name": "c", "image": "nginx"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.fixture
async def api(server: Any) -> AsyncIterator[HttpApi]:
    async with HttpApi(server.socket) as api:
        _protocol: Api = api
        yield api


async def test_the_verbs(api: HttpApi) -> None:
    made = await api.create(pod("a"))
    assert await api.get("Pod", "default", "a") == made
    stale = {**made, "metadata": {**made["metadata"], "resourceVersion": "1"}}
    with pytest.raises(Conflict):
        await api.update(stale)
    made["metadata"]["labels"] = {"x": "y"}
    assert (await api.update(made))["metadata"]["labels"] == {"x": "y"}
    change = {"metadata": {"labels": {"x": None, "z": "1"}}}
    patched = await api.patch("Pod", "default", "a", change)
    assert patched["metadata"]["labels"] == {"z": "1"}
    done = await api.patch_status("Pod", "default", "a", {"phase": "Running"})
    assert done["status"]["phase"] == "Running"
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "a", "namespace": "default"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "node1"},
    }
    await api.create(binding)
    assert (await api.get("Pod", "default", "a"))["spec"]["nodeName"] == "node1"
    with pytest.raises(Conflict):
        await api.delete("Pod", "default", "a", uid="another")
    await api.delete("Pod", "default", "a", grace_period=0)
    with pytest.raises(NotFound):
        await api.get("Pod", "default", "a")


async def test_lists(api: HttpApi) -> None:
    await api.create(pod("a", app="x"))
    await api.create(pod("b", app="y"))
    found = await api.list("Pod", label_selector="app=x")
    assert [item["metadata"]["name"] for item in found.items] == ["a"]
    assert found.items[0]["kind"] == "Pod"
    assert int(found.resource_version) > 1
    assert (await api.list("Pod", "kube-system")).items == []
    by_name = await api.list("Pod", field_selector="metadata.name=b")
    assert len(by_name.items) == 1


async def test_a_watch_goes_on_from_a_list(api: HttpApi) -> None:
    start = (await api.list("Pod")).resource_version
    async with aclosing(api.watch("Pod", resource_version=start)) as events:
        await api.create(pod("a", note="x" * 60))
        await api.delete("Pod", "default", "a", grace_period=0)
        came, went = await anext(events), await anext(events)
    assert (came.type, went.type) == ("ADDED", "DELETED")
    assert came.object["metadata"]["name"] == "a"


async def test_an_expired_watch_tells_so_as_an_event(api: HttpApi, server: Any) -> None:
    def churn() -> None:
        server.registry.create(pod("a"))
        for number in range(2 * LOG_KEPT):
            change = {"metadata": {"labels": {"n": str(number)}}}
            server.registry.patch("Pod", "default", "a", change)

    server.call(churn)
    async with aclosing(api.watch("Pod", resource_version="20")) as events:
        event = await anext(events)
        assert (event.type, event.object["code"]) == ("ERROR", 410)


async def test_a_watch_whose_server_goes_ends(api: HttpApi, server: Any) -> None:
    async with aclosing(api.watch("Pod", resource_version="")) as events:
        await api.create(pod("a"))
        await anext(events)
        await asyncio.to_thread(server.stop)
        with pytest.raises((BrokenAnswer, StopAsyncIteration)):
            await anext(events)
    with pytest.raises(ControllerUnreachable):
        await api.get("Pod", "default", "a")
    await asyncio.to_thread(server.start_again)
    assert (await api.get("Pod", "default", "a"))["kind"] == "Pod"


async def test_no_server_is_an_error_with_a_hint(tmp_path: Path) -> None:
    async with HttpApi(tmp_path / "none.sock") as api:
        with pytest.raises(ControllerUnreachable) as caught:
            await api.list("Pod")
        assert "none.sock" in caught.value.message
