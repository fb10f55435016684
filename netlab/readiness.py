"""What a lab is at, and which of its pods are not as they should be: what `up` waits for.

Who asks may mean only what comes of some objects, such as those of a file. What somebody else has
put beside them is his own affair; the lab's own pods are everybody's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property

from netlab import waiting
from netlab.agents.loop import Working
from netlab.agents.pod_runtime import PodRuntime
from netlab.client.informer import Informers
from netlab.objects import bootstrap, meta
from netlab.objects.lab import Lab
from netlab.objects.types import Job, Pod, ReplicaSet

Of = Collection[str] | None
"""Uids of objects of which only what comes of them counts, beside the lab's own; None: all does."""


Identity = tuple[str, str]
"""A kind, and `namespace/name`."""


class Readiness:
    """Of one lab; nothing is known of it before all has `begun`."""

    def __init__(self, lab: Lab, informers: Informers) -> None:
        self._lab = lab
        self._informers = informers
        self._working: list[Working] = []
        self._pods: PodRuntime | None = None

    def begun(self, pods: PodRuntime, *others: Working) -> None:
        """These work now, the quickest to ask first."""
        self._pods = pods
        self._working[:0] = others

    def add(self, another: Working) -> None:
        """One that is needed only now."""
        self._working.append(another)

    def at_work(self, of: Of = None) -> Iterator[str]:
        """What is still being done, a line each; what is cheap to know comes first."""
        if self._pods is None:
            yield waiting.STARTING
            return
        for each in (*self._working, self._pods):
            yield from each.at_work()
        if any(not stuck and self._counts(key, of) for key, stuck in self._pods.unready()):
            yield "pods are getting ready"
        yield from self._what_pods_lack(self._pods.has_news(), of)

    def _what_pods_lack(self, news: bool, of: Of) -> Iterator[str]:
        """Lines while pods are not ready that may yet have what they lack: a Job beside them goes
        on, or a ConfigMap or Secret has just come."""
        jobs = self._informers["Job"].items()
        spaces = {meta.namespace(job) for job in jobs if _may_go_on(job)}
        unready = self.unready(of) if spaces or news else {}
        if any(key.partition("/")[0] in spaces for key in unready):
            yield "Jobs are at work"
        if news and unready:
            yield "pods look at what they are configured with"

    def unready(self, of: Of = None) -> dict[str, bool]:
        """The pods that should be ready and are not; True if waiting will not make them so."""
        if self._pods is None:
            return {}
        unready = dict(self._pods.unready())
        for pod in self._informers["Pod"].items():
            unplaced = not meta.spec(pod).get("nodeName") and meta.condition(pod, "PodScheduled")
            if unplaced or self._is_lost(pod):
                unready[meta.key(pod)] = True
        return {key: stuck for key, stuck in unready.items() if self._counts(key, of)}

    def _counts(self, key: str, of: Of) -> bool:
        """Whether it matters what becomes of that pod."""
        pod = self._informers["Pod"].get(key) if of is not None else None
        return (
            of is None
            or pod is None
            or any(uid in of or one in self._own for uid, one in self._line(pod))
        )

    def _line(self, pod: Pod) -> Iterator[tuple[str, Identity]]:
        """A pod and those that it comes of, up to the first: the uid, and which one it is."""
        space = meta.namespace(pod)
        yield meta.uid(pod), ("Pod", meta.key(pod))
        owner = meta.controller_of(pod)
        while owner is not None:
            key = f"{space}/{owner['name']}"
            yield owner["uid"], (owner["kind"], key)
            between = self._between(owner["kind"], key)
            owner = meta.controller_of(between) if between is not None else None

    def _between(self, kind: str, key: str) -> ReplicaSet | Job | None:
        """An object that stands between pods and who made it."""
        if kind == "ReplicaSet":
            return self._informers["ReplicaSet"].get(key)
        return self._informers["Job"].get(key) if kind == "Job" else None

    @cached_property
    def _own(self) -> frozenset[Identity]:
        """What the lab has of its own."""
        objects = bootstrap.control_plane_objects(self._lab)
        return frozenset((obj["kind"], meta.key(obj)) for obj in objects)

    def _is_lost(self, pod: Pod) -> bool:
        """Whether it has failed, and nobody makes another one: a controller does, but for a Job
        that has given up, or rests after a failure; and what a CronJob made is its own affair."""
        if meta.status(pod).get("phase") != "Failed":
            return False
        owner = meta.controller_of(pod)
        if owner is None or owner["kind"] != "Job":
            return owner is None
        from netlab.controllers import job_pods  # few labs have Jobs

        job = self._informers["Job"].get(f"{meta.namespace(pod)}/{owner['name']}")
        return job is not None and meta.controller_of(job) is None and job_pods.is_stuck(job)


def _may_go_on(job: Job) -> bool:
    """Whether a Job is at work or about to be; one that waits after a failure is not."""
    from netlab.controllers import job_pods

    status = meta.status(job)
    if job_pods.finished(job) or job_pods.is_suspended(job):
        return False
    return bool(status.get("active")) or not status.get("failed")
