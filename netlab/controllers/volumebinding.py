"""Claims and volumes find each other; where a class says so, a volume is made for a claim.

A key is `claim NAMESPACE/NAME` or `volume NAME`. A volume of a lab's is a directory, which the
node's agent makes when a pod first has it (`agents/volumes.py`), so all that is done here is
to write objects.

Source: pkg/controller/volume/persistentvolume, with the provisioner that stands beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from netlab.controllers.controller import Controller, ControllerContext, WatchedKind
from netlab.errors import Conflict, NotFound
from netlab.objects import meta, selectors, storage
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import (
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    StorageClass,
)

BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
NO_PROVISIONER = "kubernetes.io/no-provisioner"

_NOTHING = "no persistent volumes available for this claim and no storage class is set"


class VolumeBinder(Controller):
    """Binds claims to volumes, and says what becomes of volumes whose claims are gone."""

    name = "persistentvolume-controller"
    workers = 1  # two claims must not be given the same volume

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.informers["PersistentVolumeClaim"].add_index("phase", _phase)
        self.informers["PersistentVolume"].add_index("claim", _claim_uid)
        self._provisioning = context.recorder.source(storage.PROVISIONER)

    def watches(self) -> Sequence[WatchedKind]:
        """Claims, volumes, and classes; pods that wait for a claim are the scheduler's to see."""
        return (
            WatchedKind("PersistentVolumeClaim", self._claim_keys),
            WatchedKind("PersistentVolume", self._volume_keys),
            WatchedKind("StorageClass", self._pending),
        )

    def _claim_keys(
        self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None
    ) -> Iterable[str]:
        claim = new or old
        assert claim is not None
        bound = self.informers["PersistentVolume"].by_index("claim", meta.uid(claim))
        return (f"claim {meta.key(claim)}", *(f"volume {meta.name(each)}" for each in bound))

    def _volume_keys(
        self, old: PersistentVolume | None, new: PersistentVolume | None
    ) -> Iterable[str]:
        volume = new or old
        assert volume is not None
        reference = meta.spec(volume).get("claimRef")
        named = (f"claim {_key_of(reference)}",) if reference else ()
        return (f"volume {meta.name(volume)}", *named, *self._pending())

    def _pending(self, *_: StorageClass | None) -> list[str]:
        waiting = self.informers["PersistentVolumeClaim"].by_index("phase", "Pending")
        return [f"claim {meta.key(claim)}" for claim in waiting]

    async def reconcile(self, key: str) -> float | None:
        """See to one claim or one volume."""
        kind, _, name = key.partition(" ")
        with contextlib.suppress(NotFound, Conflict):  # it has changed: there comes another key
            if kind == "volume":
                await self._volume(self.informers["PersistentVolume"].get(name))
            else:
                await self._claim(self.informers["PersistentVolumeClaim"].get(name))
        return None

    # -- claims ----------------------------------------------------------------------------

    async def _claim(self, claim: PersistentVolumeClaim | None) -> None:
        if claim is None or meta.is_terminating(claim):
            return
        if name := meta.spec(claim).get("volumeName"):
            await self._settle(claim, self.informers["PersistentVolume"].get(name))
            return
        claim = await self._classified(claim)
        mine = self.informers["PersistentVolume"].by_index("claim", meta.uid(claim))
        volume = mine[0] if mine else self._fitting(claim)
        if volume is not None:
            await self._bind(claim, volume)
        else:
            await self._provide(claim)

    async def _classified(self, claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
        """With the default class, if it names none and there is one."""
        if meta.spec(claim).get("storageClassName") is not None:
            return claim
        classes = self.informers["StorageClass"].items()
        defaults = [one for one in classes if storage.is_default(one)]
        if not defaults:
            return claim
        newest = max(defaults, key=lambda one: one["metadata"].get("creationTimestamp") or "")
        wanted = {"spec": {"storageClassName": meta.name(newest)}}
        return await self.informers.patch(claim, wanted)

    def _class(self, claim: PersistentVolumeClaim) -> StorageClass | None:
        name = meta.spec(claim).get("storageClassName")
        return self.informers["StorageClass"].get(name) if name else None

    def _fitting(self, claim: PersistentVolumeClaim) -> PersistentVolume | None:
        """The volume made for it, or else the smallest that will do."""
        every = self.informers["PersistentVolume"].items()
        free = [volume for volume in every if not meta.is_terminating(volume)]
        meant = [volume for volume in free if _is_meant_for(volume, claim)]
        fitting = [volume for volume in free if fits(volume, claim)]
        if self._awaits_consumer(claim):
            fitting = []
        return min(meant or fitting, key=_size, default=None)

    def _awaits_consumer(self, claim: PersistentVolumeClaim) -> bool:
        wanted = self._class(claim)
        waits = wanted is not None and wanted.get("volumeBindingMode") == "WaitForFirstConsumer"
        return waits and storage.SELECTED_NODE not in meta.annotations(claim)

    async def _provide(self, claim: PersistentVolumeClaim) -> None:
        name, wanted = meta.spec(claim).get("storageClassName"), self._class(claim)
        if not name:
            self.recorder.normal(claim, "FailedBinding", _NOTHING)
        elif wanted is None:
            text = f'storageclass.storage.k8s.io "{name}" not found'
            self.recorder.warning(claim, "ProvisioningFailed", text)
        elif self._awaits_consumer(claim):
            text = "waiting for first consumer to be created before binding"
            self.recorder.normal(claim, "WaitForFirstConsumer", text)
        elif wanted["provisioner"] in storage.PROVISIONERS:
            await self._provision(claim, wanted)
        elif wanted["provisioner"] != NO_PROVISIONER:
            self.recorder.normal(
                claim,
                "ExternalProvisioning",
                "Waiting for a volume to be created either by the external provisioner "
                f"'{wanted['provisioner']}' or manually by the system administrator. If volume "
                "creation is delayed, please verify that the provisioner is running and correctly "
                "registered.",
            )

    async def _provision(self, claim: PersistentVolumeClaim, of: StorageClass) -> None:
        volume = await self.informers.create(provisioned(claim, of))
        text = f"Successfully provisioned volume {meta.name(volume)}"
        self._provisioning.normal(claim, "ProvisioningSucceeded", text)
        await self._bind(claim, volume)

    async def _bind(self, claim: PersistentVolumeClaim, volume: PersistentVolume) -> None:
        """Each names the other, the volume first: so of two claims one alone gets it."""
        reference = meta.spec(volume).get("claimRef") or {}
        if reference.get("uid") != meta.uid(claim):
            note = {} if reference else {"annotations": {BOUND_BY_CONTROLLER: "yes"}}
            patch = {"metadata": note, "spec": {"claimRef": reference_to(claim)}}
            volume = await self.informers.patch(volume, patch)
        notes = {BIND_COMPLETED: "yes", BOUND_BY_CONTROLLER: "yes"}
        if (of := self._class(claim)) is not None:
            notes[PROVISIONER] = of["provisioner"]
        patch = {"metadata": {"annotations": notes}, "spec": {"volumeName": meta.name(volume)}}
        claim = await self.informers.patch(claim, patch)
        await self._settle(claim, volume)

    async def _settle(self, claim: PersistentVolumeClaim, volume: PersistentVolume | None) -> None:
        """Say in its status how a claim stands that names its volume."""
        if volume is None:
            bound = meta.annotations(claim).get(BIND_COMPLETED) == "yes"
            await self._report(claim, {"phase": "Lost" if bound else "Pending"})
            return
        reference = meta.spec(volume).get("claimRef")
        if reference is None or (
            _key_of(reference) == meta.key(claim) and not reference.get("uid")
        ):
            volume = await self.informers.patch(volume, {"spec": {"claimRef": reference_to(claim)}})
            reference = meta.spec(volume).get("claimRef")
        if reference is None or reference.get("uid") != meta.uid(claim):
            await self._report(claim, {"phase": "Pending"})
            return
        spec = meta.spec(volume)
        status = {"phase": "Bound", "accessModes": spec.get("accessModes")}
        await self._report(claim, {**status, "capacity": spec.get("capacity")})

    async def _report(self, claim: PersistentVolumeClaim, status: dict[str, object]) -> None:
        known = meta.status(claim)
        if any(known.get(field) != value for field, value in status.items()):
            await self.informers.patch_status(claim, status)

    # -- volumes ---------------------------------------------------------------------------

    async def _volume(self, volume: PersistentVolume | None) -> None:
        if volume is None or meta.is_terminating(volume):
            return
        reference = meta.spec(volume).get("claimRef")
        if not reference or not reference.get("uid"):
            await self._phase(volume, "Available")
            return
        claim = self.informers["PersistentVolumeClaim"].get(_key_of(reference))
        if claim is not None and meta.uid(claim) == reference["uid"]:
            await self._phase(volume, "Bound")
            return
        await self._phase(volume, "Released")
        if meta.spec(volume).get("persistentVolumeReclaimPolicy") == "Delete":
            await self.informers.delete(volume)
        elif meta.spec(volume).get("persistentVolumeReclaimPolicy") == "Recycle":
            await self.informers.patch(volume, {"spec": {"claimRef": None}})

    async def _phase(self, volume: PersistentVolume, phase: str) -> None:
        if meta.status(volume).get("phase") != phase:
            status = {"phase": phase, "lastPhaseTransitionTime": self.context.now()}
            await self.informers.patch_status(volume, status)


class StorageProtection(Controller):
    """Lets go of claims and volumes that are to be deleted once nobody uses them any more."""

    name = "pvc-protection-controller"

    def watches(self) -> Sequence[WatchedKind]:
        """Claims and their pods, volumes and their claims."""
        return (
            WatchedKind("PersistentVolumeClaim", self._claim_keys),
            WatchedKind("PersistentVolume", self._volume_keys),
            WatchedKind("Pod", self._pod_keys),
        )

    def _claim_keys(
        self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None
    ) -> Iterable[str]:
        if new is not None:
            return (f"claim {meta.key(new)}",) if meta.is_terminating(new) else ()
        volume = meta.spec(old).get("volumeName") if old is not None else None
        return (f"volume {volume}",) if volume else ()

    def _volume_keys(
        self, _: PersistentVolume | None, new: PersistentVolume | None
    ) -> Iterable[str]:
        going = new is not None and meta.is_terminating(new)
        return (f"volume {meta.name(new)}",) if new is not None and going else ()

    def _pod_keys(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        if old is None or (new is not None and _uses(new)):
            return ()
        return [f"claim {meta.namespace(old)}/{name}" for name in storage.claims(old)]

    async def reconcile(self, key: str) -> float | None:
        """Take its finalizer away, if it is time."""
        kind, _, name = key.partition(" ")
        with contextlib.suppress(NotFound, Conflict):
            if kind == "claim":
                await self._claim(self.informers["PersistentVolumeClaim"].get(name))
            else:
                await self._volume(self.informers["PersistentVolume"].get(name))
        return None

    async def _claim(self, claim: PersistentVolumeClaim | None) -> None:
        if claim is None or not meta.is_terminating(claim):
            return
        pods = self.informers["Pod"].items()
        running = (pod for pod in pods if _uses(pod))
        using = (pod for pod in running if meta.namespace(pod) == meta.namespace(claim))
        if not any(meta.name(claim) in storage.claims(pod) for pod in using):
            await self._let_go(claim, "kubernetes.io/pvc-protection")

    async def _volume(self, volume: PersistentVolume | None) -> None:
        if volume is None or not meta.is_terminating(volume):
            return
        reference = meta.spec(volume).get("claimRef")
        claims = self.informers["PersistentVolumeClaim"]
        claim = claims.get(_key_of(reference)) if reference else None
        if claim is None or meta.uid(claim) != (reference or {}).get("uid"):
            await self._let_go(volume, "kubernetes.io/pv-protection")

    async def _let_go(self, obj: PersistentVolumeClaim | PersistentVolume, finalizer: str) -> None:
        held = obj["metadata"].get("finalizers") or []
        if finalizer in held:
            rest = [one for one in held if one != finalizer]
            version = obj["metadata"].get("resourceVersion")
            metadata = {"finalizers": rest or None, "resourceVersion": version}
            await self.informers.patch(obj, {"metadata": metadata})


def provisioned(claim: PersistentVolumeClaim, of: StorageClass) -> PersistentVolume:
    """The volume that is made for a claim of a class."""
    name = f"pvc-{meta.uid(claim)}"
    spec = meta.spec(claim)
    requests = (spec.get("resources") or {}).get("requests") or {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: of["provisioner"]}},
        "spec": {
            "accessModes": list(spec.get("accessModes") or ()),
            "capacity": {"storage": requests.get("storage", "0")},
            "claimRef": reference_to(claim),
            "hostPath": {"path": f"/var/lib/netlab/volumes/{name}", "type": "DirectoryOrCreate"},
            "persistentVolumeReclaimPolicy": of.get("reclaimPolicy") or "Delete",
            "storageClassName": meta.name(of),
            "volumeMode": spec.get("volumeMode") or "Filesystem",
        },
    }


def reference_to(claim: PersistentVolumeClaim) -> ObjectReference:
    """As a volume names its claim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": meta.namespace(claim),
        "name": meta.name(claim),
        "uid": meta.uid(claim),
        "resourceVersion": claim["metadata"].get("resourceVersion", ""),
    }


def fits(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether a volume that is nobody's has all that the claim asks for."""
    has, wants = meta.spec(volume), meta.spec(claim)
    if has.get("claimRef") or meta.status(volume).get("phase") not in ("Available", "Pending"):
        return False
    return (
        (has.get("storageClassName") or "") == (wants.get("storageClassName") or "")
        and set(wants.get("accessModes") or ()) <= set(has.get("accessModes") or ())
        and has.get("volumeMode", "Filesystem") == wants.get("volumeMode", "Filesystem")
        and _size(volume) >= _asked(claim)
        and selectors.from_label_selector(wants.get("selector") or {}).matches(meta.labels(volume))
    )


def _is_meant_for(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether whoever made the volume named the claim."""
    reference = meta.spec(volume).get("claimRef") or {}
    return not reference.get("uid") and _key_of(reference) == meta.key(claim)


def _size(volume: PersistentVolume) -> int:
    return _bytes((meta.spec(volume).get("capacity") or {}).get("storage"))


def _asked(claim: PersistentVolumeClaim) -> int:
    return _bytes(((meta.spec(claim).get("resources") or {}).get("requests") or {}).get("storage"))


def _bytes(amount: object) -> int:
    from netlab.objects import quantity  # its fractions are slow to import

    return int(quantity.parse(amount))


def _key_of(reference: ObjectReference) -> str:
    return f"{reference.get('namespace', '')}/{reference.get('name', '')}"


def _phase(claim: PersistentVolumeClaim) -> Iterable[str]:
    return (meta.status(claim).get("phase") or "Pending",)


def _claim_uid(volume: PersistentVolume) -> Iterable[str]:
    uid = (meta.spec(volume).get("claimRef") or {}).get("uid")
    return (uid,) if uid else ()


def _uses(pod: Pod) -> bool:
    """Whether a pod has its volumes: one on no node has none yet, and one that is over has let go
    of them."""
    is_placed = bool(meta.spec(pod).get("nodeName"))
    return is_placed and not is_pod_terminal(pod)
