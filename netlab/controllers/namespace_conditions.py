"""What a namespace that is to go says of itself: what is left in it, and what that waits for. Pure.

Types, reasons and texts are the namespace controller's (pkg/controller/namespace/deletion).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from netlab.objects.kinds import KINDS
from netlab.objects.types import AnyKind, NamespaceCondition

_WELL = {
    "NamespaceDeletionDiscoveryFailure": (
        "ResourcesDiscovered", "All resources successfully discovered",
    ),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions", "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted", "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": (
        "ContentHasNoFinalizers", "All content-preserving finalizers finished",
    ),
}  # fmt: skip
_RESOURCES = {kind.kind: f"{kind.plural}.{kind.group}" for kind in KINDS}


def of(content: Mapping[str, Sequence[AnyKind]], now: str) -> list[NamespaceCondition]:
    """All conditions, by the objects of each kind that are still there."""
    left = {f"{_RESOURCES[kind]} has": len(those) for kind, those in content.items() if those}
    finalizers = Counter(
        f"{finalizer} in"
        for objects in content.values()
        for obj in objects
        for finalizer in obj["metadata"].get("finalizers") or ()
    )
    ill = {}
    if left:
        text = f"Some resources are remaining: {_listed(left)}"
        ill["NamespaceContentRemaining"] = ("SomeResourcesRemain", text)
    if finalizers:
        text = f"Some content in the namespace has finalizers remaining: {_listed(finalizers)}"
        ill["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", text)
    return [_condition(type_, type_ in ill, now, *(_WELL | ill)[type_]) for type_ in _WELL]


def _condition(type_: str, holds: bool, now: str, reason: str, message: str) -> NamespaceCondition:
    return {
        "type": type_,
        "status": str(holds),
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def _listed(counted: Mapping[str, int]) -> str:
    return ", ".join(sorted(f"{what} {n} resource instances" for what, n in counted.items()))
