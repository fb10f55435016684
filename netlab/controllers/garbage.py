"""Garbage collection: what is owned goes with its owners, in the way its owner's deletion asks.

Background: the owner is gone, its dependents follow. Foreground: the owner stays, deleting,
until its blocking dependents are gone. Orphan: the dependents lose the reference and stay.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable, Sequence
from typing import Any

from netlab.client.informer import Informer
from netlab.client.protocol import Propagation
from netlab.controllers.controller import Controller, ControllerContext, Keys, WatchedKind
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.kinds import KINDS
from netlab.objects.types import AnyKind, OwnerReference

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
COLLECTED = tuple(kind.kind for kind in KINDS if kind.collected)
"""The kinds that may own or be owned."""


class GarbageCollector(Controller):
    """Its keys are `Kind key`; every kind is both a possible owner and a possible dependent."""

    name = "garbage-collector-controller"
    workers = 4

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        for kind in COLLECTED:
            index_by_owner(self.informers[kind])

    def watches(self) -> Sequence[WatchedKind]:
        """Everything, but only what concerns ownership leads to a key."""
        return tuple(WatchedKind(kind, self._keys_of(kind)) for kind in COLLECTED)

    def _keys_of(self, kind: str) -> Keys:
        def keys(old: AnyKind | None, new: AnyKind | None) -> Iterable[str]:
            if new is None:
                return self._after_deletion(old) if old is not None else ()
            mine = f"{kind} {meta.key(new)}"
            waiting = self._unblocked(old, new) if old is not None else []
            if finalizer_of(new) or not self._owners_are_known(old, new):
                return (mine, *waiting)
            return waiting

        return keys

    def _after_deletion(self, gone: AnyKind) -> list[str]:
        """The dependents of what is gone, and the owners that may have waited for it."""
        dependents = [_queue_key(obj) for obj in self._dependents(gone)]
        return dependents + self._waiting_owners(gone)

    def _unblocked(self, old: AnyKind, new: AnyKind) -> list[str]:
        """The owners that waited for an object whose references have changed."""
        return [] if _references(old) == _references(new) else self._waiting_owners(old)

    def _waiting_owners(self, obj: AnyKind) -> list[str]:
        owners = (self._cached(reference, obj) for reference in _references(obj))
        return [_queue_key(o) for o in owners if o is not None and finalizer_of(o)]

    def _owners_are_known(self, old: AnyKind | None, new: AnyKind) -> bool:
        """Whether all the owners are in the cache, staying; no question if nothing changed."""
        references = _references(new)
        if old is not None and _references(old) == references:
            return True
        owners = [self._cached(reference, new) for reference in references]
        return all(owner is not None and not finalizer_of(owner) for owner in owners)

    async def reconcile(self, key: str) -> float | None:
        """Finish the object's own deletion if that waits; else delete it if its owners are gone."""
        kind, _, name = key.partition(" ")
        obj = self.informers[kind].get(name)
        if obj is None:
            return None
        match finalizer_of(obj):
            case "foregroundDeletion":
                await self._collect_foreground(obj)
            case "orphan":
                await self._orphan_dependents(obj)
        if not meta.is_terminating(obj):
            await self._collect(obj)
        return None

    async def _collect(self, obj: AnyKind) -> None:
        """Delete an object none of whose owners exists; drop references to those that do not.

        Whether an owner of a kind that is not served exists is unknown: it counts as staying.
        """
        references = _references(obj)
        if not references or self.informers.is_going(obj):
            return
        owners = [await self._owner(reference, obj) for reference in references]
        staying = [
            reference
            for reference, owner in zip(references, owners, strict=True)
            if reference["kind"] not in COLLECTED
            or (owner is not None and finalizer_of(owner) != FOREGROUND)
        ]
        if len(staying) == len(references):
            return
        if staying:
            await self._replace_references(obj, staying)
        elif any(owner is not None for owner in owners) and (own := self._dependents(obj)):
            if any(finalizer_of(dependent) == FOREGROUND for dependent in own):
                await self._unblock(obj)
            await self._delete(obj, "Foreground")
        else:
            await self._delete(obj, "Background")

    async def _collect_foreground(self, owner: AnyKind) -> None:
        """Delete the dependents; let the owner go when none is left that blocks."""
        dependents = self._dependents(owner)
        await asyncio.gather(*(self._collect(d) for d in dependents if not meta.is_terminating(d)))
        if not any(_blocks(dependent, owner) for dependent in self._dependents(owner)):
            await self._remove_finalizer(owner, FOREGROUND)

    async def _unblock(self, obj: AnyKind) -> None:
        """Let its owners not wait for it: one of them may own itself by way of it, in a circle."""
        references = [copy.copy(reference) for reference in _references(obj)]
        for reference in references:
            reference["blockOwnerDeletion"] = False
        await self._replace_references(obj, references)

    async def _orphan_dependents(self, owner: AnyKind) -> None:
        for dependent in self._dependents(owner):
            rest = [r for r in _references(dependent) if r["uid"] != meta.uid(owner)]
            await self._replace_references(dependent, rest)
        await self._remove_finalizer(owner, ORPHAN)

    # -- who owns whom ---------------------------------------------------------------------

    def _dependents(self, owner: AnyKind) -> list[AnyKind]:
        uid = meta.uid(owner)
        return [obj for kind in COLLECTED for obj in self.informers[kind].by_index("owner", uid)]

    def _cached(self, reference: OwnerReference, dependent: AnyKind) -> AnyKind | None:
        """The owner if the cache has it; a kind nobody collects here is never looked for."""
        if reference["kind"] not in COLLECTED:
            return None
        informer = self.informers[reference["kind"]]
        namespaced = f"{meta.namespace(dependent)}/{reference['name']}"
        owner = informer.get(namespaced) or informer.get(reference["name"])
        return owner if owner is not None and meta.uid(owner) == reference["uid"] else None

    async def _owner(self, reference: OwnerReference, dependent: AnyKind) -> AnyKind | None:
        """The owner, by the cache or else by the API itself, which is never behind; or None."""
        owner = self._cached(reference, dependent)
        if owner is not None:
            return owner
        try:
            found = await self.informers.api.get(
                reference["kind"], meta.namespace(dependent), reference["name"]
            )
        except NotFound:
            return None
        return found if meta.uid(found) == reference["uid"] else None

    # -- writes ----------------------------------------------------------------------------

    async def _delete(self, obj: AnyKind, propagation: Propagation) -> None:
        try:
            await self.informers.delete(obj, propagation=propagation)
        except NotFound:
            return

    async def _replace_references(self, obj: AnyKind, references: list[OwnerReference]) -> None:
        await self._patch_metadata(obj, {"ownerReferences": references or None})

    async def _remove_finalizer(self, obj: AnyKind, finalizer: str) -> None:
        rest = [one for one in obj["metadata"]["finalizers"] if one != finalizer]
        await self._patch_metadata(obj, {"finalizers": rest or None})

    async def _patch_metadata(self, obj: AnyKind, metadata: dict[str, Any]) -> None:
        # The resourceVersion makes it a compare-and-set: lists cannot be merge-patched in part.
        version = obj["metadata"]["resourceVersion"]
        try:
            await self.informers.patch(obj, {"metadata": {**metadata, "resourceVersion": version}})
        except NotFound:
            return


def index_by_owner(informer: Informer[Any]) -> None:
    """Index "owner": the uid of every owner, controlling or not."""
    informer.add_index("owner", lambda obj: (str(r["uid"]) for r in _references(obj)))


def finalizer_of(obj: AnyKind) -> str:
    """The garbage collector's finalizer that holds an object being deleted, or ""."""
    if not meta.is_terminating(obj):
        return ""
    held = obj["metadata"].get("finalizers") or []
    return next((one for one in (FOREGROUND, ORPHAN) if one in held), "")


def _references(obj: AnyKind) -> list[OwnerReference]:
    return obj.get("metadata", {}).get("ownerReferences") or []


def _queue_key(obj: AnyKind) -> str:
    return f"{obj['kind']} {meta.key(obj)}"


def _blocks(dependent: AnyKind, owner: AnyKind) -> bool:
    return any(
        reference.get("blockOwnerDeletion") and reference["uid"] == meta.uid(owner)
        for reference in _references(dependent)
    )
