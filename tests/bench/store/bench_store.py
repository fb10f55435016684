"""How fast the store is: creates with watchers, lists, updates that change nothing.

Run by hand: `python tests/bench/store/bench_store.py [pods]`.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store
from netlab.store.watch import Watch

sys.path.insert(0, str(Path(__file__).parents[2]))
from bootstrapped import initial_objects

WATCHERS = 20


def _pod(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"web-7dfd748479-{number:05}",
            "namespace": "default",
            "labels": {"app": "web", "pod-template-hash": "7dfd748479"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "0"}
            ],
        },
        "spec": {
            "containers": [{"name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80}]}]
        },
    }


def _service(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"web-{number}", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }


async def _count(watch: Watch, seen: list[int], index: int, wanted: int) -> None:
    async for _ in watch:
        seen[index] += 1
        if seen[index] == wanted:
            return


async def _create_watched(registry: Registry, count: int) -> float:
    """Creates a second, until the last watcher has seen the last pod."""
    version = str(registry.store.revision)
    seen = [0] * WATCHERS
    watches = [registry.watch("Pod", resource_version=version) for _ in range(WATCHERS)]
    tasks = [asyncio.create_task(_count(w, seen, i, count)) for i, w in enumerate(watches)]
    await asyncio.sleep(0)
    start = time.perf_counter()
    for number in range(count):
        registry.create(_pod(number))
        await asyncio.sleep(0)  # as between two requests
    await asyncio.gather(*tasks)
    return count / (time.perf_counter() - start)


def _median_ms(call: Callable[[], object], times: int = 9) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


async def main(pods: int) -> None:
    """Print the figures."""
    lab = lab_from_object(
        {
            "apiVersion": "netlab/v1",
            "kind": "Lab",
            "metadata": {"name": "bench"},
            "spec": {"nodes": 2},
        }
    )
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        store = Store(Path(directory) / "store.journal")
        registry = Registry(store, lab)
        for obj in initial_objects(lab):
            registry.create(obj)
        rate = await _create_watched(registry, pods)
        print(f"{pods} pods, {WATCHERS} watchers: {rate:,.0f} creates/s")
        print(f"list: {_median_ms(lambda: registry.list('Pod')):.2f} ms")
        selected = _median_ms(lambda: registry.list("Pod", label_selector="app=web"))
        print(f"list, selected by label: {selected:.2f} ms")
        pod = registry.get("Pod", "default", "web-7dfd748479-00007")
        print(f"update without a change: {_median_ms(lambda: registry.update(pod)):.3f} ms")
        numbers = iter(range(1000))
        made = _median_ms(lambda: registry.create(_service(next(numbers))), 500)
        print(f"create a Service: {made:.3f} ms")
        start = time.perf_counter()
        store.close()
        Registry(Store(Path(directory) / "store.journal"), lab).store.close()
        print(f"close and start again: {(time.perf_counter() - start) * 1000:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000))
