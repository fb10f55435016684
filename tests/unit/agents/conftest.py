"""What tests of agents share: pods as a kubelet holds them, who hears of what happens to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.agents.lifecycle import Lifecycle
from netlab.agents.podevents import PodEvents
from netlab.agents.podrun import PodRun, new_run
from netlab.agents.probes.attempt import GOOD, ProbeOutcome
from netlab.agents.probes.prober import Prober
from netlab.objects.meta import Object

SOON = 10.0


class Recorder:
    """Notes Events, as `Reason: message`."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.warnings: list[str] = []

    def normal(self, _obj: Object, reason: str, message: str) -> None:
        self.told.append(f"{reason}: {message}")

    def warning(self, _obj: Object, reason: str, message: str) -> None:
        self.warnings.append(f"{reason}: {message}")


class Actions:
    """Carries out hooks and probes: notes them, and answers what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []
        self.answer: ProbeOutcome | Exception = GOOD
        self.seconds = 0.0

    async def attempt(
        self, _run: PodRun, container: str, _action: Any, timeout: float
    ) -> ProbeOutcome:
        self.asked.append((container, timeout))
        await asyncio.sleep(self.seconds)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Keeper:
    """Keeps a program that is always there: `client` reaches it, `serve_all` is what is to be done
    once it was started anew."""

    def __init__(self) -> None:
        self.client: Any = None
        self.serve_all: Any = None

    def on_restart(self, serve: Any) -> None:
        self.serve_all = serve

    async def reached(self, call: Callable[[], Any]) -> Any:
        return await call()


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def actions() -> Actions:
    return Actions()


@pytest.fixture
def lifecycle(recorder: Recorder, actions: Actions) -> Lifecycle:
    events = PodEvents(recorder)
    return Lifecycle(events, Prober(actions, events), actions)  # type: ignore[arg-type]


@pytest.fixture
def pod_run(tmp_path: Path) -> Callable[..., PodRun]:
    """Makes a run of a pod `n/p` on node `w1`: containers, init containers, the rest of a spec."""

    def make(
        *containers: dict[str, Any],
        inits: tuple[dict[str, Any], ...] = (),
        status: dict[str, Any] | None = None,
        **spec: Any,
    ) -> PodRun:
        entries = [{"image": "alpine", **entry} for entry in containers or ({"name": "c"},)]
        first = [{"image": "alpine", **entry} for entry in inits]
        pod = {
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"containers": entries, "initContainers": first, **spec},
            "status": status or {},
        }
        return new_run(pod, "w1", ("10.0.0.2",), tmp_path / "netns", tmp_path / "pod")

    return make


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Any]:
    """Waits until something holds."""

    async def wait(holds: Callable[[], object]) -> None:
        async with asyncio.timeout(SOON):
            while not holds():
                await asyncio.sleep(0.001)

    return wait
