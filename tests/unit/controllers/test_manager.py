import asyncio
import errno
import logging
import time

from netlab.controllers.controller import Controller, WatchedKind, own_key
from netlab.controllers.manager import start_controllers
from netlab.errors import Conflict
from netlab.objects import meta
from netlab.store import failures
from netlab.store.store import Store


class Failing(Controller):
    """Fails the first few times for every key, with a different error each time."""

    name = "failing"
    workers = 3
    errors = (Conflict("stale"), ValueError("a bug"))

    def __init__(self, context):
        super().__init__(context)
        self.calls = []
        self.active = set()
        self.overlaps = 0

    def watches(self):
        return (WatchedKind("Node", own_key),)

    async def reconcile(self, key):
        self.overlaps += key in self.active
        self.active.add(key)
        await asyncio.sleep(0.001)
        self.active.discard(key)
        tries = self.calls.count(key)
        self.calls.append(key)
        if tries < len(self.errors):
            raise self.errors[tries]


async def test_errors_are_retried_and_never_overlap_for_a_key(make, caplog):
    caplog.set_level(logging.ERROR)
    async with make.cluster(controllers=[Failing]) as cluster:
        controller = cluster.running.controllers[0]
        for _ in range(5):
            controller.queue.add("worker001")
            await asyncio.sleep(0.001)
        await cluster.settle()
        for name in ("worker001", "worker002", "worker003"):
            assert controller.calls.count(name) >= 3
        assert controller.overlaps == 0
    assert any("a bug" in record.message for record in caplog.records)
    assert not any("stale" in record.message for record in caplog.records)


async def test_idle_means_that_everything_asked_for_is_there(make):
    async with make.cluster() as c:
        await c.settle()
        for number in range(5):
            await c.create(make.deployment(f"web-{number}", 4), make.service(f"web-{number}"))
        await c.settle()
        assert sum(meta.is_ready(pod) for pod in await c.list("Pod")) == 20
        assert c.running.is_idle()


async def test_the_work_grows_with_the_pods_not_with_their_square(cluster, make):
    def counted(controller, looks):
        reconcile = controller.reconcile

        async def look(key):
            looks.append(key)
            return await reconcile(key)

        return look

    looks = []
    for controller in cluster.running.controllers:
        controller.reconcile = counted(controller, looks)
    await cluster.create(make.service(), make.deployment(replicas=200))
    before = cluster.registry.store.revision
    await cluster.settle()
    await cluster.running.recorder.flush()
    # A pod is created, bound, told of, and made ready; the rest is a constant.
    assert cluster.registry.store.revision - before < 200 * 4 + 100
    assert len(looks) < 200 * 6 + 100


def refuse(store, change):
    raise failures.not_saved(OSError(errno.ENOSPC, "No space left on device"), store._place)


async def test_events_wait_for_room(cluster, monkeypatch):
    node = await cluster.get("Node", "worker001", "")
    source = cluster.running.recorder.source("test")
    source.normal(node, "Rebooted", "again")
    await cluster.running.recorder.flush()
    with monkeypatch.context() as full:
        full.setattr(Store, "_save", refuse)
        for reason in ("Rebooted", "Odd"):
            source.normal(node, reason, "again")
        await cluster.running.recorder.flush()
        source.normal(node, "Rebooted", "again")
        await cluster.running.recorder.flush()
    await cluster.running.recorder.flush()
    assert [(one["count"], one["message"]) for one in await cluster.events("Rebooted")] == [
        (3, "again")
    ]
    assert [one["count"] for one in await cluster.events("Odd")] == [1]


async def test_what_there_was_no_room_for_is_written_later(cluster, make, monkeypatch, caplog):
    await cluster.create(make.deployment(replicas=20), make.service())
    for _ in range(3):  # at different moments of the work
        with monkeypatch.context() as full:
            full.setattr(Store, "_save", refuse)
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.001)
    async with asyncio.timeout(10):
        while sum(meta.is_ready(pod) for pod in await cluster.list("Pod")) < 20:
            await asyncio.sleep(0.01)
    await cluster.settle()
    assert [len(each["endpoints"]) for each in await cluster.list("EndpointSlice")] == [20]
    assert "No space left" not in caplog.text, "that is for the store to say, once"


async def test_after_stop_nothing_of_it_runs(make):
    before = asyncio.all_tasks()
    async with make.cluster() as cluster:
        await cluster.create(make.deployment(replicas=50))
    assert asyncio.all_tasks() == before


async def test_a_restart_takes_over_without_a_write(cluster, make):
    await cluster.create(make.deployment(), make.service())
    await cluster.settle()
    await cluster.running.stop()
    revision = cluster.registry.store.revision
    again = await start_controllers(cluster.api)
    async with asyncio.timeout(5):
        await again.wait_idle()
    await again.stop()
    assert cluster.registry.store.revision == revision


async def test_a_repeated_event_is_counted_and_many_alike_are_combined(cluster, make):
    node = await cluster.get("Node", "worker001", "")
    source = cluster.running.recorder.source("test")
    for _ in range(3):
        source.normal(node, "Rebooted", "again")
        await cluster.running.recorder.flush()
    for number in range(25):
        source.warning(node, "Odd", f"thing {number}")
    events = await cluster.events("Rebooted")
    assert [(one["count"], one["message"]) for one in events] == [(3, "again")]
    assert events[0]["involvedObject"]["name"] == "worker001"
    assert events[0]["source"] == {"component": "test"}
    odd = await cluster.events("Odd")
    assert len(odd) == 11
    (combined,) = [one for one in odd if one["count"] > 1]
    assert combined["count"] == 15
    assert combined["message"] == "(combined from similar events): thing 24"


async def test_an_event_for_what_is_gone_hurts_nobody(cluster, make):
    ghost = make.pod("ghost")
    ghost["metadata"] |= {"namespace": "nowhere", "uid": "x"}
    cluster.running.recorder.source("test").normal(ghost, "Gone", "too late")
    await cluster.running.recorder.flush()
    assert await cluster.events("Gone") == []


class Busy(Controller):
    """Computes for every key, and waits for nothing."""

    name = "busy"
    workers = 1

    def watches(self):
        return ()

    async def reconcile(self, key):
        del key
        end = time.thread_time() + 0.01
        while time.thread_time() < end:
            pass


async def test_others_have_their_turn_between_many_keys(make):
    """What a key asks of the API in the same process is answered without waiting, too."""
    keys = [f"key{number}" for number in range(20)]
    async with make.cluster(controllers=[Busy]) as cluster:
        await cluster.settle()
        busy = next(one for one in cluster.running.controllers if isinstance(one, Busy))
        for key in keys:
            busy.queue.add(key)
        turns = 0
        while not busy.queue.is_idle():
            await asyncio.sleep(0)
            turns += 1
    assert turns >= len(keys)
