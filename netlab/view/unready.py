"""Why a pod is not ready: one line that says what a person needs to know. Pure.

Read from the pod's status and its Events, as `kubectl describe` shows them; the last line that a
container wrote is for the caller to get.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from netlab.objects import meta
from netlab.objects.types import (
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Event,
    Pod,
)

PROBES = ("Startup probe", "Readiness probe", "Liveness probe")


def why(pod: Pod, events: Iterable[Event] = (), said: str = "") -> str:
    """The reason, or "" for a pod that is ready or has done its work.

    `events` are the pod's own, `said` is the last line of the container that `culprit` names.
    """
    status, warnings = meta.status(pod), _warnings(events)
    if meta.is_terminating(pod):
        return "it is being deleted"
    if status.get("phase") == "Succeeded" or meta.is_ready(pod):
        return ""
    if not meta.spec(pod).get("nodeName"):
        scheduled = meta.condition(pod, "PodScheduled")
        message = scheduled and scheduled.get("message")
        return f"cannot be scheduled: {message}" if message else "not scheduled yet"
    if status.get("phase") == "Failed" and status.get("reason"):
        return f"failed: {_joined(status['reason'], status.get('message'))}"
    first = next(_unready(pod), None)
    return _of_container(*first, warnings, said) if first else _of_the_whole(pod, warnings)


def culprit(pod: Pod) -> tuple[str, bool] | None:
    """The container whose end is why, and whether it has been run again since: its last line is in
    the log of the run before, then. None if none has ended."""
    found = next(_unready(pod), None)
    if found is None:
        return None
    _, entry = found
    state, last = entry.get("state") or {}, entry.get("lastState") or {}
    if "terminated" in state:
        return entry["name"], False
    return (entry["name"], "running" in state) if "terminated" in last else None


def _unready(pod: Pod) -> Iterator[tuple[bool, ContainerStatus]]:
    """(is it an init container, its status): the next one to be done, or those that should run."""
    status = meta.status(pod)
    for entry in status.get("initContainerStatuses") or []:
        if not entry.get("ready") and not _has_succeeded(entry):
            yield True, entry
            return
    for entry in status.get("containerStatuses") or []:
        if not entry.get("ready") and not _has_succeeded(entry):
            yield False, entry


def _has_succeeded(entry: ContainerStatus) -> bool:
    ended = (entry.get("state") or {}).get("terminated")
    return ended is not None and not ended.get("exitCode")


def _of_container(init: bool, entry: ContainerStatus, warnings: Sequence[Event], said: str) -> str:
    name = f"{'init ' if init else ''}container {entry['name']}"
    state = entry.get("state") or {}
    ended = state.get("terminated") or (entry.get("lastState") or {}).get("terminated")
    waiting = state.get("waiting") or {}
    if ended and (state.get("terminated") or waiting):
        crash = _crash(name, entry, ended, waiting, warnings)
        return f'{crash}; it last said: "{said}"' if said and said not in crash else crash
    if waiting:
        message = waiting.get("message") or _last(warnings, "")
        in_one_line = " ".join((message or "").split("\n")).rstrip()
        return f"{name}: {_joined(waiting.get('reason', 'waiting'), in_one_line)}"
    if init and not entry.get("started", True):
        return f"{name}: {_probed(warnings) or 'has not started up yet'}"
    if init:
        return f"{name} has not ended yet"
    return f"{name} runs and is not ready: {_probed(warnings) or 'no probe has answered yet'}"


def _crash(
    name: str,
    entry: ContainerStatus,
    ended: ContainerStateTerminated,
    waiting: ContainerStateWaiting,
    warnings: Sequence[Event],
) -> str:
    reason = waiting.get("reason") or ended.get("reason", "Error")
    count = entry["restartCount"]
    times = f", restarted {count} time{'s' * (count != 1)}" if count else ""
    text = f"{name}: {reason}: exit code {ended.get('exitCode')}{times}"
    cause = ended.get("message") or _last(warnings, "Failed") or _last(warnings, "Unhealthy")
    return f"{text}: {cause}" if cause else text


def _of_the_whole(pod: Pod, warnings: Sequence[Event]) -> str:
    ready = meta.condition(pod, "Ready")
    if ready and ready.get("reason") == "ReadinessGatesNotReady":
        return ready.get("message") or ""
    return _last(warnings, "") or "it is being started"


def _probed(warnings: Sequence[Event]) -> str:
    texts = [event.get("message", "") for event in warnings if event.get("reason") == "Unhealthy"]
    return next((text for text in texts if text.startswith(PROBES)), "")


def _last(warnings: Sequence[Event], reason: str) -> str:
    """The message of the latest warning, or of the latest for that reason."""
    return next(
        (event.get("message", "") for event in warnings if reason in ("", event.get("reason"))), ""
    )


def _warnings(events: Iterable[Event]) -> list[Event]:
    """The latest first."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    return sorted(warnings, key=_when, reverse=True)


def _when(event: Event) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or ""


def _joined(reason: str, message: object) -> str:
    return f"{reason}: {message}" if message else reason
