"""What a pod asks of its node, and may take of it. Pure.

Source: k8s.io/component-helpers/resource, PodRequests and PodLimits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Amounts = Mapping[str, int]
"""Of resources by name, in thousandths, rounded up as kube-scheduler counts cpu."""

IN_ALL = ("cpu", "memory")
"""What a pod may ask for as a whole."""


def amounts(given: Mapping[str, object]) -> dict[str, int]:
    """Quantities as numbers."""
    from netlab.objects import quantity  # its fractions are slow to import

    return {name: -(-quantity.parse(text) * 1000 // 1) for name, text in given.items()}


def requests(spec: Mapping[str, Any]) -> dict[str, int]:
    """The most that a pod's containers ask for at any time, and its overhead.

    Init containers run one after another, sidecars beside all that follow them.
    """
    found = _most(spec, "requests")
    if overhead := spec.get("overhead"):
        found = _sum(found, amounts(overhead))
    return {name: amount for name, amount in found.items() if amount}


def limits(spec: Mapping[str, Any]) -> dict[str, int]:
    """The most that they may take, where anything says so."""
    found = _most(spec, "limits")
    overhead = amounts(spec.get("overhead") or {})
    return {name: amount + overhead.get(name, 0) for name, amount in found.items() if amount}


def _most(spec: Mapping[str, Any], field: str) -> dict[str, int]:
    if not _says(spec, field):
        return {}
    beside: dict[str, int] = {}
    most: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        own = _sum(beside, _of(container, field))
        most = _larger(most, own)
        if container.get("restartPolicy") == "Always":
            beside = own
    running = beside
    for container in spec.get("containers") or ():
        running = _sum(running, _of(container, field))
    whole = _of(spec, field)
    return {**_larger(most, running), **{name: whole[name] for name in IN_ALL if name in whole}}


def _says(spec: Mapping[str, Any], field: str) -> bool:
    """Whether there is anything to count, as of most pods there is not."""
    every = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()), spec)
    return any((one.get("resources") or {}).get(field) for one in every)


def _of(container: Mapping[str, Any], field: str) -> dict[str, int]:
    return amounts((container.get("resources") or {}).get(field) or {})


def _sum(one: Amounts, other: Amounts) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in (*one, *other)}


def _larger(one: Amounts, other: Amounts) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in (*one, *other)}
