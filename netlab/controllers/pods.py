"""What the workload controllers ask of pods: alive, ready, available; and pods from templates."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from netlab.client.informer import Informer
from netlab.objects import meta
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.times import seconds
from netlab.objects.types import AnyKind, ObjectMeta, Pod, PodTemplateSpec, Workload


def active(informer: Informer[Pod], pods: Iterable[Pod]) -> list[Pod]:
    """Those that are neither finished nor on their way out; `informer` is the pods' own."""
    return [pod for pod in pods if not is_pod_terminal(pod) and not informer.is_going(pod)]


def min_ready_seconds(owner: Workload) -> int:
    """How long the owner wants a pod to be ready before it counts as available."""
    return owner["spec"].get("minReadySeconds") or 0


def index_by_node(informer: Informer[Pod]) -> None:
    """Index "node": the name of the node that an unfinished pod is bound to."""
    informer.add_index("node", on_node)


def on_node(pod: Pod) -> Iterable[str]:
    """The node's name, once, if the pod is bound and not finished."""
    node = meta.spec(pod).get("nodeName")
    return (node,) if node and not is_pod_terminal(pod) else ()


def ready_since(pod: Pod) -> float | None:
    """When the pod last became ready (seconds since the epoch), or None while it is not."""
    entry = meta.condition(pod, "Ready")
    if entry is None or entry.get("status") != "True":
        return None
    return seconds(entry.get("lastTransitionTime"))


def is_available(pod: Pod, min_ready_seconds: int, now: float) -> bool:
    """Ready, and for at least that long."""
    if not min_ready_seconds:
        return meta.is_ready(pod)
    since = ready_since(pod)
    return since is not None and since + min_ready_seconds <= now


def seconds_to_available(pods: Iterable[Pod], min_ready_seconds: int, now: float) -> float | None:
    """Seconds until the next of these pods becomes available by mere waiting; None if none will."""
    waits = [
        since + min_ready_seconds - now
        for pod in pods
        if min_ready_seconds and (since := ready_since(pod)) is not None
    ]
    return min((wait for wait in waits if wait > 0), default=None)


def from_template(template: PodTemplateSpec, owner: AnyKind, name: str = "") -> Pod:
    """A pod of the owner's template: named `name`, or `<owner>-<5 random>` by the API server."""
    given = template.get("metadata") or {}
    metadata: ObjectMeta = {
        "namespace": meta.namespace(owner),
        "ownerReferences": [meta.owner_reference(owner)],
    }
    if name:
        metadata["name"] = name
    else:
        metadata["generateName"] = f"{meta.name(owner)}-"
    for field in ("labels", "annotations", "finalizers"):
        if given.get(field):
            metadata[field] = copy.deepcopy(given[field])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": copy.deepcopy(template["spec"]),
    }
