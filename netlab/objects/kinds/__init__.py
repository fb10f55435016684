"""The kinds that a lab knows: what discovery lists, what paths and short names mean.

A kind is a record. What everybody has to know of it is data and stands here, a module for each
family. What one room alone does with it is another record under this one, in that room's module
of the same family, and not here: a client that looks a word up imports no validation, and the
controller no descriptions, nor what it has of a family before the first object of one
(`records.py`). Kubernetes is cut in the same places: types and names, `strategy.go` in the
registry, `printers.go`, and kubectl's `describe.go`.

To add a kind:

1. Here its `Kind`, in `KINDS` of its family; a new group in `GROUPS`; out of `own.UNSERVED`.
2. `scripts/generate-schema` and `scripts/generate-protobuf`, which take its structure from
   Kubernetes; `scripts/generate-types`, which takes it from there.
3. `objects/strategies/`: its `Strategy`, or `PLAIN`.
4. `api/printing/`: its columns.
5. `view/describing/`: its description, or `PLAIN`; `tests/golden/describe/`: an object, and what
   kubectl says of it.
6. `controllers/`: who makes it true, in `manager.CONTROLLERS`.
7. `cli/changes/rollouts.py`, if it has rollouts.
8. `docs/kubernetes-api.md` names it.

`tests/unit/test_kinds.py` asks every kind for these; CONTRIBUTING.md says more of each.
"""

from __future__ import annotations

from typing import Any

from netlab.objects.kinds import (
    access,
    admission,
    batch,
    cluster,
    configuration,
    events,
    ingress,
    networking,
    own,
    pods,
    quota,
    scheduling,
    storage,
    workloads,
)
from netlab.objects.kinds.kind import Kind
from netlab.objects.meta import AnyObject

__all__ = ["BY_KIND", "FAMILIES", "GROUPS", "KINDS", "OWN", "Kind", "at_path", "find", "pod_of"]

GROUPS = (
    "", "apps", "batch", "discovery.k8s.io", "networking.k8s.io", "admissionregistration.k8s.io",
    "scheduling.k8s.io", "coordination.k8s.io", "rbac.authorization.k8s.io", "storage.k8s.io",
)  # fmt: skip
"""The order in which discovery lists them."""

_FAMILIES = (
    cluster, pods, ingress, networking, configuration, storage, events, quota, scheduling,
    workloads, batch, admission, access,
)  # fmt: skip

KINDS: tuple[Kind, ...] = tuple(
    sorted(
        (kind for family in _FAMILIES for kind in family.KINDS),
        key=lambda kind: GROUPS.index(kind.group),
    )
)
"""The kinds that are served."""

FAMILIES: dict[Kind, str] = {
    kind: family.__name__.rpartition(".")[2] for family in _FAMILIES for kind in family.KINDS
}
"""By what name of a module each kind is known here, and in the rooms that have records of it."""

BY_KIND: dict[str, Kind] = {kind.kind: kind for kind in KINDS}

OWN: dict[str, Kind] = {kind.kind: kind for kind in own.KINDS}
"""netlab's own kinds by their names."""

_BY_WORD: dict[str, Kind] = {
    word: kind
    for kind in KINDS
    for name in (kind.plural, kind.singular, *kind.short_names)
    for word in (name, f"{name}.{kind.group}".rstrip("."))
}

_BY_PATH: dict[tuple[str, str, str], Kind] = {
    (kind.group, kind.version, kind.plural): kind for kind in KINDS
}


def find(word: str) -> Kind | None:
    """The kind that a user's word means: `svc`, `services`, `Service`, `deployment.apps`."""
    return _BY_WORD.get(word.lower())


def at_path(group: str, version: str, plural: str) -> Kind | None:
    """The kind served at `/apis/group/version/plural` (group "" is the core group)."""
    return _BY_PATH.get((group, version, plural))


def pod_of(obj: AnyObject) -> Any:
    """The Pod that an object is, or the PodTemplateSpec of those it makes; {} for other kinds."""
    kind = BY_KIND.get(str(obj.get("kind")))
    if kind is None or kind.pod_path is None:
        return {}
    found: Any = obj
    for part in kind.pod_path:
        found = found.get(part) or {}
    return found
