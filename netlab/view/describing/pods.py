"""Pods and pod templates as `kubectl describe` shows them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netlab.objects import meta
from netlab.objects.kinds.pods import POD
from netlab.objects.qos import qos_class
from netlab.objects.types import Pod
from netlab.view.describing import described
from netlab.view.describing.containers import containers, volumes
from netlab.view.describing.described import Description, Lines, Related


def pod(obj: Pod, related: Related) -> Lines:
    """A Pod: where it runs, its containers and their states, its conditions."""
    spec = meta.spec(obj)
    yield from described.name_lines(obj)
    yield from _placement(obj)
    yield from described.label_lines(obj)
    yield from described.annotation_lines(obj)
    yield from _status(obj, related.now)
    yield from _addresses(obj)
    yield from described.controlled_by(obj)
    if spec.get("initContainers"):
        yield from containers("Init Containers", spec["initContainers"], pod=obj)
    yield from containers("Containers", spec["containers"], pod=obj)
    if spec.get("ephemeralContainers"):
        yield from containers("Ephemeral Containers", spec["ephemeralContainers"], pod=obj)
    yield from _conditions(obj)
    yield from volumes(spec.get("volumes") or [])
    yield f"QoS Class:\t{meta.status(obj).get('qosClass') or qos_class(spec)}"
    yield from described.pairs("Node-Selectors", spec.get("nodeSelector") or {})
    yield from described.tolerations(spec.get("tolerations") or [])
    yield from described.events(related)


def _placement(obj: Pod) -> Lines:
    spec, status = meta.spec(obj), meta.status(obj)
    if spec.get("priority") is not None:
        yield f"Priority:\t{spec['priority']}"
    if spec.get("priorityClassName"):
        yield f"Priority Class Name:\t{spec['priorityClassName']}"
    if spec.get("serviceAccountName"):
        yield f"Service Account:\t{spec['serviceAccountName']}"
    node = f"{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else "<none>"
    yield f"Node:\t{node}"
    if status.get("startTime"):
        yield f"Start Time:\t{described.moment(status['startTime'])}"


def _status(obj: Pod, now: float) -> Lines:
    status = meta.status(obj)
    if meta.is_terminating(obj):
        lasts = described.age(obj["metadata"]["deletionTimestamp"], now)
        yield f"Status:\tTerminating (lasts {lasts})"
        grace = obj["metadata"].get("deletionGracePeriodSeconds", 0)
        yield f"Termination Grace Period:\t{grace}s"
    else:
        yield f"Status:\t{status.get('phase', '')}"
    for field in ("reason", "message"):
        if status.get(field):
            yield f"{field.capitalize()}:\t{status[field]}"


def _addresses(obj: Pod) -> Lines:
    status = meta.status(obj)
    yield f"IP:\t{status.get('podIP', '')}"
    found = status.get("podIPs") or []
    yield "IPs:" if found else "IPs:\t<none>"
    yield from (f"  IP:\t{entry['ip']}" for entry in found)


def _conditions(obj: Pod) -> Lines:
    found = meta.status(obj).get("conditions") or []
    if found:
        yield "Conditions:"
        yield "  Type\tStatus"
        yield from (f"  {entry['type']} \t{entry['status']} " for entry in found)


def template(of: Mapping[str, Any]) -> Lines:
    """The pod template of a workload."""
    spec, metadata = of.get("spec") or {}, of.get("metadata") or {}
    yield "Pod Template:"
    yield from described.pairs("  Labels", metadata.get("labels") or {})
    if metadata.get("annotations"):
        yield from described.annotation_lines({"metadata": metadata}, "  Annotations")
    if spec.get("serviceAccountName"):
        yield f"  Service Account:\t{spec['serviceAccountName']}"
    if spec.get("initContainers"):
        yield from containers("Init Containers", spec["initContainers"], indent="  ")
    yield from containers("Containers", spec.get("containers") or [], indent="  ")
    yield from volumes(spec.get("volumes") or [], "  ")
    if spec.get("priorityClassName"):
        yield f"  Priority Class Name:\t{spec['priorityClassName']}"
    yield from described.pairs("  Node-Selectors", spec.get("nodeSelector") or {})
    yield from described.tolerations(spec.get("tolerations") or [], "  Tolerations")


DESCRIPTIONS = {POD: Description(pod)}
