"""The sysctls of which no netlink message tells: kept open, and looked at every now and then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.agents.attached import Attached
from netlab.kernel import files, sysctl
from netlab.kernel.notices import Notices
from netlab.kernel.sysctl import Kept
from netlab.network import mend
from netlab.network.model import Sysctl


class QuietSysctls:
    """All sysctls of the lab's machines, by name, and of each attached pod those of `of_pods`."""

    def __init__(self, attached: Attached, of_pods: Iterable[Sysctl]) -> None:
        self._attached = attached
        self._of_pods = tuple(of_pods)
        self._machines: dict[str, Kept] = {}
        self._pods: dict[str, Kept] = {}

    def machine_differs(self, name: str, ear: Notices, wanted: Sequence[Sysctl]) -> bool:
        """Whether a machine's sysctls are not as wanted; `ear` has its namespace."""
        if name not in self._machines:
            with files.closing(ear.namespace()) as descriptor, sysctl.tree() as tree:
                names = [entry.name for entry in wanted]
                self._machines[name] = Kept(descriptor, names, tree)
        return mend.differ(self._machines[name].read(), wanted)

    def pods_that_differ(self, at_most: int) -> list[str]:
        """Their uids. Files that were not opened yet are: of so many pods each time."""
        for uid in list(self._pods):
            if self._attached.get(uid) is None:
                self._pods.pop(uid).close()
        missing = [uid for uid in self._attached.uids() if uid not in self._pods]
        names = [entry.name for entry in self._of_pods]
        with sysctl.tree() as tree:
            for uid in missing[:at_most]:
                if (station := self._attached.get(uid)) is not None:
                    self._pods[uid] = Kept(station.descriptor, names, tree)
        return [uid for uid, kept in self._pods.items() if mend.differ(kept.read(), self._of_pods)]

    def forget(self, name: str) -> None:
        """There is no such machine any more."""
        if kept := self._machines.pop(name, None):
            kept.close()

    def close(self) -> None:
        """Keep none of them any longer."""
        for kept in (*self._machines.values(), *self._pods.values()):
            kept.close()
        self._machines, self._pods = {}, {}
