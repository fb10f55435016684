"""Watches over HTTP: what they tell, how they end, what they cost when nobody reads."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import pytest

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def configmap(name: str, value: str = "1", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": value}}


async def revision(lab: Any) -> str:
    answer = await lab.ask("GET", CONFIGMAPS)
    return str(answer.json["metadata"]["resourceVersion"])


async def test_a_watch_tells_every_change_after_its_revision(lab: Any) -> None:
    lab.registry.create(configmap("before"))
    now = await revision(lab)
    async with lab.watch(CONFIGMAPS, resourceVersion=now) as following:
        lab.registry.create(configmap("a"))
        lab.registry.update(configmap("a", "2"))
        lab.registry.delete("ConfigMap", "default", "a")
        events = [await following() for _ in range(3)]
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert [event["object"]["data"]["a"] for event in events] == ["1", "2", "2"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))
    assert versions[0] > int(now)


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}])
async def test_a_watch_without_a_revision_begins_with_what_there_is(lab: Any, query: Any) -> None:
    lab.registry.create(configmap("a"))
    async with lab.watch(CONFIGMAPS, **query) as following:
        assert (await following())["object"]["metadata"]["name"] == "a"
        lab.registry.create(configmap("b"))
        assert (await following())["object"]["metadata"]["name"] == "b"


async def test_initial_events_end_with_a_bookmark(lab: Any) -> None:
    lab.registry.create(configmap("a"))
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    async with lab.watch(CONFIGMAPS, **query) as following:
        assert (await following())["type"] == "ADDED"
        end = await following()
    assert end["type"] == "BOOKMARK"
    assert end["object"]["kind"] == "ConfigMap"
    metadata = end["object"]["metadata"]
    assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert metadata["resourceVersion"] == await revision(lab)


async def test_selectors_turn_changes_into_comings_and_goings(lab: Any) -> None:
    now = await revision(lab)
    async with (
        lab.watch(CONFIGMAPS, resourceVersion=now, labelSelector="app=x") as following,
        lab.watch(CONFIGMAPS, resourceVersion=now) as whole,
    ):
        lab.registry.create(configmap("a", "1", app="y"))
        lab.registry.update(configmap("a", "2", app="x"))
        lab.registry.update(configmap("a", "3", app="y"))
        came, went = await following(), await following()
        everything = [await whole() for _ in range(3)]
    assert (came["type"], came["object"]["data"]["a"]) == ("ADDED", "2")
    # The same version in two shapes: here as the object last was, there as it is now.
    assert (went["type"], went["object"]["data"]["a"]) == ("DELETED", "2")
    assert everything[2]["object"]["data"]["a"] == "3"
    versions = {e["object"]["metadata"]["resourceVersion"] for e in (went, everything[2])}
    assert len(versions) == 1


async def test_one_object_is_watched_by_its_path_or_by_its_name(lab: Any) -> None:
    now = await revision(lab)
    by_field = lab.watch(CONFIGMAPS, resourceVersion=now, fieldSelector="metadata.name=b")
    by_path = lab.watch(f"{CONFIGMAPS}/b", resourceVersion=now)
    async with by_field as first, by_path as second:
        lab.registry.create(configmap("a"))
        lab.registry.create(configmap("b"))
        for following in (first, second):
            assert (await following())["object"]["metadata"]["name"] == "b"


async def test_a_table_watch_names_its_columns_once(lab: Any) -> None:
    lab.registry.create(configmap("a"))
    async with lab.watch(CONFIGMAPS, accept=TABLE) as following:
        first = (await following())["object"]
        lab.registry.update(configmap("a", "2"))
        second = (await following())["object"]
    assert (first["kind"], second["kind"]) == ("Table", "Table")
    assert len(first["columnDefinitions"]) == 3
    assert second["columnDefinitions"] == []
    assert second["rows"][0]["cells"][:2] == ["a", 1]
    carried = second["rows"][0]["object"]["metadata"]
    assert second["metadata"]["resourceVersion"] == carried["resourceVersion"]


async def test_an_expired_revision_is_told_within_the_watch(lab: Any) -> None:
    lab.registry.create(configmap("a"))
    old = await revision(lab)
    for number in range(5000):
        lab.registry.update(configmap("a", str(number)))
    async with lab.watch(CONFIGMAPS, resourceVersion=old) as following:
        error = await following()
        assert await following() is None
    assert error["type"] == "ERROR"
    assert (error["object"]["kind"], error["object"]["code"]) == ("Status", 410)
    assert error["object"]["reason"] == "Expired"


async def test_a_watch_ends_after_its_time(lab: Any) -> None:
    now = await revision(lab)
    async with lab.watch(CONFIGMAPS, resourceVersion=now, timeoutSeconds="1") as following:
        assert await following() is None


@pytest.mark.parametrize("query", [{"watch": "maybe"}, {"resourceVersion": "x"}])
async def test_watches_that_make_no_sense(lab: Any, query: dict[str, str]) -> None:
    answer = await lab.ask("GET", CONFIGMAPS, **{"watch": "1", **query})
    assert answer.code == 400


def waiting(lab: Any) -> int:
    return len(lab.registry.store.log("ConfigMap")._waiting)


async def until(condition: Any) -> None:
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true")


async def test_a_client_that_vanishes_is_noticed_without_an_event(lab: Any) -> None:
    now = await revision(lab)
    async with lab.watch(CONFIGMAPS, resourceVersion=now):
        await until(lambda: waiting(lab) == 1)
    await until(lambda: waiting(lab) == 0)


async def test_every_watcher_gets_every_event_and_objects_are_encoded_once(
    lab: Any, monkeypatch: Any
) -> None:
    from netlab.api import encoding

    encoded: list[Any] = []
    original = encoding.to_json

    def counting(value: Any) -> bytes:
        if isinstance(value, dict) and value.get("kind") == "ConfigMap":
            encoded.append(value)
        return original(value)

    now = await revision(lab)
    monkeypatch.setattr(encoding, "to_json", counting)

    async def reader(following: Any) -> list[str]:
        return [(await following())["object"]["metadata"]["name"] for _ in range(50)]

    async def one() -> list[str]:
        async with lab.watch(CONFIGMAPS, resourceVersion=now) as following:
            return await reader(following)

    readers = [asyncio.create_task(one()) for _ in range(20)]
    await until(lambda: waiting(lab) == 20)
    names = [f"c{number}" for number in range(50)]
    for name in names:
        lab.registry.create(configmap(name))
    assert await asyncio.gather(*readers) == [names] * 20
    assert len(encoded) == 50


async def test_watchers_that_never_read_stay_bounded(lab: Any) -> None:
    """200 sockets that are never read, and 40 MB of events that none of them takes."""

    def buffered_bytes() -> int:
        found = (o for o in gc.get_objects() if isinstance(o, asyncio.Transport))
        return sum(
            transport.get_write_buffer_size() for transport in found if not transport.is_closing()
        )

    now = await revision(lab)
    request = f"GET {CONFIGMAPS}?watch=1&resourceVersion={now} HTTP/1.1\r\nHost: x\r\n\r\n"
    silent = []
    for _ in range(200):
        reader, writer = await asyncio.open_unix_connection(str(lab.socket), limit=1024)
        writer.write(request.encode())
        silent.append((reader, writer))
    await until(lambda: waiting(lab) == 200)
    for number in range(40):
        lab.registry.create(configmap(f"c{number}", "x" * 1_000_000))
        await asyncio.sleep(0)
    await asyncio.sleep(0.2)
    assert 100e6 < buffered_bytes() < 200 * 1.3e6  # the event being sent, never the backlog
    assert (await lab.ask("GET", f"{CONFIGMAPS}/c39")).code == 200
    for _, writer in silent:
        writer.transport.abort()
    await until(lambda: waiting(lab) == 0)
    await until(lambda: not buffered_bytes())


async def test_a_reader_that_fell_behind_is_told_to_list_again(lab: Any) -> None:
    lab.registry.create(configmap("a"))
    now = await revision(lab)
    reader, writer = await asyncio.open_unix_connection(str(lab.socket), limit=1024)
    path = f"{CONFIGMAPS}?watch=1&resourceVersion={now}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await until(lambda: waiting(lab) == 1)
    for number in range(6000):
        lab.registry.update(configmap("a", f"{number:01000}"))
        if number % 50 == 0:
            await asyncio.sleep(0)
    last = b""
    while chunk := await asyncio.wait_for(reader.read(1 << 20), 5):
        last = (last + chunk)[-2000:]
        if b'"ERROR"' in last:
            break
    line = last[last.index(b'{"type":"ERROR"') :].split(b"\n")[0]
    assert json.loads(line)["object"]["code"] == 410
    writer.close()
