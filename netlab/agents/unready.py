"""Which pods are not ready though they should be, and which of them waiting will not help."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from netlab.agents.lifecycle import restarts
from netlab.agents.podrun import PodRun
from netlab.agents.podstatus import ContainerState, unmet_gates
from netlab.objects.podphase import is_pod_terminal

STARTING = ("ContainerCreating", "PodInitializing")
"""What a container waits for that passes by itself."""

STEADY = 1.0
"""Seconds that a container must run after a crash until it is believed to be ready."""

CRASHES = 3
"""Crashes in a row after which nobody expects a container to do better the next time."""


def unready(runs: Iterable[PodRun]) -> Iterator[tuple[str, bool]]:
    """The key of each pod that should be ready and is not; True if waiting will not help."""
    for run in runs:
        if run.stopping or is_pod_terminal(run.pod):
            continue
        states = _unready_states(run)
        if states or unmet_gates(run.pod):
            yield run.key, any(not _passes(state) for state in states)


def _unready_states(run: PodRun) -> list[ContainerState]:
    """What of a pod is not as it should be: its next init container, or its containers."""
    for states in (run.inits.values(), run.containers.values()):
        unready = [state for state in states if not _is_steady(state) and not _is_over(run, state)]
        if unready:
            return unready
    return []


def _is_steady(state: ContainerState) -> bool:
    """Ready, and not just between two crashes."""
    return state.ready and not (state.crashes and time.monotonic() - state.begun < STEADY)


def _passes(state: ContainerState) -> bool:
    """Whether a container may become ready without somebody doing something."""
    if state.waiting == "CrashLoopBackOff":
        return state.crashes < CRASHES
    return not state.waiting or (state.waiting in STARTING and not state.message)


def _is_over(run: PodRun, state: ContainerState) -> bool:
    """True once a container has ended for good; one that is about to be run again has not."""
    if state.exit_code is None or state.waiting:
        return False
    return not restarts(run, state.name, state.exit_code)
