"""Pure: what a pod's `status` says, given what its containers do.

Shapes and words are the kubelet's (`phase`, `conditions`, `containerStatuses`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

from netlab.objects import meta, types
from netlab.objects.podphase import is_pod_phase_terminal
from netlab.objects.qos import qos_class
from netlab.objects.types import (
    Container,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    EphemeralContainer,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    VolumeMount,
    VolumeMountStatus,
)

Phase = Literal["Failed", "Pending", "Running", "Succeeded"]
RestartPolicy = Literal["Always", "Never", "OnFailure"]

_NOT_LOCATED = "The container could not be located when the pod was terminated"


class ContainerState(Struct):
    """One container's life so far. Times are RFC 3339 strings, "" for never.

    `started` is False while a startup probe has not had its answer; `begun` is when it was started
    last, in seconds of the monotonic clock, `services_seen` how many Services had come by then.
    """

    name: str
    image: str
    container_id: str = ""
    started_at: str = ""
    finished_at: str = ""
    exit_code: int | None = None
    reason: str = ""
    waiting: str = "ContainerCreating"
    message: str = ""
    restarts: int = 0
    crashes: int = 0
    ready: bool = False
    started: bool = True
    begun: float = 0.0
    services_seen: int | None = None
    last: ContainerStateTerminated | None = None

    @property
    def running(self) -> bool:
        """True between start and exit."""
        return bool(self.started_at) and self.exit_code is None and not self.waiting

    def begin(self, now: str, container_id: str) -> None:
        """The container runs from now on."""
        self.started_at, self.container_id, self.begun = now, container_id, time.monotonic()
        self.exit_code, self.waiting, self.message, self.reason = None, "", "", ""

    def end(self, now: str, exit_code: int) -> None:
        """The container's process has ended."""
        self.finished_at, self.exit_code, self.ready = now, exit_code, False
        self.reason = "Completed" if exit_code == 0 else "Error"

    def resume(self, known: ContainerStatus) -> None:
        """Go on from an entry of `status.containerStatuses`, as a former agent left it."""
        state = known.get("state") or {}
        self.last = (known.get("lastState") or {}).get("terminated")
        over = state.get("terminated") or (self.last if state.get("waiting") else None)
        begun = state.get("running") or over
        if not begun:
            return
        container_id = (over and over.get("containerID")) or known.get("containerID") or ""
        self.begin(begun.get("startedAt") or "", container_id.removeprefix("netlab://"))
        self.started = bool(known.get("started")) or not state.get("running")
        if over:
            self.end(over.get("finishedAt") or "", over["exitCode"])
            self.reason = over.get("reason") or ""
            self.message = over.get("message") or ""
        if waiting := state.get("waiting"):
            self.waiting = waiting.get("reason") or "ContainerCreating"
            self.message = waiting.get("message") or ""
        self.ready = bool(known.get("ready"))

    def remember(self) -> None:
        """How it ended becomes its last state."""
        self.last = self._terminated()

    def vanish(self) -> None:
        """The pod is over for good, and no end of this start is known: the kubelet's default."""
        self.started_at = self.finished_at = self.waiting = ""
        self.exit_code, self.ready = 137, False
        self.reason, self.message = "ContainerStatusUnknown", _NOT_LOCATED

    def wait(self, reason: str, message: str) -> None:
        """The container cannot run yet, or not again yet; remembers how it ended."""
        if self.exit_code is not None and not self.waiting:
            self.remember()
        self.waiting, self.message, self.ready = reason, message, False

    def status(self) -> ContainerStatus:
        """The entry of `status.containerStatuses`."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "containerID": f"netlab://{self.container_id}" if self.container_id else "",
            "ready": self.ready,
            "started": self.running and self.started,
            "restartCount": self.restarts,
            "state": self._state(),
            "lastState": {"terminated": self.last} if self.last else {},
        }

    def _state(self) -> types.ContainerState:
        if self.waiting:
            waiting: ContainerStateWaiting = {"reason": self.waiting}
            return {"waiting": {**waiting, "message": self.message} if self.message else waiting}
        if self.exit_code is not None:
            return {"terminated": self._terminated()}
        return {"running": {"startedAt": self.started_at}}

    def _terminated(self) -> ContainerStateTerminated:
        ended: ContainerStateTerminated = {
            "exitCode": self.exit_code or 0,
            "reason": self.reason,
        }
        if self.started_at:
            ended["startedAt"], ended["finishedAt"] = self.started_at, self.finished_at
            ended["containerID"] = f"netlab://{self.container_id}"
        return {**ended, "message": self.message} if self.message else ended


def restart_policy(pod: Pod) -> RestartPolicy:
    """`spec.restartPolicy`, Always by default."""
    return meta.spec(pod).get("restartPolicy") or "Always"


def phase(
    pod: Pod,
    containers: Sequence[ContainerState],
    inits: Sequence[ContainerState] = (),
    *,
    final: bool = False,
) -> Phase:
    """Pending until every container ran once; Succeeded or Failed once none will run again, which
    in the end (`final`) is so whatever the restart policy."""
    if (final or restart_policy(pod) == "Never") and any(init.exit_code for init in inits):
        return "Failed"
    if final and any(container.exit_code is None for container in containers):
        return "Failed"
    if not final and any(not container.started_at for container in containers):
        return "Pending"
    over = [container.exit_code is not None and not container.waiting for container in containers]
    if not all(over):
        return "Running"
    failed = any(container.exit_code for container in containers)
    policy = "Never" if final else restart_policy(pod)
    if policy == "Always" or (policy == "OnFailure" and failed):
        return "Running"
    return "Failed" if failed else "Succeeded"


def compute(
    pod: Pod,
    containers: Sequence[ContainerState],
    inits: Sequence[ContainerState] = (),
    ephemeral: Sequence[ContainerState] = (),
    *,
    host_ips: Sequence[str],
    pod_ips: Sequence[str],
    now: str,
    failure: tuple[str, str] | None = None,
    final: bool = False,
) -> dict[str, Any]:
    """The whole `status`, keeping what others wrote (PodScheduled) and the times of no change; null
    for what it has not, or no more. The `final` one of a pod that goes says how it ended.

    `failure` (reason, message) makes the pod Failed, whatever its containers did.
    """
    current: Phase = "Failed" if failure else phase(pod, containers, inits, final=final)
    conditions = _conditions(pod, current, containers, inits, is_attached=bool(pod_ips))
    status: PodStatus = {
        "phase": current,
        "conditions": [
            *(_with_time(pod, condition, now) for condition in conditions),
            *foreign_conditions(pod, {condition["type"] for condition in conditions}),
        ],
        "hostIPs": [{"ip": address} for address in host_ips],
        "podIPs": [{"ip": address} for address in pod_ips],
        "startTime": meta.status(pod).get("startTime") or now,
        **_container_statuses(meta.spec(pod), containers, inits, ephemeral),
        "qosClass": qos_class(meta.spec(pod)),
    }
    if failure:
        status["reason"], status["message"] = failure
    if host_ips:
        status["hostIP"] = host_ips[0]
    if pod_ips:
        status["podIP"] = pod_ips[0]
    return {"hostIP": None, "podIP": None, "initContainerStatuses": None, **status}


def _container_statuses(
    spec: PodSpec,
    containers: Sequence[ContainerState],
    inits: Sequence[ContainerState],
    ephemeral: Sequence[ContainerState],
) -> PodStatus:
    """Of each sort that the pod has."""
    found: PodStatus = {"containerStatuses": list(_entries(containers, spec.get("containers")))}
    if inits:
        found["initContainerStatuses"] = list(_entries(inits, spec.get("initContainers")))
    if ephemeral:
        of_ephemeral = _entries(ephemeral, spec.get("ephemeralContainers"))
        found["ephemeralContainerStatuses"] = list(of_ephemeral)
    return found


def _conditions(
    pod: Pod,
    current: Phase,
    containers: Sequence[ContainerState],
    inits: Sequence[ContainerState],
    *,
    is_attached: bool,
) -> list[PodCondition]:
    contained = current == "Running" and all(container.ready for container in containers)
    gates = unmet_gates(pod)
    over = is_pod_phase_terminal(current)
    unready = {
        "reason": _OVER.get(current, "ContainersNotReady"),
        "message": "" if over else _unready_message(containers),
    }
    ungated = unready if not contained else _gates_unmet(gates)
    waiting_inits = [init.name for init in inits if init.exit_code != 0 and not init.ready]
    return [
        _condition("PodReadyToStartContainers", is_attached and not over),
        _initialized(waiting_inits, current),
        _condition("Ready", contained and not gates, **ungated),
        _condition("ContainersReady", contained, **unready),
        _condition("PodScheduled", True),
    ]


def _entries(
    states: Sequence[ContainerState], specs: Sequence[Container | EphemeralContainer] | None
) -> Iterator[ContainerStatus]:
    """How containers are, and what of their specs has been put into effect."""
    by_name = {spec["name"]: spec for spec in specs or ()}
    for state in states:
        entry, spec = state.status(), by_name.get(state.name)
        if spec is not None and spec.get("volumeMounts"):
            entry["volumeMounts"] = [_mounted(mount) for mount in spec["volumeMounts"]]
        if spec is not None and state.container_id:
            entry["resources"] = spec.get("resources") or {}
            if requests := entry["resources"].get("requests"):
                entry["allocatedResources"] = requests
        yield entry


def _mounted(mount: VolumeMount) -> VolumeMountStatus:
    status: VolumeMountStatus = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if not mount.get("readOnly"):
        return status
    recursive = mount.get("recursiveReadOnly") in ("Enabled", "IfPossible")
    return {**status, "readOnly": True, "recursiveReadOnly": "Enabled" if recursive else "Disabled"}


_OVER = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}
"""Why a pod that is over is not ready."""


def _initialized(waiting: Sequence[str], current: Phase) -> PodCondition:
    """Of a pod that has succeeded, so has all that comes before it."""
    if current == "Succeeded":
        return {"type": "Initialized", "status": "True", "reason": _OVER[current]}
    return _condition("Initialized", not waiting, **_uninitialized(waiting))


def unmet_gates(pod: Pod) -> list[str]:
    """The condition types of `spec.readinessGates` that somebody has yet to set to True."""
    gates = [gate["conditionType"] for gate in meta.spec(pod).get("readinessGates") or []]
    known = meta.status(pod).get("conditions") or []
    met = {condition["type"] for condition in known if condition.get("status") == "True"}
    return [gate for gate in gates if gate not in met]


def foreign_conditions(pod: Pod, own: set[str]) -> list[PodCondition]:
    """The pod's conditions that are not the kubelet's to write."""
    known = meta.status(pod).get("conditions") or []
    return [condition for condition in known if condition.get("type") not in own]


def _gates_unmet(gates: Sequence[str]) -> dict[str, str]:
    text = ", ".join(
        f'corresponding condition of pod readiness gate "{gate}" does not exist.' for gate in gates
    )
    return {"reason": "ReadinessGatesNotReady", "message": text}


def _uninitialized(names: Sequence[str]) -> dict[str, str]:
    return {
        "reason": "ContainersNotInitialized",
        "message": f"containers with incomplete status: [{' '.join(names)}]",
    }


def _unready_message(containers: Sequence[ContainerState]) -> str:
    names = " ".join(container.name for container in containers if not container.ready)
    return f"containers with unready status: [{names}]"


def _condition(type_: str, true: bool, reason: str = "", message: str = "") -> PodCondition:
    condition: PodCondition = {"type": type_, "status": "True" if true else "False"}
    if reason and not true:
        condition["reason"] = reason
    if message and not true:
        condition["message"] = message
    return condition


def _with_time(pod: Pod, condition: PodCondition, now: str) -> PodCondition:
    before = meta.condition(pod, condition["type"])
    same = before is not None and before.get("status") == condition["status"]
    since = before.get("lastTransitionTime", now) if before is not None and same else now
    return {**condition, "lastProbeTime": None, "lastTransitionTime": since}
