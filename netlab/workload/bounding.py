"""The bounds of pods, put into force: their control groups, and limits where there are none."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.kernel.cgroups import Groups, Limits, lab_limits
from netlab.workload import bounds, oci

if TYPE_CHECKING:  # the controller, which bounds too, needs no more of it
    from netlab.workload.control import Json


class Bounding:
    """The control groups of the lab `owner`, made when its first command is started."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._made: Groups | None = None
        self._known: dict[str, Json] = {}
        self._most = 0
        """Processes that a pod may have: where a lab has few, others need some of them."""

    @property
    def _groups(self) -> Groups:
        if self._made is None:
            self._made = Groups(self._owner)
            limits = lab_limits(self._made.found)
            self._made.ensure_lab(limits)
            self._most = max(limits.pids // 2, 1)
        return self._made

    def bound(self, uid: str, limits: Json) -> None:
        """What the pod may use, from its next process on (`places`)."""
        self._known[uid] = limits

    def places(self, uid: str) -> list[Path]:
        """What each process of the pod must write "0" into before it is the pod's."""
        groups, limits = self._groups, self._known[uid]
        pids = min(limits["pids"], self._most)
        return groups.ensure_pod(uid, Limits(limits["memory"], pids))

    def limited(self, uid: str, process: Json) -> Json:
        """A process of the pod's with limits that stand in for what no controller bounds."""
        limits = self._known[uid]
        wanted = bounds.rlimits(limits["memory"], limits["pids"], self._groups.held)
        return oci.limited(process, {name: granted(name, most) for name, most in wanted.items()})

    def oom_kills(self, uid: str) -> int:
        """How many of the pod's processes the kernel has killed for want of memory so far."""
        return self._groups.events(uid).oom_kills

    def forget(self, uid: str) -> None:
        """A pod is no more, and its group goes, with whatever still runs in it."""
        if self._known.pop(uid, None) is not None:
            self._groups.remove_pod(uid)


def granted(name: str, wanted: int) -> int:
    """As much of a limit as a process of ours may have: a pod's root can raise none.

    Ours may be less, as sudo starts what it starts with no core; then it is raised, if we may.
    """
    limit = getattr(resource, name)
    soft, hard = resource.getrlimit(limit)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return wanted
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(limit, (soft, wanted))
        return wanted
    return hard
