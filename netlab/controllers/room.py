"""What is left of each node's resources, by what its pods request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from netlab.controllers import pods as podlib
from netlab.objects import meta
from netlab.objects.noderesources import Used
from netlab.objects.podrequests import requests
from netlab.objects.types import Node, Pod


class Room:
    """Keeps count of what the pods on each node request; `note` is told of each change of one."""

    def __init__(self) -> None:
        self._used: dict[str, Used] = defaultdict(Used)
        self._wanted: dict[str, Mapping[str, int]] = {}
        """What is counted of a pod, by its uid."""

    def note(self, old: Pod | None, new: Pod | None) -> None:
        """A pod has come, changed or gone."""
        before, after = (_place(pod) for pod in (old, new))
        if before == after:
            return
        if old is not None and before:
            self._used[before].remove(self._wanted.pop(meta.uid(old), {}))
        if new is not None and after:
            wanted = self._wanted[meta.uid(new)] = requests(meta.spec(new))
            self._used[after].add(wanted)

    def used(self, node: Node) -> Used:
        """A copy of what the node's pods have."""
        return self._used.get(meta.name(node), Used()).copy()

    def wanted(self, pod: Pod) -> Mapping[str, int]:
        """What a pod requests."""
        known = self._wanted.get(meta.uid(pod))
        return requests(meta.spec(pod)) if known is None else known

    def lacks(self, pod: Pod, node: Node, beside: Iterable[Pod] = ()) -> list[str]:
        """Why the pod does not fit with those that the node has, and some `beside`, in
        kube-scheduler's words."""
        used = self._used.get(meta.name(node), Used())
        others = list(beside)
        if others:
            used = used.copy()
            for other in others:
                used.add(self.wanted(other))
        allocatable = meta.status(node).get("allocatable") or {}
        return [one.reason for one in used.lacks(self.wanted(pod), allocatable)]


def _place(pod: Pod | None) -> str:
    """The node whose resources a pod has; "" for none."""
    return next(iter(podlib.on_node(pod)), "") if pod is not None else ""
