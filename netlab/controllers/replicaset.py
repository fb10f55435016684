"""ReplicaSet: as many pods of the template as `replicas` says, created in growing batches."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from netlab.controllers import pods as podlib
from netlab.controllers import rollout
from netlab.controllers.conditions import conditions_with, conditions_without
from netlab.controllers.controller import (
    Controller,
    ControllerContext,
    WatchedKind,
    index_by_controller,
    omit_empty,
    own_key,
)
from netlab.controllers.ownership import claim, claims
from netlab.errors import ApiError, NotFound
from netlab.objects import meta
from netlab.objects.numbers import whole
from netlab.objects.times import seconds
from netlab.objects.types import (
    Pod,
    ReplicaSet,
    ReplicaSetCondition,
    ReplicaSetStatus,
    ReplicationController,
)

Replicas = ReplicaSet | ReplicationController

BURST = 500
"""Pods created or deleted in one reconciliation, as kube-controller-manager limits it."""


class ReplicaSets(Controller):
    """Keeps each ReplicaSet's pods at the number asked for; or those of another `kind`."""

    name = "replicaset-controller"
    kind: ClassVar[str] = "ReplicaSet"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        index_by_controller(self.informers[self.kind])

    def watches(self) -> Sequence[WatchedKind]:
        """ReplicaSets, and pods for those who own them or could."""
        return (WatchedKind(self.kind, own_key), claims(self.informers, self.kind, "Pod"))

    async def reconcile(self, key: str) -> float | None:
        """Create or delete pods until `replicas` are active, and report it in the status."""
        replica_set: Replicas | None = self.informers[self.kind].get(key)
        if replica_set is None:
            return None
        claimed = await claim(self.informers, replica_set, self.informers["Pod"])
        failure: ApiError | None = None
        if not self.informers[self.kind].is_going(replica_set):
            failure = await self._scale(replica_set, podlib.active(self.informers["Pod"], claimed))
        await self._report(key, failure)
        if failure is not None:
            raise failure
        min_ready = podlib.min_ready_seconds(replica_set)
        return podlib.seconds_to_available(claimed, min_ready, self.context.clock())

    async def _scale(self, replica_set: Replicas, active: list[Pod]) -> ApiError | None:
        missing = rollout.replicas(replica_set) - len(active)
        if missing > 0:
            return await self._create(replica_set, min(missing, BURST))
        if missing < 0:
            doomed = self._first_to_go(replica_set, active)[: min(-missing, BURST)]
            return await self._delete(replica_set, doomed)
        return None

    async def _create(self, replica_set: Replicas, count: int) -> ApiError | None:
        """Create pods in batches of 1, 2, 4 …, so that a refusal costs few requests."""
        batch = 1
        while count > 0:
            results = await asyncio.gather(
                *(self._create_one(replica_set) for _ in range(min(batch, count)))
            )
            errors = [error for error in results if error is not None]
            if errors:
                return errors[0]
            count -= batch
            batch *= 2
        return None

    async def _create_one(self, replica_set: Replicas) -> ApiError | None:
        pod = podlib.from_template(replica_set["spec"]["template"], replica_set)
        try:
            created = await self.informers.create(pod)
        except ApiError as error:
            if error.is_of_going_namespace:
                return None
            self.recorder.warning(replica_set, "FailedCreate", f"Error creating: {error.message}")
            return error
        self.recorder.normal(replica_set, "SuccessfulCreate", f"Created pod: {meta.name(created)}")
        return None

    async def _delete(self, replica_set: Replicas, doomed: Iterable[Pod]) -> ApiError | None:
        results = await asyncio.gather(*(self._delete_one(replica_set, pod) for pod in doomed))
        return next((error for error in results if error is not None), None)

    async def _delete_one(self, replica_set: Replicas, pod: Pod) -> ApiError | None:
        try:
            await self.informers.delete(pod)
        except NotFound:
            return None
        except ApiError as error:
            self.recorder.warning(replica_set, "FailedDelete", f"Error deleting: {error.message}")
            return error
        self.recorder.normal(replica_set, "SuccessfulDelete", f"Deleted pod: {meta.name(pod)}")
        return None

    def _first_to_go(self, replica_set: Replicas, active: list[Pod]) -> list[Pod]:
        """The pods in the order in which scaling down takes them."""
        left = Counter(_node(pod) for pod in self._related(replica_set))
        ranked = []
        for pod in sorted(active, key=lambda pod: deletion_rank(pod, 0)):
            # Each that goes leaves fewer on its node, so that equally full nodes take turns.
            ranked.append((deletion_rank(pod, left[_node(pod)]), pod))
            left[_node(pod)] -= 1
        return [pod for _, pod in sorted(ranked, key=lambda item: item[0])]

    def _related(self, replica_set: Replicas) -> list[Pod]:
        """The active pods of all ReplicaSets that have the same owner, so its own at least."""
        owner = meta.controller_of(replica_set)
        siblings = (
            self.informers[self.kind].by_index("controller", owner["uid"])
            if owner
            else [replica_set]
        )
        informer = self.informers["Pod"]
        return [
            pod
            for sibling in siblings
            for pod in podlib.active(informer, informer.by_index("controller", meta.uid(sibling)))
        ]

    async def _report(self, key: str, failure: ApiError | None) -> None:
        """Write the status if it changed, from the cache as it is now, our own writes included."""
        replica_set: Replicas | None = self.informers[self.kind].get(key)
        if replica_set is None:
            return
        pods = self.informers["Pod"]
        active = podlib.active(pods, pods.by_index("controller", meta.uid(replica_set)))
        status = status_of(replica_set, active, failure, self.context)
        await self.write_status(replica_set, status)


def _node(pod: Pod) -> str:
    return str(meta.spec(pod).get("nodeName") or "")


def deletion_rank(pod: Pod, on_same_node: int) -> tuple[object, ...]:
    """Sorts pods that may go before those that should stay, in Kubernetes' order of criteria.

    Unscheduled, pending, not ready, cheap by annotation, doubled up on a node, ready for a
    shorter time, restarted more often, newer.
    """
    phase = {"Pending": 0, "Unknown": 1}.get(str(meta.status(pod).get("phase") or "Pending"), 2)
    cost = meta.annotations(pod).get("controller.kubernetes.io/pod-deletion-cost", "0")
    restarts = max(
        (int(c.get("restartCount") or 0) for c in meta.status(pod).get("containerStatuses") or []),
        default=0,
    )
    return (
        bool(_node(pod)),
        phase,
        meta.is_ready(pod),
        whole(cost) or 0,
        -on_same_node,
        -(podlib.ready_since(pod) or 0.0),
        -restarts,
        -seconds(pod["metadata"].get("creationTimestamp")),
        meta.name(pod),
    )


def status_of(
    replica_set: Replicas,
    active: Sequence[Pod],
    failure: ApiError | None,
    context: ControllerContext,
) -> dict[str, Any]:
    """The status a ReplicaSet with these active pods has; None removes a field by merge patch."""
    template = meta.spec(replica_set)["template"].get("metadata", {}).get("labels") or {}
    wanted, min_ready = template.items(), podlib.min_ready_seconds(replica_set)
    ready = [pod for pod in active if meta.is_ready(pod)]
    available, now = ready, context.clock()
    if min_ready:
        available = [pod for pod in ready if podlib.is_available(pod, min_ready, now)]
    old = meta.status(replica_set).get("conditions") or []
    status: ReplicaSetStatus = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(wanted <= meta.labels(pod).items() for pod in active),
        "readyReplicas": len(ready),
        "availableReplicas": len(available),
        "observedGeneration": replica_set["metadata"].get("generation", 0),
        "conditions": conditions_without(old, "ReplicaFailure"),
    }
    if failure is not None:
        created = len(active) >= rollout.replicas(replica_set)
        problem: ReplicaSetCondition = {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": "FailedDelete" if created else "FailedCreate",
            "message": failure.message,
            "lastTransitionTime": context.now(),
        }
        # Each pod that was refused has another name: a status that told of the last would begin it
        # all again, at once.
        status["conditions"] = conditions_with(old, problem, told_by=("status", "reason"))
    return omit_empty(status, "replicas")
