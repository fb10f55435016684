import asyncio

from netlab.client import workqueue
from netlab.client.workqueue import LULL, WorkQueue
from netlab.retry import Retry


async def test_a_key_added_twice_is_handed_out_once_and_in_order():
    queue = WorkQueue()
    for key in ("b", "a", "b"):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == ["b", "a"]
    queue.done("b")
    queue.done("a")
    assert queue.is_idle()


async def test_a_key_added_while_it_is_worked_on_waits_for_the_worker():
    queue = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(0.01)
    assert not second.done(), "two workers on the same key"
    queue.done("a")
    assert await second == "a"


async def test_retries_back_off_to_a_cap_and_start_anew_after_success():
    queue = WorkQueue(retry=Retry(1, 5))
    assert [queue.retry("a") for _ in range(5)] == [1, 2, 4, 5, 5]
    queue.forget("a")
    assert queue.retry("a") == 1
    assert [queue.retry("a", cap=3) for _ in range(3)] == [2, 3, 3]
    queue.close()


async def test_of_several_delays_the_earliest_counts():
    queue = WorkQueue()
    loop = asyncio.get_running_loop()
    start = loop.time()
    queue.add_after("a", 3)
    queue.add_after("a", 0.02)
    queue.add_after("a", 2)
    assert await queue.get() == "a"
    assert loop.time() - start < 1
    queue.done("a")
    assert queue.is_idle(), "the later wishes are forgotten"


async def test_a_key_that_rests_is_worked_on_once_and_later_however_often_it_is_added(monkeypatch):
    monkeypatch.setattr(workqueue, "LULL", 1.0)  # nobody can ask in time on any machine
    queue = WorkQueue()
    loop = asyncio.get_running_loop()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.done("a", rest=0.03)
    rested = loop.time() + 0.03
    assert not queue.is_idle()
    for _ in range(3):
        queue.add("a")
        queue.add("b")
        assert await queue.get() == "b"
        queue.done("b")
    assert await queue.get() == "a"
    assert loop.time() >= rested - 0.001
    queue.done("a")
    assert queue.is_idle()
    queue.add("a")
    assert await queue.get() == "a"


async def test_a_key_rests_no_more_once_nobody_asks_for_it_any_more():
    queue = WorkQueue()
    loop = asyncio.get_running_loop()
    queue.add("a")
    await queue.get()
    queue.done("a", rest=2.5)
    for _ in range(3):
        queue.add("a")
        queue.add_after("a", 0.001)
        await asyncio.sleep(0.02)
    last = loop.time()
    queue.add("a")
    assert not queue.is_idle()
    taken = asyncio.create_task(queue.get())
    await asyncio.wait([taken], timeout=20.0)
    assert taken.done() and 2.5 * LULL - 0.001 <= loop.time() - last < 2.3
    queue.done("a")
    queue.add("a")
    assert await queue.get() == "a"


async def test_a_key_due_while_it_rests_holds_nobody_up():
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return asyncio.get_running_loop().time()

    queue = WorkQueue(clock=clock)
    queue.add("a")
    await queue.get()
    queue.done("a", rest=0.1)
    queue.add_after("a", 0.02)
    assert await queue.get() == "a"
    assert looks < 20


async def test_idle_means_nothing_ready_in_work_or_due_soon():
    queue = WorkQueue()
    assert queue.is_idle()
    queue.add_after("later", 60)
    assert queue.is_idle()
    queue.add_after("soon", 0.01)
    assert not queue.is_idle()
    idle = asyncio.create_task(queue.wait_idle())
    assert await queue.get() == "soon"
    await asyncio.sleep(0)
    assert not idle.done()
    queue.done("soon")
    await idle
    queue.close()


async def test_closing_lets_waiting_workers_go():
    queue = WorkQueue()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.close()
    assert await asyncio.gather(*workers) == [None, None, None]
    queue.add("a")
    assert await queue.get() is None


async def test_a_cancelled_worker_loses_no_key():
    queue = WorkQueue()
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await second == "a"
