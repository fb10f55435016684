"""Files of pods that run follow what they are made of: those alone, and whenever it changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netlab.agents.changes import Touched
from netlab.agents.volume_sources import sources
from netlab.agents.volume_upkeep import VolumeUpkeep


def config(name: str) -> dict[str, Any]:
    return {"name": name, "configMap": {"name": name}}


class Runs:
    """Pods by name, and whose files were written; who is asked for tokens waits for `goes_on`."""

    def __init__(self, pod_run: Any) -> None:
        self.touched = Touched()
        self.due: set[str] = set()
        self.written: list[str] = []
        self.asked = 0
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.runs = []
        for name in ("a", "b"):
            run = pod_run(volumes=[config(name), config("both")])
            run.pod["metadata"] = {"name": name, "namespace": "default", "uid": name}
            self.runs.append(run)
        self.upkeep = VolumeUpkeep(self, self, self, lambda: iter(self.runs))  # type: ignore[arg-type]

    async def present(self, _: Any) -> None:
        self.asked += 1
        await self.goes_on.wait()

    def are_due(self, run: Any) -> bool:
        return run.pod["metadata"]["name"] in self.due

    def prepare(self, run: Any, _: Any) -> None:
        self.written.append(run.pod["metadata"]["name"])

    def change(self, name: str, kind: str = "ConfigMap") -> None:
        self.touched.note((kind, "default", name))


@pytest.fixture
async def runs(pod_run: Any) -> Any:
    found = Runs(pod_run)
    found.upkeep.start()
    yield found
    await found.upkeep.stop()


async def test_only_pods_that_have_the_object_are_written_anew(runs: Runs, until: Any) -> None:
    for name in ("c", "a"):
        runs.change(name)
    runs.change("b", kind="Secret")
    await until(lambda: runs.written)
    runs.change("both")
    await until(lambda: len(runs.written) == 3)
    assert runs.written == ["a", "a", "b"]


async def test_what_changes_while_files_are_written_is_not_missed(runs: Runs, until: Any) -> None:
    runs.goes_on.clear()
    runs.change("both")
    await until(lambda: runs.asked)
    runs.change("b")  # a waits for a token
    runs.change("a")
    runs.goes_on.set()
    await until(lambda: len(runs.written) == 4)
    assert runs.written == ["a", "b", "a", "b"]


async def test_tokens_are_looked_at_however_much_changes(
    pod_run: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netlab.agents.volume_upkeep.LOOK_EVERY", 0.2)
    runs = Runs(pod_run)
    runs.due.add("b")
    runs.upkeep.start()
    try:

        def flooded() -> bool:
            runs.change("of-nobody")
            return "b" in runs.written

        await until(flooded)
        assert "a" not in runs.written
    finally:
        await runs.upkeep.stop()


@pytest.mark.parametrize(
    ("volume", "found"),
    [
        ({"secret": {"secretName": "s"}}, {("Secret", "default", "s")}),
        (
            {"projected": {"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "c"}}]}},
            {("Secret", "default", "s"), ("ConfigMap", "default", "c")},
        ),
        (
            {"persistentVolumeClaim": {"claimName": "d"}},
            {("PersistentVolumeClaim", "default", "d"), ("PersistentVolume", "", "")},
        ),
        (
            {"ephemeral": {}},
            {("PersistentVolumeClaim", "default", "web-v"), ("PersistentVolume", "", "")},
        ),
        (
            {"downwardAPI": {"items": [{"fieldRef": {"fieldPath": "metadata.labels['a']"}}]}},
            {("Pod", "default", "web")},
        ),
        ({"downwardAPI": {"items": [{"fieldRef": {"fieldPath": "metadata.namespace"}}]}}, set()),
        ({"emptyDir": {}}, set()),
    ],
)
def test_what_files_are_made_of(volume: Any, found: Any) -> None:
    metadata = {"name": "web", "namespace": "default"}
    pod: Any = {"metadata": metadata, "spec": {"volumes": [{"name": "v", **volume}]}}
    assert sources(pod) == found
