from __future__ import annotations

import asyncio
import contextlib

import pytest

from netlab.client.inprocess import InProcessApi
from netlab.client.protocol import Api
from netlab.errors import Conflict, NotFound
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"containers": [{"name": "web", "image": "nginx"}]},
}


@pytest.fixture
def api() -> Api:
    lab = lab_from_object(
        {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": {"nodes": 1}}
    )
    registry = Registry(Store(None), lab)
    registry.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    return InProcessApi(registry)


async def test_the_whole_life_of_a_pod(api: Api) -> None:
    version = (await api.list("Pod")).resource_version
    created = await api.create(POD)
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {
            "name": "web",
            "namespace": "default",
            "uid": created["metadata"]["uid"],
        },
        "target": {"kind": "Node", "name": "n1"},
    }
    bound = await api.create(binding)
    assert bound["spec"]["nodeName"] == "n1"
    with pytest.raises(Conflict):
        await api.create(binding)
    running = await api.patch_status("Pod", "default", "web", {"phase": "Running"})
    assert running["status"]["phase"] == "Running" and running["spec"] == bound["spec"]
    labelled = await api.patch("Pod", "default", "web", {"metadata": {"labels": {"a": "b"}}})
    assert await api.update(labelled) is labelled
    assert await api.get("Pod", "default", "web") is labelled
    await api.delete("Pod", "default", "web")
    await api.delete("Pod", "default", "web", grace_period=0)
    with pytest.raises(NotFound):
        await api.get("Pod", "default", "web")
    events: list[tuple[str, str]] = []
    watch = api.watch("Pod", resource_version=version)
    async with contextlib.aclosing(watch):  # type: ignore[type-var]
        async for event in watch:
            events.append((event.type, event.object["status"]["phase"]))
            if event.type == "DELETED":
                break
    assert events == [
        ("ADDED", "Pending"),
        ("MODIFIED", "Pending"),
        ("MODIFIED", "Running"),
        ("MODIFIED", "Running"),
        ("MODIFIED", "Running"),
        ("DELETED", "Running"),
    ]


async def test_lists_and_watches_select(api: Api) -> None:
    await api.create(POD)
    found = await api.list("Pod", "default", label_selector="app=web")
    watch = api.watch(
        "Pod", "default", resource_version=found.resource_version, label_selector="app=web"
    )
    await api.patch("Pod", "default", "web", {"metadata": {"labels": {"app": "web"}}})
    event = await asyncio.wait_for(anext(watch), 1)
    assert (len(found.items), event.type) == (0, "ADDED")


async def test_deletion_of_another_uid_is_refused(api: Api) -> None:
    await api.create(POD)
    with pytest.raises(Conflict):
        await api.delete("Pod", "default", "web", uid="another")
