"""What is left of each node's resources, by what its pods request.

Source: pkg/scheduler/framework/plugins/noderesources/fit.go.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from netlab.controllers import pods as podlib
from netlab.objects import meta
from netlab.objects.podrequests import amounts, requests
from netlab.objects.types import Node, Pod

_FIRST = ("cpu", "memory", "ephemeral-storage")


class Room:
    """Keeps count of what the pods on each node request; `note` is told of each change of one."""

    def __init__(self) -> None:
        self._requested: dict[str, Counter[str]] = defaultdict(Counter)
        self._wanted: dict[str, Mapping[str, int]] = {}
        """What is counted of a pod, by its uid."""

    def note(self, old: Pod | None, new: Pod | None) -> None:
        """A pod has come, changed or gone."""
        before, after = (_place(pod) for pod in (old, new))
        if before == after:
            return
        if old is not None and before:
            self._requested[before].subtract(self._wanted.pop(meta.uid(old), {}))
        if new is not None and after:
            wanted = self._wanted[meta.uid(new)] = requests(meta.spec(new))
            self._requested[after].update(wanted)

    def lacks(self, pod: Pod, node: Node) -> list[str]:
        """Why the pod does not fit beside those that the node has, in kube-scheduler's words."""
        if not (wanted := requests(meta.spec(pod))):
            return []
        whole = amounts(meta.status(node).get("allocatable") or {})
        used = self._requested.get(meta.name(node), Counter[str]())
        lacking = (name for name in wanted if wanted[name] > whole.get(name, 0) - used[name])
        return [f"Insufficient {name}" for name in sorted(lacking, key=_order)]


def _place(pod: Pod | None) -> str:
    """The node whose resources a pod has; "" for none."""
    return next(iter(podlib.on_node(pod)), "") if pod is not None else ""


def _order(name: str) -> tuple[int, str]:
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST)), name
