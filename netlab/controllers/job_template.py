"""The pods that a Job makes of its template, and which of them are too many. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.controllers import job_pods as counting
from netlab.controllers import pods as podlib
from netlab.controllers.job_pods import Tally
from netlab.controllers.replicaset import deletion_rank
from netlab.objects import meta
from netlab.objects.kinds.batch import JOB_TRACKING
from netlab.objects.types import Container, Job, ObjectFieldSelector, Pod


def surplus(job: Job, found: Tally) -> list[Pod]:
    """The pods at work that are too many, in the order in which they go."""
    ranked = sorted(found.active, key=lambda pod: deletion_rank(pod, 0))
    useless = _useless(job, ranked) if counting.is_indexed(job) else []
    more = len(ranked) - len(useless) - counting.wanted_active(job, found)
    rest = [pod for pod in ranked if pod not in useless]
    return [*useless, *rest[: max(0, more)]]


def _useless(job: Job, ranked: Sequence[Pod]) -> list[Pod]:
    """Those whose index another one has, or nobody wants."""
    count = meta.spec(job).get("completions") or 0
    taken: set[int] = set()
    useless = []
    for pod in reversed(ranked):
        index = counting.index_of(pod)
        if index is None or index >= count or index in taken:
            useless.append(pod)
        else:
            taken.add(index)
    return useless


def new_pod(job: Job) -> Pod:
    """A pod that is to be counted."""
    pod = podlib.from_template(meta.spec(job)["template"], job)
    held = pod["metadata"].setdefault("finalizers", [])
    if JOB_TRACKING not in held:
        held.append(JOB_TRACKING)
    return pod


def indexed_pod(job: Job, index: int, failed: Pod | None) -> Pod:
    """The pod for an index: it is told its number, and how often the index `failed` so far."""
    pod = new_pod(job)
    metadata, spec = pod["metadata"], pod["spec"]
    metadata["generateName"] = f"{meta.name(job)}-{index}-"
    metadata.setdefault("annotations", {})[counting.INDEX] = str(index)
    metadata.setdefault("labels", {})[counting.INDEX] = str(index)
    if counting.counts_by_index(job):
        before = counting.index_failures(job, failed) if failed else 0
        metadata["annotations"][counting.INDEX_FAILURES] = str(before)
    spec["hostname"] = f"{meta.name(job)}-{index}"
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        _tell_index(container)
    return pod


def _tell_index(container: Container) -> None:
    env = container.setdefault("env", [])
    if all(one["name"] != counting.INDEX_VARIABLE for one in env):
        field: ObjectFieldSelector = {"fieldPath": f"metadata.labels['{counting.INDEX}']"}
        env.append({"name": counting.INDEX_VARIABLE, "valueFrom": {"fieldRef": field}})
