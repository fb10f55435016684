"""How a Pod prints. The STATUS column is a story of its own.

Source of the rules: kubernetes pkg/printers/internalversion/printers.go, printPod.
"""

from __future__ import annotations

from collections.abc import Sequence

from netlab.api.printing.cells import (
    AGE,
    NAME,
    NONE,
    Cell,
    Column,
    Printer,
    Since,
    age,
    wide,
)
from netlab.objects.kinds.pods import POD
from netlab.objects.meta import condition, is_ready, is_terminating, spec, status
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.times import parse_time
from netlab.objects.types import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStatus,
    Pod,
    PodStatus,
)

Status = ContainerStatus


def pod_cells(pod: Pod) -> list[Cell]:
    """NAME READY STATUS RESTARTS AGE, and IP NODE NOMINATED NODE READINESS GATES."""
    ready, total = ready_counts(pod)
    return [
        pod["metadata"]["name"],
        f"{ready}/{total}",
        pod_status(pod),
        restarts(pod),
        age(pod),
        _ip(status(pod)),
        spec(pod).get("nodeName") or NONE,
        status(pod).get("nominatedNodeName") or NONE,
        _readiness_gates(pod),
    ]


def pod_status(pod: Pod) -> str:
    """One word for how the pod fares: `Running`, `ContainerCreating`, `CrashLoopBackOff`, …"""
    if is_terminating(pod):
        if status(pod).get("reason") == "NodeLost":
            return "Unknown"
        if not is_pod_terminal(pod):
            return "Terminating"
    return _init_reason(pod) or _main_reason(pod)


def ready_counts(pod: Pod) -> tuple[int, int]:
    """(ready containers, containers), sidecars among the init containers counted too."""
    sidecars = _sidecar_names(pod)
    total = len(spec(pod).get("containers") or []) + len(sidecars)
    ready = sum(1 for entry in _statuses(pod) if _runs_ready(entry))
    for entry in _statuses(pod, init=True):
        if entry["name"] in sidecars and entry.get("started") and entry.get("ready"):
            ready += 1
    return ready, total


def restarts(pod: Pod) -> Cell:
    """`0`, or `3 (5m ago)` once the time of the last restart is known."""
    entries = [entry for entry in _statuses(pod, init=True) if entry["name"] in _sidecar_names(pod)]
    entries += _statuses(pod)
    if _init_reason(pod):
        entries = _statuses(pod, init=True)
    total = sum(int(entry.get("restartCount") or 0) for entry in entries)
    ends = [moment for entry in entries if (moment := _last_end(entry)) is not None]
    if not total or not ends:
        return str(total)
    return Since(max(ends), before=f"{total} (", after=" ago)")


def _last_end(entry: Status) -> float | None:
    terminated = (entry.get("lastState") or {}).get("terminated")
    return parse_time(terminated.get("finishedAt")) if terminated else None


def _statuses(pod: Pod, *, init: bool = False) -> list[Status]:
    return status(pod).get("initContainerStatuses" if init else "containerStatuses") or []


def _state(entry: Status) -> ContainerState:
    """With its `waiting`, `running` or `terminated` part; present-but-empty counts as present."""
    return entry.get("state") or {}


def _runs_ready(entry: Status) -> bool:
    return bool(entry.get("ready")) and _state(entry).get("running") is not None


def _sidecar_names(pod: Pod) -> set[str]:
    inits = spec(pod).get("initContainers") or []
    return {c["name"] for c in inits if c.get("restartPolicy") == "Always"}


def _init_reason(pod: Pod) -> str:
    """`Init:0/2`, `Init:Error`, …; "" once initialization is over."""
    initialized = condition(pod, "Initialized")
    if initialized and initialized.get("status") == "True":
        return ""
    total = len(spec(pod).get("initContainers") or [])
    for index, entry in enumerate(_statuses(pod, init=True)):
        if not _init_done(pod, entry):
            return f"Init:{_init_trouble(entry) or f'{index}/{total}'}"
    return ""


def _init_done(pod: Pod, entry: Status) -> bool:
    terminated = _state(entry).get("terminated")
    if terminated is not None and not terminated.get("exitCode"):
        return True
    return entry["name"] in _sidecar_names(pod) and bool(entry.get("started"))


def _init_trouble(entry: Status) -> str:
    terminated, waiting = _state(entry).get("terminated"), _state(entry).get("waiting")
    if terminated is not None:
        return terminated.get("reason") or _exit_words(terminated)
    reason = (waiting or {}).get("reason") or ""
    return "" if reason == "PodInitializing" else reason


def _main_reason(pod: Pod) -> str:
    reason = status(pod).get("reason") or _scheduling_gated(pod)
    reason = str(reason or status(pod).get("phase") or "Unknown")
    reason = _container_reason(_statuses(pod)) or reason
    if reason == "Completed" and any(_runs_ready(entry) for entry in _statuses(pod)):
        return "Running" if is_ready(pod) else "NotReady"
    return reason


def _container_reason(entries: Sequence[Status]) -> str:
    """The first container that is not running speaks for the pod."""
    for entry in entries:
        waiting, terminated = _state(entry).get("waiting"), _state(entry).get("terminated")
        if waiting and waiting.get("reason"):
            return waiting["reason"]
        if terminated is not None:
            return terminated.get("reason") or _exit_words(terminated)
    return ""


def _exit_words(terminated: ContainerStateTerminated) -> str:
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _scheduling_gated(pod: Pod) -> str:
    scheduled = condition(pod, "PodScheduled")
    gated = scheduled is not None and scheduled.get("reason") == "SchedulingGated"
    return "SchedulingGated" if gated else ""


def _ip(of: PodStatus) -> str:
    ips = of.get("podIPs") or []
    return (ips[0].get("ip") if ips else "") or of.get("podIP") or NONE


def _readiness_gates(pod: Pod) -> str:
    gates = spec(pod).get("readinessGates") or []
    if not gates:
        return NONE
    known = [condition(pod, gate["conditionType"]) for gate in gates]
    met = sum(one is not None and one.get("status") == "True" for one in known)
    return f"{met}/{len(gates)}"


PRINTERS = {
    POD: Printer(
        (
            NAME,
            Column("Ready"),
            Column("Status"),
            Column("Restarts"),
            AGE,
            wide("IP"),
            wide("Node"),
            wide("Nominated Node"),
            wide("Readiness Gates"),
        ),
        pod_cells,
    ),
}
