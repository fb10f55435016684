"""Whose is it: a controller takes in the orphans it selects, and lets go what it no longer does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from netlab.client.informer import Informer, Informers
from netlab.controllers.controller import (
    WatchedKind,
    index_by_controller,
    index_by_namespace,
    owner_keys,
)
from netlab.errors import NotFound
from netlab.objects import meta, selectors
from netlab.objects.types import AnyKind, Job, OwnerReference, Workload

T = TypeVar("T", bound=AnyKind)


async def claim(informers: Informers, owner: Workload | Job, informer: Informer[T]) -> list[T]:
    """The informer's objects the owner controls, after adoption and release; sorted by name.

    The owner's controller watches them through `claims`.
    """
    selector = selectors.of_pods(owner)
    if meta.is_terminating(owner):
        return sorted(informer.by_index("controller", meta.uid(owner)), key=meta.name)
    mine = []
    for obj in informer.by_index("controller", meta.uid(owner)):
        if selector.matches(meta.labels(obj)) or meta.is_terminating(obj):
            mine.append(obj)
        else:
            await _release(informers, owner, obj)
    for obj in informer.by_index("orphans", meta.namespace(owner)):
        if selector.matches(meta.labels(obj)) and not meta.is_terminating(obj):
            mine += await _adopt(informers, owner, obj)
    return sorted(mine, key=meta.name)


async def _adopt(informers: Informers, owner: AnyKind, obj: T) -> list[T]:
    """Make the owner the controller of an orphan; [] if it was gone or taken meanwhile."""
    references = obj["metadata"].get("ownerReferences") or []
    patch = _references(obj, [*references, meta.owner_reference(owner)])
    try:
        return [await informers.patch(obj, patch)]
    except NotFound:
        return []


async def _release(informers: Informers, owner: AnyKind, obj: AnyKind) -> None:
    """Cease to be the controller of an object."""
    references = obj["metadata"].get("ownerReferences") or []
    rest = [reference for reference in references if reference["uid"] != meta.uid(owner)]
    with contextlib.suppress(NotFound):
        await informers.patch(obj, _references(obj, rest))


def _references(obj: AnyKind, references: Sequence[OwnerReference]) -> dict[str, object]:
    # The resourceVersion makes it a compare-and-set: a list cannot be merge-patched in part.
    version = obj["metadata"]["resourceVersion"]
    return {"metadata": {"ownerReferences": references or None, "resourceVersion": version}}


def claims(informers: Informers, owner_kind: str, kind: str) -> WatchedKind:
    """The watch of what owners of a kind `claim`: the key of its owner, and of those who could be.

    Adds the indexes that this and `claim` need.
    """
    index_by_controller(informers[kind])
    index_by_namespace(informers[owner_kind])
    owned = owner_keys(owner_kind)

    def keys(old: AnyKind | None, new: AnyKind | None) -> Iterable[str]:
        found = set(owned(old, new))
        if new is not None and meta.controller_of(new) is None:
            found.update(_selecting(informers, owner_kind, new))
        return found

    return WatchedKind(kind, keys)


def _selecting(informers: Informers, owner_kind: str, orphan: AnyKind) -> list[str]:
    """The keys of those owners whose selector matches an object without controller."""
    return [
        meta.key(owner)
        for owner in informers[owner_kind].by_index("namespace", meta.namespace(orphan))
        if selectors.of_pods(owner).matches(meta.labels(orphan))
    ]
