"""Quality of service: which pods would go first if a node ran out of memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def qos_class(spec: Mapping[str, Any]) -> str:
    """`BestEffort`, `Burstable` or `Guaranteed`, by the containers' requests and limits."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    resources = [one.get("resources") or {} for one in containers]
    if not any(one.get("requests") or one.get("limits") for one in resources):
        return "BestEffort"
    return "Guaranteed" if all(_is_guaranteed(one) for one in resources) else "Burstable"


def _is_guaranteed(resources: dict[str, Any]) -> bool:
    limits = resources.get("limits") or {}
    requests = resources.get("requests") or limits
    return all(
        limits.get(what) and limits[what] == requests.get(what) for what in ("cpu", "memory")
    )
