"""Makes the claims of pods' generic ephemeral volumes: one for each, which goes with its pod.

Source: pkg/controller/volume/ephemeral.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

from netlab.controllers.controller import Controller, WatchedKind
from netlab.errors import AlreadyExists, NetlabError
from netlab.objects import meta, storage
from netlab.objects.types import PersistentVolumeClaim, Pod, Volume


class EphemeralVolumes(Controller):
    """A key is a pod."""

    name = "ephemeral-volume-controller"

    def watches(self) -> Sequence[WatchedKind]:
        """Pods that have such volumes, and claims that somebody deletes."""
        return (
            WatchedKind("Pod", self._pod_keys),
            WatchedKind("PersistentVolumeClaim", self._claim_keys),
        )

    def _pod_keys(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        has_such = new is not None and any(storage.ephemeral_volumes(new))
        return (meta.key(new),) if old is None and new is not None and has_such else ()

    def _claim_keys(
        self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None
    ) -> Iterable[str]:
        if old is None or new is not None:
            return ()
        pods = (pod for pod in self.informers["Pod"].items() if any(storage.ephemeral_volumes(pod)))
        near = (pod for pod in pods if meta.namespace(pod) == meta.namespace(old))
        return [meta.key(pod) for pod in near if meta.name(old) in storage.claims(pod)]

    async def reconcile(self, key: str) -> float | None:
        """Make what a pod lacks."""
        pod = self.informers["Pod"].get(key)
        if pod is None or meta.is_terminating(pod):
            return None
        for volume in storage.ephemeral_volumes(pod):
            try:
                await self._ensure(pod, volume)
            except NetlabError as error:
                text = f"ephemeral volume {volume['name']}: {error.message}"
                self.recorder.warning(pod, "FailedBinding", text)
                raise
        return None

    async def _ensure(self, pod: Pod, volume: Volume) -> None:
        name = str(storage.claim_name(pod, volume))
        known = self.informers["PersistentVolumeClaim"].get(f"{meta.namespace(pod)}/{name}")
        if known is None:
            await self.informers.create(claim_of(pod, volume))
        elif not storage.is_for(pod, known):
            raise AlreadyExists(storage.not_for(pod, name))


def claim_of(pod: Pod, volume: Volume) -> PersistentVolumeClaim:
    """The claim that a volume's template stands for."""
    template = volume["ephemeral"]["volumeClaimTemplate"]
    said = template.get("metadata") or {}
    claim: PersistentVolumeClaim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": str(storage.claim_name(pod, volume)),
            "namespace": meta.namespace(pod),
            "ownerReferences": [meta.owner_reference(pod)],
        },
        "spec": copy.deepcopy(template["spec"]),
    }
    if labels := said.get("labels"):
        claim["metadata"]["labels"] = dict(labels)
    if notes := said.get("annotations"):
        claim["metadata"]["annotations"] = dict(notes)
    return claim
