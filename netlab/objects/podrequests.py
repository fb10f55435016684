"""What a pod asks of its node. Pure.

Source: k8s.io/component-helpers/resource, PodRequests.
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
    if not _asks(spec):
        return {}
    beside: dict[str, int] = {}
    most: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        own = _sum(beside, _of(container))
        most = _larger(most, own)
        if container.get("restartPolicy") == "Always":
            beside = own
    running = beside
    for container in spec.get("containers") or ():
        running = _sum(running, _of(container))
    whole = amounts((spec.get("resources") or {}).get("requests") or {})
    found = {**_larger(most, running), **{name: whole[name] for name in IN_ALL if name in whole}}
    found = _sum(found, amounts(spec.get("overhead") or {}))
    return {name: amount for name, amount in found.items() if amount}


def _asks(spec: Mapping[str, Any]) -> bool:
    """Whether there is anything to count, as of most pods there is not."""
    every = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()), spec)
    return bool(spec.get("overhead")) or any(
        (one.get("resources") or {}).get("requests") for one in every
    )


def _of(container: Mapping[str, Any]) -> dict[str, int]:
    return amounts((container.get("resources") or {}).get("requests") or {})


def _sum(one: Amounts, other: Amounts) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in (*one, *other)}


def _larger(one: Amounts, other: Amounts) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in (*one, *other)}
