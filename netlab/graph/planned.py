"""What files say, as a picture, where no lab is among them: workloads, Services over them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from netlab.diagnosis.facts import count
from netlab.graph.model import Arrow, Box, Picture
from netlab.graph.topology import is_drawn, service_box
from netlab.objects import meta, selectors
from netlab.objects.kinds import pod_of
from netlab.objects.meta import Object

_WORKLOADS = (
    "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job",
    "CronJob", "Pod",
)  # fmt: skip


def planned(objects: Sequence[Object]) -> Picture:
    """The picture of files that have no lab."""
    named: list[Any] = [one for one in objects if one["kind"] == "Service"]
    services = [one for one in named if is_drawn(one)]
    workloads = [one for one in objects if one["kind"] in _WORKLOADS]
    found = tuple(map(service_box, services))
    return Picture(
        "",
        boxes=(*map(_box, workloads), *found),
        arrows=tuple(_selected(workloads, services)),
        last=tuple(box.key for box in found),
    )


def _box(workload: Object) -> Box:
    space = meta.namespace(workload)
    name = meta.name(workload) if space == "default" else f"{space}/{meta.name(workload)}"
    return Box(_key(workload), (name, ", ".join(_said(workload))), "pod")


def _said(workload: Object) -> Iterator[str]:
    kind, spec = workload["kind"], workload.get("spec") or {}
    if kind == "DaemonSet":
        yield "DaemonSet, one on each node"
    elif kind in ("Job", "CronJob", "Pod"):
        yield kind
    else:
        replicas = spec.get("replicas")
        yield f"{kind}, {count(1 if replicas is None else replicas, 'pod')}"
    node = (pod_of(workload).get("spec") or {}).get("nodeName")
    if node:
        yield f"on {node}"


def _key(workload: Object) -> str:
    return f"{workload['kind']} {meta.namespace(workload)}/{meta.name(workload)}"


def _selected(workloads: Sequence[Object], services: Sequence[Any]) -> Iterator[Arrow]:
    for service in services:
        selector = meta.spec(service).get("selector")
        wanted = selectors.of_pods(service)
        for workload in workloads if selector else ():
            labels = (pod_of(workload).get("metadata") or {}).get("labels") or {}
            same = meta.namespace(workload) == meta.namespace(service)
            if same and wanted.matches(labels):
                yield Arrow(_key(workload), f"service {meta.key(service)}", kind="backs")
