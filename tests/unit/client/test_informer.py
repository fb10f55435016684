import asyncio
import contextlib

import pytest

from netlab.client.informer import Informer, Informers
from netlab.client.inprocess import InProcessApi
from netlab.errors import ApiError, Conflict, Expired
from netlab.objects import meta
from netlab.objects.lab import lab_from_object
from netlab.retry import Retry
from netlab.store.registry import Registry
from netlab.store.store import Store


def config(name, namespace="default", **labels):
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


class FlakyApi(InProcessApi):
    """The real thing, whose next watches or lists can be made to fail."""

    failures: list[tuple[str, Exception]]
    lists = 0

    def fail_next(self, call, error):
        self.failures = [*getattr(self, "failures", []), (call, error)]

    def _maybe_fail(self, call):
        failures = getattr(self, "failures", [])
        if failures and failures[0][0] == call:
            raise failures.pop(0)[1]

    async def list(self, kind, namespace=None, **how):
        self.lists += 1
        self._maybe_fail("list")
        return await super().list(kind, namespace, **how)

    async def watch(self, kind, namespace=None, **how):
        async with contextlib.aclosing(super().watch(kind, namespace, **how)) as events:
            self._maybe_fail("watch")
            async for event in events:
                self._maybe_fail("watch")
                yield event


@pytest.fixture
async def api():
    lab = lab_from_object(
        {
            "apiVersion": "netlab/v1",
            "kind": "Lab",
            "metadata": {"name": "t"},
            "spec": {"nodes": [{"name": "n1"}]},
        }
    )
    api = FlakyApi(Registry(Store(None), lab))
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    return api


@pytest.fixture
async def informer(api):
    informer = Informer(api, "ConfigMap", retry=Retry(0.001, 10.0))
    yield informer
    await informer.stop()


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def heard_by(informer):
    heard = []
    informer.add_listener(
        lambda old, new: heard.append(
            (meta.name(new or old), "+" if old is None else "-" if new is None else "~")
        )
    )
    return heard


async def test_it_lists_then_follows_and_tells_what_happened_in_order(api, informer):
    await api.create(config("a"))
    assert not informer.has_synced
    heard = heard_by(informer)
    await informer.start()
    assert informer.has_synced and informer.get("default/a") is not None
    await api.create(config("b"))
    await api.patch("ConfigMap", "default", "a", {"data": {"x": "1"}})
    await api.delete("ConfigMap", "default", "b")
    await turns()
    assert heard == [("a", "+"), ("b", "+"), ("a", "~"), ("b", "-")]
    assert [meta.name(obj) for obj in informer.items()] == ["a"]
    late = heard_by(informer)
    assert late == [("a", "+")]


async def test_indexes_follow_changes_and_forget_what_is_gone(api, informer):
    await api.create(config("a", app="web"))
    informer.add_index("app", lambda obj: list(meta.labels(obj).values()))
    await informer.start()
    await api.create(config("b", app="web"))
    await turns()
    assert [meta.name(o) for o in informer.by_index("app", "web")] == ["a", "b"]
    await api.patch("ConfigMap", "default", "a", {"metadata": {"labels": {"app": "db"}}})
    await api.delete("ConfigMap", "default", "b")
    await turns()
    assert informer.by_index("app", "web") == []
    assert (informer.count("app", "db"), informer.count("app", "web")) == (1, 0)


@pytest.mark.parametrize(
    "error", [Expired("too old"), ApiError("broken"), ConnectionResetError("gone")]
)
async def test_a_lost_watch_is_made_up_for_by_listing_again(api, informer, error):
    await api.create(config("a"))
    await api.create(config("b"))
    heard = heard_by(informer)
    await informer.start()
    await turns()
    del heard[:]
    api.fail_next("watch", error)
    await api.delete("ConfigMap", "default", "a")
    await api.create(config("c"))
    await until(lambda: api.lists == 2)
    await until(lambda: len(heard) >= 2)
    assert sorted(heard) == [("a", "-"), ("c", "+")]
    await api.create(config("d"))
    await until(lambda: informer.get("default/d"))


async def test_an_object_replaced_while_nobody_watched_went_and_came_and_others_are_silent(
    api, informer
):
    await api.create(config("same"))
    await api.create(config("replaced"))
    await informer.start()
    await turns()
    heard = heard_by(informer)
    del heard[:]
    api.fail_next("watch", Expired("too old"))
    await api.delete("ConfigMap", "default", "replaced")
    fresh = await api.create(config("replaced"))
    await until(lambda: api.lists == 2)
    await turns()
    assert heard == [("replaced", "-"), ("replaced", "+")]
    assert meta.uid(informer.get("default/replaced")) == meta.uid(fresh)


async def test_a_failing_list_is_retried_until_it_works(api, informer):
    for _ in range(3):
        api.fail_next("list", ApiError("not yet"))
    await informer.start()
    assert informer.has_synced and api.lists == 4


async def test_a_listener_that_fails_keeps_nobody_else_from_hearing(api, informer):
    def broken(old, new):
        raise ValueError("mine")

    informer.add_listener(broken)
    heard = heard_by(informer)
    await informer.start()
    await api.create(config("a"))
    await turns()
    assert heard == [("a", "+")]


async def test_own_writes_are_read_back_at_once_and_heard_once(api, informer):
    await informer.start()
    heard = heard_by(informer)
    informer.wrote(await api.create(config("a")))
    assert informer.get("default/a") is not None and informer.is_behind
    await turns()
    assert heard == [("a", "+")] and not informer.is_behind


async def test_an_answer_that_comes_after_the_watch_said_more_is_ignored(api, informer):
    await informer.start()
    created = await api.create(config("a"))
    await api.delete("ConfigMap", "default", "a")
    await turns()
    informer.wrote(created)
    assert informer.get("default/a") is None, "a ghost"


async def test_an_older_event_does_not_undo_an_own_write(api, informer):
    first = await api.create(config("a"))
    await informer.start()
    await turns()
    await api.patch("ConfigMap", "default", "a", {"data": {"x": "1"}})
    informer.wrote(await api.patch("ConfigMap", "default", "a", {"data": {"x": "2"}}))
    seen = []
    informer.add_listener(lambda _, new: seen.append(new["data"]["x"]))
    await turns()
    assert seen == ["2"]
    assert meta.uid(informer.get("default/a")) == meta.uid(first)


async def test_an_accepted_deletion_is_known_before_the_watch_tells(api, informer):
    informers = Informers(api)
    shared = informers["ConfigMap"]
    await api.create(config("a"))
    await informers.start()
    obj = shared.get("default/a")
    assert not shared.is_going(obj)
    await informers.delete(obj)
    assert shared.is_going(obj) and informers.is_behind
    await turns()
    assert shared.get("default/a") is None and not informers.is_behind
    again = await informers.create(config("a"))
    assert not shared.is_going(again)
    await informers.stop()


async def test_a_patch_meant_for_an_object_does_not_hit_its_successor(api, informer):
    informers = Informers(api)
    shared = informers["ConfigMap"]
    await api.create(config("a"))
    await informers.start()
    old = shared.get("default/a")
    await api.delete("ConfigMap", "default", "a")
    await api.create(config("a"))
    with pytest.raises(Conflict):
        await informers.patch(old, {"data": {"x": "1"}})
    assert "data" not in await api.get("ConfigMap", "default", "a")
    await informers.stop()


async def test_what_was_there_is_told_oldest_first(api, informer):
    for name in "cab":
        await api.create(config(name))
    heard = heard_by(informer)
    await informer.start()
    assert heard == [("c", "+"), ("a", "+"), ("b", "+")]
