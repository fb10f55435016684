"""What happens to every container, whatever it runs: its state, Events, probes, hooks, back-off."""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

from netlab.agents import endings
from netlab.agents.podevents import PodEvents, full_name
from netlab.agents.podrun import PodRun, container_id, container_log, known_status
from netlab.agents.podstatus import ContainerState, restart_policy
from netlab.agents.probes.actions import Actions
from netlab.agents.probes.probe import has_probe
from netlab.agents.probes.prober import Kill, Prober
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.types import LifecycleHandler
from netlab.retry import Retry

log = logging.getLogger(__name__)

BACK_OFF = Retry(10.0, 300.0)
"""Of a crashing container from its second restart on; the first is at once."""

CALM = 600.0
"""Seconds of running after which a container's crashes are forgotten."""

LEAST_GRACE = 2.0
"""Seconds that a container is given after its preStop hook, even if that took all the time."""

KILLED = 137
"""The exit code of what was killed, and what a built-in server is said to have ended with."""


class Lifecycle:
    """Told by those who run containers, whatever these are."""

    def __init__(self, events: PodEvents, prober: Prober, actions: Actions) -> None:
        self.events = events
        self._prober = prober
        self._actions = actions

    def starting(self, run: PodRun, container: str) -> None:
        """A container is about to start: one that was thought to run does not."""
        if run.state(container).running:
            self._prober.forget(run, container)
            run.state(container).wait("ContainerCreating", "")
            run.changed()

    def began(
        self, run: PodRun, container: str, at: str, kill: Kill, *, adopted: bool = False
    ) -> None:
        """A container runs since `at`; an adopted one did so before this controller."""
        state, spec = run.state(container), run.spec_of(container)
        known = known_status(run, container)
        started, ready = known.get("started", False), known["ready"]
        state.begin(at, container_id(run, container))
        state.started = (adopted and started) or not has_probe(spec, "Startup")
        # An init container is ready by having ended well.
        state.ready = (
            state.started
            and not run.is_ordinary_init(container)
            and container not in run.ephemeral
            and ((adopted and ready) or not has_probe(spec, "Readiness"))
        )
        if not adopted:
            self.events.started(run, container)
        self._prober.watch(run, container, kill)
        run.changed()

    def ended(
        self,
        run: PodRun,
        container: str,
        at: str,
        code: int,
        *,
        reason: str = "",
        message: str = "",
    ) -> None:
        """A container's life is over; maybe it gets another. `message` is its own, or of why it
        never ran."""
        state = run.state(container)
        self._prober.forget(run, container)
        state.end(at, code)
        state.ready = run.is_ordinary_init(container) and code == 0
        state.reason = reason or state.reason
        spec, log_file = run.spec_of(container), container_log(run, container)
        state.message = endings.message(spec, code, message, log_file, len(run.names))
        run.changed()

    def ending(self, run: PodRun) -> None:
        """The pod is about to end: as long as a container runs, it is asked whether it is ready."""
        for container in run.names:
            self._prober.ease(run, container)

    def quiet(self, run: PodRun, *containers: str) -> None:
        """Containers, or all of a pod, have ended: what their probes would say does not matter."""
        for container in containers or run.names:
            self._prober.forget(run, container)

    async def back_off(self, run: PodRun, container: str, ran_for: float) -> None:
        """Wait until a container that ended after `ran_for` seconds may start again."""
        state = run.state(container)
        seconds = crash_delay(state, ran_for)
        if seconds:
            message = f"back-off {seconds:.0f}s restarting failed container={container}"
            state.wait("CrashLoopBackOff", f"{message} pod={full_name(run)}")
            self.events.back_off(run, container)
            run.changed()
            await asyncio.sleep(seconds)
        elif state.exit_code is not None:
            state.remember()

    async def pre_stop(self, run: PodRun, container: str, grace: float) -> float:
        """Run the container's preStop hook, if it has one; what is left of its grace, in seconds.

        A container that is to die at once (`grace` 0) has no time for it.
        """
        hook = _hook(run, container, "preStop")
        if not hook or not run.state(container).running or grace <= 0:
            return grace
        loop = asyncio.get_running_loop()
        began = loop.time()
        if not await self._run_hook(run, container, hook, grace):
            self.events.failed_hook(run, "PreStop")
        return max(LEAST_GRACE, grace - (loop.time() - began))

    async def post_start(self, run: PodRun, container: str) -> bool:
        """Run the container's postStart hook, if it has one; False when that failed."""
        hook = _hook(run, container, "postStart")
        if not hook or await self._run_hook(run, container, hook, BACK_OFF.cap):
            return True
        self.events.failed_hook(run, "PostStart")
        return False

    async def _run_hook(
        self, run: PodRun, container: str, hook: LifecycleHandler, limit: float
    ) -> bool:
        try:
            if sleep := hook.get("sleep"):
                await asyncio.sleep(min(limit, float(sleep["seconds"])))
                return True
            return (await self._actions.attempt(run, container, hook, limit)).good
        except (NetlabError, OSError) as error:
            log.error("pod %s: container %s: hook: %s", run.key, container, error)
            return False


def crash_delay(state: ContainerState, ran_for: float) -> float:
    """Count one more crash; the seconds before the next start, 0 for the first."""
    if ran_for > CALM:
        state.crashes = 0
    state.crashes += 1
    return BACK_OFF.delay(state.crashes - 1) if state.crashes > 1 else 0.0


def restarts(run: PodRun, container: str, code: int) -> bool:
    """Whether the pod wants this container run again; init containers only until they succeed,
    ephemeral ones never."""
    policy = restart_policy(run.pod)
    if container in run.ephemeral:
        return False
    if container in run.inits and not run.is_sidecar(container):
        return code != 0 and policy != "Never"
    if policy == "Always" or run.is_sidecar(container):
        return True
    return policy == "OnFailure" and code != 0


def _hook(
    run: PodRun, container: str, name: Literal["preStop", "postStart"]
) -> LifecycleHandler | None:
    return (run.spec_of(container).get("lifecycle") or {}).get(name)


def grace_period(run: PodRun) -> float:
    """Seconds that a container which is to restart is given to end by itself."""
    return float(meta.spec(run.pod).get("terminationGracePeriodSeconds") or 0)
