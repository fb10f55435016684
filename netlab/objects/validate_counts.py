"""What the numbers in a workload's status may be, which anybody may write who may.

Source: the Validate…Status functions of pkg/apis/apps/validation and pkg/apis/core/validation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from netlab.objects import fields, meta
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, invalid

Mapping = dict[str, Any]
Problems = Iterator[FieldProblem]

_STATUS: Path = ("status",)


class Counts(Struct, frozen=True):
    """The numbers of a kind's status in the order in which they are looked at; `shares` are parts
    of `replicas`. What is said of more pods available than ready names the latter as `ready`."""

    names: tuple[str, ...]
    shares: tuple[str, ...] = ()
    ready: str = "readyReplicas"


DEPLOYMENT = Counts(
    (
        "observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas",
        "unavailableReplicas", "collisionCount",
    ),
    ("updatedReplicas", "readyReplicas", "availableReplicas"),
)  # fmt: skip
REPLICA_SET = Counts(
    (
        "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas",
        "observedGeneration",
    ),
    ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
)  # fmt: skip
STATEFUL_SET = Counts(
    (
        "replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas",
        "observedGeneration", "collisionCount",
    ),
    ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
    ready="status.readyReplicas",
)  # fmt: skip
DAEMON_SET = Counts((
    "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
    "observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable",
    "collisionCount",
))  # fmt: skip


def rule(counts: Counts) -> Callable[[Object, Object], Problems]:
    """The rule for the status of objects of one kind: of the new object, and the stored one."""

    def of_status(new: Object, old: Object) -> Problems:
        status = meta.status(new)
        for name in counts.names:
            yield from fields.non_negative((*_STATUS, name), status.get(name))
        yield from _shares(counts, status)
        yield from _collisions(status, meta.status(old))

    return of_status


def _shares(counts: Counts, status: Mapping) -> Problems:
    whole = status.get("replicas") or 0
    for name in counts.shares:
        if (status.get(name) or 0) > whole:
            detail = "cannot be greater than status.replicas"
            yield invalid((*_STATUS, name), status.get(name) or 0, detail)
    available = status.get("availableReplicas") or 0
    if counts.shares and available > (status.get("readyReplicas") or 0):
        detail = f"cannot be greater than {counts.ready}"
        yield invalid((*_STATUS, "availableReplicas"), available, detail)


def _collisions(status: Mapping, before: Mapping) -> Problems:
    count = status.get("collisionCount")
    if before.get("collisionCount") is not None and (count or 0) < before["collisionCount"]:
        yield invalid((*_STATUS, "collisionCount"), count or 0, "cannot be decremented")
