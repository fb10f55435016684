"""Asks containers how they are, as their probes say, for as long as they run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec import Struct, field

from netlab.agents.podevents import PodEvents
from netlab.agents.podrun import PodRun
from netlab.agents.probes.actions import Actions
from netlab.agents.probes.probe import Probe, Streak, has_probe, probes_of
from netlab.errors import NetlabError

log = logging.getLogger(__name__)

Kill = Callable[[PodRun, str, str, float | None], None]
"""Ends a container to be started anew: pod, container, why, the probe's own grace in seconds."""


class _Watch(Struct):
    """The probes of one container while it runs, by their kinds; `started` holds all but the
    startup probe back."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)


class Prober:
    """All probes of the lab. A container without probes costs nothing here."""

    def __init__(self, actions: Actions, events: PodEvents) -> None:
        self._actions = actions
        self._events = events
        self._watches: dict[tuple[str, str], _Watch] = {}

    def watch(self, run: PodRun, container: str, kill: Kill) -> None:
        """The container runs: probe it until `forget`."""
        probes = probes_of(run.spec_of(container))
        if not probes:
            return
        self.forget(run, container)
        watch = self._watches[run.uid, container] = _Watch()
        if run.state(container).started:
            watch.started.set()
        for probe in probes:
            if probe.kind == "Startup" and watch.started.is_set():
                continue
            name = f"{probe.kind} probe of {run.key} {container}"
            work = self._probe(run, container, probe, watch, kill)
            watch.tasks[probe.kind] = asyncio.create_task(work, name=name)

    def ease(self, run: PodRun, container: str) -> None:
        """The container's pod is about to end: whether it is ready is all that matters yet."""
        watch = self._watches.get((run.uid, container))
        for kind, task in watch.tasks.items() if watch is not None else ():
            if kind != "Readiness":
                task.cancel()

    def forget(self, run: PodRun, container: str) -> None:
        """The container does not run any more."""
        watch = self._watches.pop((run.uid, container), None)
        for task in watch.tasks.values() if watch is not None else ():
            task.cancel()

    def stop(self) -> None:
        """Probe no longer."""
        for watch in self._watches.values():
            for task in watch.tasks.values():
                task.cancel()
        self._watches.clear()

    async def _probe(
        self, run: PodRun, container: str, probe: Probe, watch: _Watch, kill: Kill
    ) -> None:
        await asyncio.sleep(probe.initial_delay)
        if probe.kind != "Startup":
            await watch.started.wait()
        loop = asyncio.get_running_loop()
        streak = Streak(probe.successes, probe.failures)
        while True:
            next_time = loop.time() + probe.period
            verdict = await self._ask(run, container, probe, streak)
            if verdict is not None and self._is_last(run, container, probe, verdict, watch, kill):
                return
            await asyncio.sleep(max(0.0, next_time - loop.time()))

    async def _ask(self, run: PodRun, container: str, probe: Probe, streak: Streak) -> bool | None:
        try:
            outcome = await self._actions.attempt(run, container, probe.action, probe.timeout)
        except (NetlabError, OSError) as error:
            message = error.message if isinstance(error, NetlabError) else str(error)
            self._events.probe_error(run, probe.kind, message)
            return None
        except Exception:
            log.exception("%s probe of %s %s", probe.kind, run.key, container)
            return None
        if not outcome.good:
            self._events.unhealthy(run, probe.kind, outcome.message)
        return streak.add(outcome.good)

    def _is_last(
        self, run: PodRun, container: str, probe: Probe, good: bool, watch: _Watch, kill: Kill
    ) -> bool:
        """Act on a verdict; True when this probe has nothing more to ask."""
        state = run.state(container)
        if probe.kind == "Readiness":
            if state.ready != good:
                state.ready = good
                run.changed()
            return False
        if not good:
            kill(run, container, f"failed {probe.kind.lower()} probe", probe.grace)
            return True
        if probe.kind == "Startup":
            state.started = True
            state.ready = not has_probe(run.spec_of(container), "Readiness")
            watch.started.set()
            run.changed()
            return True
        return False
