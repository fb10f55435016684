"""Deployment: one ReplicaSet a template; a change of template rolls from the old to the new.

Every step is one look at the sizes (`rollout`), one write, and the wait for its effect to come
back through the watch. Nothing is remembered between steps but what the objects say.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from netlab.controllers import pods as podlib
from netlab.controllers import rollout
from netlab.controllers.controller import (
    Controller,
    ControllerContext,
    WatchedKind,
    index_by_controller,
    own_key,
    owner_keys,
)
from netlab.controllers.deployment_status import (
    Rollout,
    counts_of,
    is_complete,
    seconds_to_deadline,
    status_of,
)
from netlab.controllers.ownership import claim, claims
from netlab.errors import AlreadyExists, NotFound
from netlab.objects import meta, names
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import Deployment, Pod, ReplicaSet

_NOT_INHERITED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    rollout.REVISION,
    rollout.REVISION_HISTORY,
    rollout.DESIRED_REPLICAS,
    rollout.MAX_REPLICAS,
}


class Deployments(Controller):
    """Rolls each Deployment towards its template and size."""

    name = "deployment-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        index_by_controller(self.informers["Pod"])

    def watches(self) -> Sequence[WatchedKind]:
        """Deployments, their ReplicaSets, and the going of pods, which Recreate waits for."""
        return (
            WatchedKind("Deployment", own_key),
            claims(self.informers, "Deployment", "ReplicaSet"),
            WatchedKind("Pod", self._pod_keys),
        )

    def _pod_keys(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        if old is None or (new is not None and not is_pod_terminal(new)):
            return ()
        sets = (self.informers["ReplicaSet"].get(key) for key in owner_keys("ReplicaSet")(old, new))
        return {key for s in sets if s is not None for key in owner_keys("Deployment")(None, s)}

    async def reconcile(self, key: str) -> float | None:
        """Take the next step of the rollout, then write the status."""
        deployment = self.informers["Deployment"].get(key)
        if deployment is None:
            return None
        sets = await claim(self.informers, deployment, self.informers["ReplicaSet"])
        created = False
        if not self.informers["Deployment"].is_going(deployment):
            created = await self._step(deployment, sets)
        return await self._report(key, created)

    async def _step(self, deployment: Deployment, sets: list[ReplicaSet]) -> bool:
        """One step; True if it created a ReplicaSet."""
        new = rollout.find_new(deployment, sets)
        old = [s for s in sets if s is not new]
        if meta.spec(deployment).get("paused") or rollout.is_scaling(deployment, sets):
            await self._resize_all(deployment, rollout.scaled_sizes(deployment, new, old))
            return False
        if rollout.is_recreate(deployment) and await self._empty(deployment, old):
            return False
        created = new is None
        if new is None:
            new = await self._create(deployment, old)
        else:
            new = await self._refresh(deployment, new, old)
        if new is not None:
            await self._roll(deployment, new, old)
        return created and new is not None

    async def _empty(self, deployment: Deployment, old: list[ReplicaSet]) -> bool:
        """Recreate: scale the old sets to nothing; True while any pod of theirs is left."""
        await self._resize_all(deployment, [(s, 0) for s in old if rollout.replicas(s)])
        informer = self.informers["Pod"]
        return any(
            not is_pod_terminal(pod)
            for s in old
            for pod in informer.by_index("controller", meta.uid(s))
        )

    async def _roll(self, deployment: Deployment, new: ReplicaSet, old: list[ReplicaSet]) -> None:
        """Grow the new set, or shrink the old ones, as far as may be done now."""
        size = rollout.new_size(deployment, rollout.replicas(new), [new, *old])
        if size != rollout.replicas(new):
            await self._resize_all(deployment, [(new, size)])
            return
        smaller = rollout.old_sizes(deployment, new, old)
        await self._resize_all(deployment, smaller)
        roll = Rollout(deployment, new, old, self.context.clock())
        if not smaller and is_complete(roll, counts_of(roll)):
            await self._forget_history(deployment, old)

    # -- ReplicaSets -----------------------------------------------------------------------

    async def _create(self, deployment: Deployment, old: list[ReplicaSet]) -> ReplicaSet | None:
        """Create the ReplicaSet of the present template; None when its name is taken."""
        replica_set = new_replica_set(deployment, old)
        try:
            created = await self.informers.create(replica_set)
        except AlreadyExists:
            await self._count_collision(deployment, meta.name(replica_set))
            return None
        size = rollout.replicas(created)
        if size:
            self._tell_scaled(deployment, created, 0, size)
        return await self._refresh(deployment, created, old)

    async def _count_collision(self, deployment: Deployment, taken: str) -> None:
        """Another object has the name: hash differently next time, unless it is ours by now."""
        key = f"{meta.namespace(deployment)}/{taken}"
        known = self.informers["ReplicaSet"].get(key)
        owner = meta.controller_of(known) if known else None
        if owner and owner["uid"] == meta.uid(deployment):
            return
        count = int(meta.status(deployment).get("collisionCount") or 0) + 1
        await self.informers.patch_status(deployment, {"collisionCount": count})

    async def _refresh(
        self, deployment: Deployment, new: ReplicaSet, old: list[ReplicaSet]
    ) -> ReplicaSet:
        """Number the set as the newest revision; carry annotations and minReadySeconds along."""
        number = max(map(rollout.revision, old), default=0) + 1
        patch = _refreshed(deployment, new, number)
        if patch:
            new = await self.informers.patch(new, patch)
        wanted = meta.annotations(new).get(rollout.REVISION)
        if meta.annotations(deployment).get(rollout.REVISION) != wanted:
            annotations = {rollout.REVISION: wanted}
            await self.informers.patch(deployment, {"metadata": {"annotations": annotations}})
        return new

    async def _resize_all(self, deployment: Deployment, sizes: rollout.Sizes) -> None:
        for replica_set, size in sizes:
            await self._resize(deployment, replica_set, size)

    async def _resize(self, deployment: Deployment, replica_set: ReplicaSet, size: int) -> None:
        """Give a set its size, and note for what size of the Deployment that was."""
        before = rollout.replicas(replica_set)
        annotations = _size_annotations(deployment)
        if size == before and annotations.items() <= meta.annotations(replica_set).items():
            return
        patch = {"metadata": {"annotations": annotations}, "spec": {"replicas": size}}
        await self.informers.patch(replica_set, patch)
        if size != before:
            self._tell_scaled(deployment, replica_set, before, size)

    def _tell_scaled(
        self, deployment: Deployment, replica_set: ReplicaSet, before: int, size: int
    ) -> None:
        way = "up" if size > before else "down"
        text = f"Scaled {way} replica set {meta.name(replica_set)} from {before} to {size}"
        self.recorder.normal(deployment, "ScalingReplicaSet", text)

    async def _forget_history(self, deployment: Deployment, old: list[ReplicaSet]) -> None:
        for replica_set in rollout.surplus_history(deployment, old):
            try:
                await self.informers.delete(replica_set)
            except NotFound:
                continue

    # -- status ----------------------------------------------------------------------------

    async def _report(self, key: str, created: bool) -> float | None:
        """Write the status if it changed; seconds until the progress deadline."""
        deployment = self.informers["Deployment"].get(key)
        if deployment is None:
            return None
        sets = self.informers["ReplicaSet"].by_index("controller", meta.uid(deployment))
        new = rollout.find_new(deployment, sets)
        old = rollout.by_age(s for s in sets if s is not new)
        now = self.context.clock()
        status = status_of(Rollout(deployment, new, old, now, created))
        return seconds_to_deadline(await self.write_status(deployment, status), now)


def new_replica_set(deployment: Deployment, old: Sequence[ReplicaSet]) -> ReplicaSet:
    """The ReplicaSet for the Deployment's template, as large as a rollout may begin."""
    spec = meta.spec(deployment)
    collisions = int(meta.status(deployment).get("collisionCount") or 0)
    digest = names.template_hash(spec["template"], collisions)
    template = copy.deepcopy(spec["template"])
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels[rollout.HASH_LABEL] = digest
    selector = copy.deepcopy(spec["selector"])
    selector.setdefault("matchLabels", {})[rollout.HASH_LABEL] = digest
    replica_set: ReplicaSet = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta.name(deployment)}-{digest}",
            "namespace": meta.namespace(deployment),
            "labels": dict(labels),
            "annotations": {**_inherited(deployment), **_size_annotations(deployment)},
            "ownerReferences": [meta.owner_reference(deployment)],
        },
        "spec": {
            "replicas": rollout.new_size(deployment, 0, old),
            "selector": selector,
            "template": template,
        },
    }
    if wait := spec.get("minReadySeconds"):
        replica_set["spec"]["minReadySeconds"] = wait
    return replica_set


def _inherited(deployment: Deployment) -> dict[str, str]:
    return {k: v for k, v in meta.annotations(deployment).items() if k not in _NOT_INHERITED}


def _size_annotations(deployment: Deployment) -> dict[str, str]:
    wanted = rollout.replicas(deployment)
    most = wanted + rollout.fenceposts(deployment)[0]
    return {rollout.DESIRED_REPLICAS: str(wanted), rollout.MAX_REPLICAS: str(most)}


def _refreshed(deployment: Deployment, new: ReplicaSet, number: int) -> dict[str, Any]:
    """The merge patch that makes a set the revision `number`; {} when it is already."""
    present = meta.annotations(new)
    annotations = {k: v for k, v in _inherited(deployment).items() if present.get(k) != v}
    if rollout.revision(new) < number:
        annotations[rollout.REVISION] = str(number)
        if rollout.REVISION in present:
            history = [present.get(rollout.REVISION_HISTORY), present[rollout.REVISION]]
            annotations[rollout.REVISION_HISTORY] = ",".join(text for text in history if text)
    patch: dict[str, Any] = {"metadata": {"annotations": annotations}} if annotations else {}
    wait = podlib.min_ready_seconds(deployment)
    if wait != podlib.min_ready_seconds(new):
        patch["spec"] = {"minReadySeconds": wait}
    return patch
