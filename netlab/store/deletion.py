"""Deletion in steps: grace for pods, finalizers for everything, and two finalizers for namespaces.

An object whose deletion was asked for keeps existing, with a deletionTimestamp, until nobody
needs it any more; these functions say what the next state is.
"""

from __future__ import annotations

from typing import Any, Literal

from netlab.objects import meta, priorities, strategies
from netlab.objects.meta import Object
from netlab.objects.strategies.strategy import Strategy
from netlab.objects.times import timestamp

Propagation = Literal["Background", "Foreground", "Orphan"]

LONGEST_GRACE = 2**31
"""Seconds (68 years): a deletionTimestamp much later than that is no date any more."""

IMMORTAL = {
    "Namespace": ("default", "kube-public", "kube-system"),
    "PriorityClass": tuple(priorities.SYSTEM_CLASSES),
}
"""By kind: what kube-apiserver does not let go."""

_FINALIZERS: dict[str, str] = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


def begin(old: Object, *, grace: int | None, propagation: Propagation, now: float) -> Object:
    """The object once deletion is asked for; `is_over` says whether that already was the end."""
    metadata = dict(old["metadata"])
    new: Object = {**old, "metadata": metadata}
    strategy = strategies.of(old)
    seconds = _grace(strategy, old, grace)
    if "deletionTimestamp" not in metadata or seconds < metadata["deletionGracePeriodSeconds"]:
        metadata["deletionTimestamp"] = timestamp(now + seconds)
        metadata["deletionGracePeriodSeconds"] = seconds
    _finalize_by(metadata, propagation)
    strategy.prepare_delete(new)
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
        and not meta.spec(obj).get("finalizers")  # a Namespace alone has some there
    )


def _grace(strategy: Strategy, old: Object, asked: int | None) -> int:
    """Seconds of grace: none where the strategy allows none."""
    usual = strategy.grace(old)
    if usual is None:
        return 0
    return min(max(int(usual if asked is None else asked), 0), LONGEST_GRACE)


def _finalize_by(metadata: dict[str, Any], propagation: Propagation) -> None:
    """Ask the garbage collector for this propagation; Background leaves an earlier choice be."""
    if propagation in _FINALIZERS:
        others = metadata.get("finalizers") or []
        kept = [one for one in others if one not in _FINALIZERS.values()]
        metadata["finalizers"] = [*kept, _FINALIZERS[propagation]]
