"""Pure: what a pod's `status` says, given what its containers do.

Shapes and words are the kubelet's (`phase`, `conditions`, `containerStatuses`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.objects.qos import qos_class


class ContainerState(Struct):
    """One container's life so far. Times are RFC 3339 strings, "" for never.

    `started` is False while a startup probe has not had its answer; `begun` is when it was started
    last, in seconds of the monotonic clock.
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
    last: dict[str, Any] | None = None

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

    def resume(self, known: Mapping[str, Any]) -> None:
        """Go on from an entry of `status.containerStatuses`, as a former agent left it."""
        state = known.get("state") or {}
        self.last = (known.get("lastState") or {}).get("terminated")
        over = state.get("terminated") or (self.last if state.get("waiting") else None)
        begun = state.get("running") or over
        if not begun:
            return
        container_id = str(begun.get("containerID") or known.get("containerID") or "")
        self.begin(str(begun.get("startedAt") or ""), container_id.removeprefix("netlab://"))
        self.started = bool(known.get("started")) or not state.get("running")
        if over:
            self.end(str(over.get("finishedAt") or ""), int(over.get("exitCode") or 0))
            self.reason = str(over.get("reason") or "")
            self.message = str(over.get("message") or "")
        if waiting := state.get("waiting"):
            self.waiting = str(waiting.get("reason") or "ContainerCreating")
            self.message = str(waiting.get("message") or "")
        self.ready = bool(known.get("ready"))

    def remember(self) -> None:
        """How it ended becomes its last state."""
        self.last = self._terminated()

    def wait(self, reason: str, message: str) -> None:
        """The container cannot run yet, or not again yet; remembers how it ended."""
        if self.exit_code is not None and not self.waiting:
            self.remember()
        self.waiting, self.message, self.ready = reason, message, False

    def status(self) -> dict[str, Any]:
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

    def _state(self) -> dict[str, Any]:
        if self.waiting:
            waiting = {"reason": self.waiting}
            return {"waiting": {**waiting, "message": self.message} if self.message else waiting}
        if self.exit_code is not None:
            return {"terminated": self._terminated()}
        return {"running": {"startedAt": self.started_at}}

    def _terminated(self) -> dict[str, Any]:
        return {
            "exitCode": self.exit_code,
            "reason": self.reason,
            **({"message": self.message} if self.message else {}),
            "startedAt": self.started_at,
            "finishedAt": self.finished_at,
            "containerID": f"netlab://{self.container_id}",
        }


def restart_policy(pod: Object) -> str:
    """`spec.restartPolicy`, Always by default."""
    return str(meta.spec(pod).get("restartPolicy") or "Always")


def phase(
    pod: Object, containers: Sequence[ContainerState], inits: Sequence[ContainerState] = ()
) -> str:
    """Pending until every container ran once; Succeeded or Failed once none will run again."""
    if restart_policy(pod) == "Never" and any(init.exit_code for init in inits):
        return "Failed"
    if any(not container.started_at for container in containers):
        return "Pending"
    over = [container.exit_code is not None and not container.waiting for container in containers]
    if not all(over):
        return "Running"
    failed = any(container.exit_code for container in containers)
    policy = restart_policy(pod)
    if policy == "Always" or (policy == "OnFailure" and failed):
        return "Running"
    return "Failed" if failed else "Succeeded"


def compute(
    pod: Object,
    containers: Sequence[ContainerState],
    inits: Sequence[ContainerState] = (),
    *,
    host_ips: Sequence[str],
    pod_ips: Sequence[str],
    now: str,
    failure: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """The whole `status`, keeping what others wrote (PodScheduled) and the times of no change.

    `failure` (reason, message) makes the pod Failed, whatever its containers did.
    """
    current = "Failed" if failure else phase(pod, containers, inits)
    contained = current == "Running" and all(container.ready for container in containers)
    gates = unmet_gates(pod)
    ready = contained and not gates
    over = current in ("Succeeded", "Failed")
    unready = {
        "reason": "PodCompleted" if over else "ContainersNotReady",
        "message": "" if over else _unready_message(containers),
    }
    ungated = unready if not contained else _gates_unmet(gates)
    waiting_inits = [init.name for init in inits if init.exit_code != 0 and not init.ready]
    conditions = [
        _condition("PodReadyToStartContainers", bool(pod_ips) and not over),
        _condition("Initialized", not waiting_inits, **_uninitialized(waiting_inits)),
        _condition("Ready", ready, **ungated),
        _condition("ContainersReady", contained, **unready),
        _condition("PodScheduled", True),
    ]
    return {
        "phase": current,
        **({"reason": failure[0], "message": failure[1]} if failure else {}),
        "conditions": [
            *(_with_time(pod, condition, now) for condition in conditions),
            *foreign_conditions(pod, {condition["type"] for condition in conditions}),
        ],
        "hostIP": host_ips[0] if host_ips else None,
        "hostIPs": [{"ip": address} for address in host_ips],
        "podIP": pod_ips[0] if pod_ips else None,
        "podIPs": [{"ip": address} for address in pod_ips],
        "startTime": meta.status(pod).get("startTime") or now,
        "initContainerStatuses": [init.status() for init in inits],
        "containerStatuses": [container.status() for container in containers],
        "qosClass": qos_class(meta.spec(pod)),
    }


def unmet_gates(pod: Object) -> list[str]:
    """The condition types of `spec.readinessGates` that somebody has yet to set to True."""
    gates = [gate["conditionType"] for gate in meta.spec(pod).get("readinessGates") or []]
    return [gate for gate in gates if (meta.condition(pod, gate) or {}).get("status") != "True"]


def foreign_conditions(pod: Object, own: set[str]) -> list[dict[str, Any]]:
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


def _condition(type_: str, true: bool, reason: str = "", message: str = "") -> dict[str, Any]:
    condition: dict[str, Any] = {"type": type_, "status": "True" if true else "False"}
    if not true:
        condition |= {k: v for k, v in (("reason", reason), ("message", message)) if v}
    return condition


def _with_time(pod: Object, condition: dict[str, Any], now: str) -> dict[str, Any]:
    before = meta.condition(pod, condition["type"])
    same = before is not None and before.get("status") == condition["status"]
    since = before.get("lastTransitionTime") if before is not None and same else now
    return {**condition, "lastProbeTime": None, "lastTransitionTime": since}
