from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netlab.errors import BadRequest
from netlab.objects.watch import Event
from netlab.store import watch as watch_module
from netlab.store.registry import Registry
from netlab.store.store import Store
from netlab.store.watch import Watch


def drain(watch: Watch) -> list[Event]:
    events = []
    while (event := watch.poll()) is not None:
        events.append(event)
    return events


def brief(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.type, event.object["metadata"]["name"]) for event in events]


def relabel(registry: Registry, name: str, app: str) -> None:
    registry.patch("Pod", "default", name, {"metadata": {"labels": {"app": app}}})


def test_a_watch_continues_a_list(registry: Registry, make: Any) -> None:
    registry.create(make.config("a"))
    version = registry.list("ConfigMap").resource_version
    watch = registry.watch("ConfigMap", resource_version=version)
    assert drain(watch) == []
    registry.create(make.config("b"))
    registry.patch("ConfigMap", "default", "a", {"data": {"x": "1"}})
    registry.delete("ConfigMap", "default", "b")
    assert brief(drain(watch)) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


def test_without_a_revision_it_begins_with_what_there_is(registry: Registry, make: Any) -> None:
    registry.create(make.config("a"))
    for version in ("", "0"):
        assert brief(drain(registry.watch("ConfigMap", resource_version=version))) == [
            ("ADDED", "a")
        ]


def test_initial_events_end_with_an_annotated_bookmark(registry: Registry, make: Any) -> None:
    registry.create(make.config("a"))
    first, last = drain(registry.watch("ConfigMap", bookmarks=True, send_initial_events=True))
    assert (first.type, last.type) == ("ADDED", "BOOKMARK")
    assert last.object["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert last.object["metadata"]["resourceVersion"] == str(registry.store.revision)


def test_an_object_enters_and_leaves_a_selectors_view(registry: Registry, make: Any) -> None:
    registry.create(make.pod("a"))
    watch = registry.watch("Pod", resource_version="2", label_selector="app=web")
    before = str(registry.store.revision)
    relabel(registry, "a", "web")
    registry.patch("Pod", "default", "a", {"metadata": {"annotations": {"x": "1"}}})
    relabel(registry, "a", "other")
    registry.delete("Pod", "default", "a")
    events = drain(watch)
    assert brief(events) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    left = events[-1].object
    assert left["metadata"]["labels"] == {"app": "web"}, "the last state seen, not the next"
    assert int(left["metadata"]["resourceVersion"]) == int(before) + 3


def test_only_the_namespace_asked_for(registry: Registry, make: Any) -> None:
    registry.create(make.namespace("other"))
    watch = registry.watch("ConfigMap", "other", resource_version=str(registry.store.revision))
    registry.create(make.config("a"))
    registry.create(make.config("b", space="other"))
    assert brief(drain(watch)) == [("ADDED", "b")]


def test_field_selectors_watch_one_object(registry: Registry, make: Any) -> None:
    watch = registry.watch("Pod", resource_version="2", field_selector="metadata.name=b")
    registry.create(make.pod("a"))
    registry.create(make.pod("b"))
    assert brief(drain(watch)) == [("ADDED", "b")]


def test_a_revision_too_old_or_from_the_future_is_an_error_event(lab: Any, make: Any) -> None:
    registry = Registry(Store(None, log_kept=2), lab)
    registry.create(make.namespace("default"))
    for number in range(9):
        registry.create(make.config(f"c{number}"))
    for version in ("3", "999"):
        (error,) = drain(registry.watch("ConfigMap", resource_version=version))
        assert (error.type, error.object["code"], error.object["reason"]) == (
            "ERROR",
            410,
            "Expired",
        )
    with pytest.raises(BadRequest):
        registry.watch("ConfigMap", resource_version="x")


async def test_a_reader_that_does_not_read_is_cut_off(lab: Any, make: Any) -> None:
    registry = Registry(Store(None, log_kept=4), lab)
    registry.create(make.namespace("default"))
    watch = registry.watch("ConfigMap", resource_version="2")
    for number in range(20):
        registry.create(make.config(f"c{number}"))
    (error,) = [event async for event in watch]
    assert (error.type, error.object["code"]) == ("ERROR", 410)


async def test_waiting_watches_are_woken_and_closed(registry: Registry, make: Any) -> None:
    watch = registry.watch("ConfigMap", resource_version="2")
    seen: list[Event] = []

    async def follow() -> None:
        async for event in watch:
            seen.append(event)

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    registry.create(make.config("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    watch.close()
    await asyncio.wait_for(task, 1)
    assert (brief(seen), watch.poll() is None) == ([("ADDED", "a")], True)


async def test_the_end_of_the_store_ends_its_watches(registry: Registry) -> None:
    watch = registry.watch("ConfigMap", resource_version="2")
    asyncio.get_running_loop().call_soon(registry.store.close)
    assert ([event async for event in watch]) == []


async def test_idle_watches_get_bookmarks(
    registry: Registry, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "BOOKMARK_SECONDS", 0.01)
    watch = registry.watch("ConfigMap", resource_version="2", bookmarks=True)
    registry.create(make.pod())  # another kind's change: nothing but the revision moves
    event = await asyncio.wait_for(anext(watch), 1)
    assert event.type == "BOOKMARK"
    assert event.object["metadata"]["resourceVersion"] == str(registry.store.revision)


async def test_a_cancelled_reader_leaves_nothing_behind(registry: Registry) -> None:
    watch = registry.watch("ConfigMap", resource_version="2")
    task = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(registry.store.log("ConfigMap")._waiting) == 0
