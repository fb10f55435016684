"""What pods have of a node's resources, and what one more would lack. Pure.

Source: pkg/scheduler/framework/plugins/noderesources/fit.go, by which kubelets go as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from netlab.objects.podrequests import Amounts, amounts

PODS = "pods"
_FIRST = (PODS, "cpu", "memory", "ephemeral-storage")


class Insufficient(Struct, frozen=True):
    """A resource of which a node has not what a pod requests: how much that is, how much others
    have, and how much there is; in thousandths, pods in ones."""

    resource: str
    requested: int
    used: int
    capacity: int

    @property
    def reason(self) -> str:
        """As kube-scheduler says it."""
        return "Too many pods" if self.resource == PODS else f"Insufficient {self.resource}"


class Used(Struct):
    """What pods request of a node together, and how many they are."""

    requested: Counter[str] = field(default_factory=Counter)
    pods: int = 0

    def add(self, requests: Amounts) -> None:
        """A pod with these requests has come."""
        self.requested.update(requests)
        self.pods += 1

    def remove(self, requests: Amounts) -> None:
        """One has gone."""
        self.requested.subtract(requests)
        self.pods -= 1

    def copy(self) -> Used:
        """One that may be changed."""
        return Used(Counter(self.requested), self.pods)

    def lacks(self, requests: Amounts, allocatable: Mapping[str, Any]) -> list[Insufficient]:
        """What a pod with these requests would lack beside them, of all that there is."""
        most = int(str(allocatable.get(PODS) or 0))
        lacking = [Insufficient(PODS, 1, self.pods, most)] if self.pods >= most else []
        if not requests:
            return lacking
        whole = amounts(allocatable)
        lacking += [
            Insufficient(name, wanted, self.requested[name], whole.get(name, 0))
            for name, wanted in requests.items()
            if wanted > whole.get(name, 0) - self.requested[name]
        ]
        return sorted(lacking, key=_order)


def _order(one: Insufficient) -> tuple[int, str]:
    name = one.resource
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST)), name
