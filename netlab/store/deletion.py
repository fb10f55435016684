"""Deletion in steps: grace for pods, finalizers for everything, and two finalizers for namespaces.

An object whose deletion was asked for keeps existing, with a deletionTimestamp, until nobody
needs it any more; these functions say what the next state is.
"""

from __future__ import annotations

from typing import Any, Literal

from netlab.objects import meta
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object
from netlab.objects.times import timestamp

Propagation = Literal["Background", "Foreground", "Orphan"]

DEFAULT_GRACE = 30
LONGEST_GRACE = 2**31
"""Seconds (68 years): a deletionTimestamp much later than that is no date any more."""

IMMORTAL = ("default", "kube-public", "kube-system")
"""Namespaces that kube-apiserver does not let go."""

_FINALIZERS: dict[str, str] = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


def begin(
    kind: Kind, old: Object, *, grace: int | None, propagation: Propagation, now: float
) -> Object:
    """The object once deletion is asked for; `is_over` says whether that already was the end."""
    metadata = dict(old["metadata"])
    new: Object = {**old, "metadata": metadata}
    seconds = _grace(kind, old, grace)
    if "deletionTimestamp" not in metadata or seconds < metadata["deletionGracePeriodSeconds"]:
        metadata["deletionTimestamp"] = timestamp(now + seconds)
        metadata["deletionGracePeriodSeconds"] = seconds
    _finalize_by(metadata, propagation)
    if kind.kind == "Namespace":
        new["status"] = {**meta.status(old), "phase": "Terminating"}
    if "generation" in metadata and not meta.is_terminating(old):
        metadata["generation"] += 1
    return new


def is_over(obj: Object) -> bool:
    """True when deletion was asked for and nothing holds the object any longer."""
    metadata = obj["metadata"]
    return (
        "deletionTimestamp" in metadata
        and not metadata.get("deletionGracePeriodSeconds")
        and not metadata.get("finalizers")
        and not (obj["kind"] == "Namespace" and meta.spec(obj).get("finalizers"))
    )


def _grace(kind: Kind, old: Object, asked: int | None) -> int:
    """Seconds of grace: none but for a pod that runs on a node."""
    if kind.kind != "Pod" or not meta.spec(old).get("nodeName"):
        return 0
    if meta.status(old).get("phase") in ("Succeeded", "Failed"):
        return 0
    if asked is None:
        asked = meta.spec(old).get("terminationGracePeriodSeconds", DEFAULT_GRACE)
    return min(max(int(asked), 0), LONGEST_GRACE)


def _finalize_by(metadata: dict[str, Any], propagation: Propagation) -> None:
    """Ask the garbage collector for this propagation; Background leaves an earlier choice be."""
    if propagation in _FINALIZERS:
        others = metadata.get("finalizers") or []
        kept = [one for one in others if one not in _FINALIZERS.values()]
        metadata["finalizers"] = [*kept, _FINALIZERS[propagation]]
