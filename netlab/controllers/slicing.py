"""Distributing endpoints over slices, with as few writes and moves as possible. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from netlab.controllers.endpoints_of import PortSet, port_set
from netlab.controllers.triggers import ANNOTATION
from netlab.objects import meta
from netlab.objects.ranges import Family
from netlab.objects.types import Endpoint, EndpointSlice, ObjectMeta

MAX_ENDPOINTS = 100
"""Endpoints in one slice, kube-controller-manager's default."""


class Changes(Struct):
    """What makes the existing slices the wanted ones."""

    create: list[EndpointSlice] = field(default_factory=list)
    update: list[EndpointSlice] = field(default_factory=list)
    delete: list[EndpointSlice] = field(default_factory=list)


def plan(
    family: Family,
    groups: Mapping[PortSet, Sequence[Endpoint]],
    existing: Iterable[EndpointSlice],
    metadata: ObjectMeta,
) -> Changes:
    """The changes that leave `existing` (slices of one family) with exactly these groups.

    `metadata` is a new slice's; its labels and owner are what every slice must carry, and its
    annotations say of what is written since when it has been under way. With no group, one empty
    slice remains.
    """
    groups = groups or {PortSet(()): ()}
    changes = Changes()
    by_ports: dict[PortSet, list[EndpointSlice]] = {}
    for one in sorted(existing, key=meta.name):
        by_ports.setdefault(port_set(one.get("ports") or []), []).append(one)
    for ports, endpoints in groups.items():
        _plan_group(family, ports, endpoints, by_ports.pop(ports, []), metadata, changes)
    for leftover in by_ports.values():
        changes.delete += leftover
    return changes


def _plan_group(
    family: Family,
    ports: PortSet,
    endpoints: Sequence[Endpoint],
    existing: list[EndpointSlice],
    metadata: ObjectMeta,
    changes: Changes,
) -> None:
    """Keep each endpoint where it is; put new ones where a write happens anyway, or is room."""
    wanted = {_identity(entry): entry for entry in endpoints}
    kept = [_keep(one, wanted) for one in existing]
    touched = {
        index
        for index, (one, left) in enumerate(zip(existing, kept, strict=True))
        if left != (one.get("endpoints") or [])
    }
    _fill(kept, touched, list(wanted.values()))
    for one, left in zip(existing, kept, strict=False):
        _settle(one, left, metadata, keep_empty=not endpoints and one is existing[0], out=changes)
    fresh = kept[len(existing) :] or ([[]] if not existing else [])
    changes.create += [_new(family, ports, left, metadata) for left in fresh]


def _identity(entry: Endpoint) -> tuple[str, str]:
    return entry["addresses"][0], entry.get("targetRef", {}).get("uid", "")


def _keep(one: EndpointSlice, wanted: dict[tuple[str, str], Endpoint]) -> list[Endpoint]:
    """The slice's endpoints that are still wanted, as wanted; they are taken out of `wanted`."""
    kept = []
    for entry in one.get("endpoints") or []:
        current = wanted.pop(_identity(entry), None)
        if current is not None:
            kept.append(current)
    return kept


def _fill(kept: list[list[Endpoint]], touched: set[int], new: list[Endpoint]) -> None:
    """Distribute new endpoints: slices being written, then the fullest with room, then new ones."""
    rooms = sorted(range(len(kept)), key=lambda i: (i not in touched, -len(kept[i]), i))
    for index in rooms:
        room = MAX_ENDPOINTS - len(kept[index])
        kept[index] += new[:room]
        del new[:room]
    while new:
        kept.append(new[:MAX_ENDPOINTS])
        del new[:MAX_ENDPOINTS]


def _settle(
    one: EndpointSlice,
    left: list[Endpoint],
    metadata: ObjectMeta,
    *,
    keep_empty: bool,
    out: Changes,
) -> None:
    """Delete a slice that became empty, update one that differs, leave the rest alone."""
    if not left and not keep_empty:
        out.delete.append(one)
        return
    labels = metadata["labels"]
    if left != (one.get("endpoints") or []) or meta.labels(one) != labels:
        changed = one.copy()
        changed["metadata"] = copy.deepcopy(one["metadata"])
        changed["endpoints"] = left
        changed["metadata"]["labels"] = dict(labels)
        annotations = {k: v for k, v in meta.annotations(one).items() if k != ANNOTATION}
        if annotations := annotations | (metadata.get("annotations") or {}):
            changed["metadata"]["annotations"] = annotations
        else:
            changed["metadata"].pop("annotations", None)
        out.update.append(changed)


def _new(
    family: Family, ports: PortSet, endpoints: list[Endpoint], metadata: ObjectMeta
) -> EndpointSlice:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": copy.deepcopy(metadata),
        "addressType": family,
        "ports": ports.as_list(),
        "endpoints": endpoints,
    }
