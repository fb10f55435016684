"""What the claims of a pod have to say about where it goes, as kube-scheduler's VolumeBinding."""

from __future__ import annotations

from netlab.client.informer import Informers
from netlab.controllers import placement
from netlab.objects import meta, storage
from netlab.objects.types import Node, PersistentVolume, PersistentVolumeClaim, Pod


class PodVolumes:
    """The claims of one pod that is to be placed."""

    CONFLICT = "node(s) had volume node affinity conflict"

    def __init__(self, informers: Informers, pod: Pod) -> None:
        self._informers = informers
        self._pod = pod
        self._names = list(storage.claims(pod))
        volumes = storage.ephemeral_volumes(pod)
        self._own = {storage.claim_name(pod, volume) for volume in volumes}
        known = informers["PersistentVolumeClaim"]
        self._claims: dict[str, PersistentVolumeClaim | None] = {
            name: known.get(f"{meta.namespace(pod)}/{name}") for name in self._names
        }

    def lack(self) -> str | None:
        """Why no node will do for now; None if any may."""
        for name, claim in self._claims.items():
            if claim is None and name in self._own:
                which = f'the persistentvolumeclaim "{name}"'
                return f"waiting for ephemeral volume controller to create {which}"
            if claim is not None and name in self._own and not storage.is_for(self._pod, claim):
                return storage.not_for(self._pod, name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if meta.is_terminating(claim):
                return f'persistentvolumeclaim "{name}" is being deleted'
            if meta.status(claim).get("phase") == "Lost":
                volume = meta.spec(claim).get("volumeName")
                bound = f'bound to non-existent persistentvolume "{volume}"'
                return f'persistentvolumeclaim "{name}" {bound}'
        if any(not _is_bound(one) and not self._waits(one) for one in self._there()):
            return "pod has unbound immediate PersistentVolumeClaims"
        return None

    def reaches(self, node: Node) -> bool:
        """Whether all volumes that it has by now can be had on the node."""
        volumes = (self._volume(claim) for claim in self._there())
        wanted = (meta.spec(one).get("nodeAffinity") or {} for one in volumes if one is not None)
        return all(
            placement.selects(affinity["required"], node)
            for affinity in wanted
            if affinity.get("required")
        )

    async def await_at(self, node: str) -> bool:
        """Say that its first consumer will be there; True while a claim is yet to be bound."""
        waiting = [claim for claim in self._there() if not _is_bound(claim)]
        for claim in waiting:
            if meta.annotations(claim).get(storage.SELECTED_NODE) != node:
                notes = {"annotations": {storage.SELECTED_NODE: node}}
                await self._informers.patch(claim, {"metadata": notes})
        return bool(waiting)

    def _there(self) -> list[PersistentVolumeClaim]:
        return [claim for claim in self._claims.values() if claim is not None]

    def _volume(self, claim: PersistentVolumeClaim) -> PersistentVolume | None:
        return self._informers["PersistentVolume"].get(meta.spec(claim).get("volumeName") or "")

    def _waits(self, claim: PersistentVolumeClaim) -> bool:
        name = meta.spec(claim).get("storageClassName") or ""
        found = self._informers["StorageClass"].get(name)
        return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"


def _is_bound(claim: PersistentVolumeClaim) -> bool:
    return meta.status(claim).get("phase") == "Bound"
