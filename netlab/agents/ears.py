"""What the machines of a lab tell of by netlink, and that something was mounted, as it comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from netlab.errors import NetlabError
from netlab.kernel import paths
from netlab.kernel.notices import MountNotices, Notes, Notices, of_links
from netlab.network.model import Namespace
from netlab.network.names import POD_BRIDGE
from netlab.retry import Retry

FLOOD = Retry(0.05, 2.0)
"""Seconds that a node's notices wait when they come faster than they are read."""

EARFULS = 8
"""Of notices are taken after a silence, at most: pods that come make about one and a half, but one
may make more all the time."""


class Ears:
    """Tells `on_heard` what a machine said, by its namespace's name, and `on_mount` that something
    was mounted or unmounted; both on the event loop."""

    def __init__(
        self,
        directory: Path,
        on_heard: Callable[[str, Notes], None],
        on_mount: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._on_heard, self._on_mount = on_heard, on_mount
        self._ears: dict[str, Notices] = {}
        self._floods: dict[str, int] = {}
        self._mounts: MountNotices | None = None
        self._is_covered = False

    def __iter__(self) -> Iterator[str]:
        return iter(self._ears)

    def __contains__(self, name: str) -> bool:
        return name in self._ears

    def items(self) -> list[tuple[str, Notices]]:
        """Those that we hear of now, by name."""
        return list(self._ears.items())

    def start(self) -> None:
        """Begin with mounts; `listen` says what else."""
        self._mounts = MountNotices()
        self._attend_all()

    def listen(self, namespaces: Iterable[Namespace]) -> None:
        """Hear of those of these that we do not hear of yet, and that there are."""
        for namespace in namespaces:
            if namespace.name not in self._ears:
                with contextlib.suppress(NetlabError):  # it is not there: it will be made anew
                    ear = of_links(paths.namespace(self._directory, namespace.name))
                    if namespace.find(POD_BRIDGE) is not None:
                        ear.hear_neighbours()
                    self._ears[namespace.name] = ear
                    self._attend(namespace.name)

    def forget(self, name: str) -> None:
        """Hear of it no more; no error if we did not."""
        self._floods.pop(name, None)
        if ear := self._ears.pop(name, None):
            asyncio.get_running_loop().remove_reader(ear.fileno())
            ear.close()

    def stop(self) -> None:
        """Hear of nothing any more."""
        self.cover()
        for each in self._opened():
            each.close()
        self._ears, self._mounts = {}, None

    def cover(self) -> None:
        """Let nobody be woken by what is told, until `uncover`."""
        self._is_covered = True
        loop = asyncio.get_running_loop()
        for each in self._opened():
            loop.remove_reader(each.fileno())

    def uncover(self) -> None:
        """Be woken again."""
        self._is_covered = False
        self._attend_all()

    def hear(self) -> None:
        """Take what was told until now."""
        for name in list(self._ears):
            for _ in range(EARFULS):
                if not self._take(name):
                    break

    def _opened(self) -> list[Notices | MountNotices]:
        return [*self._ears.values(), *([self._mounts] if self._mounts else [])]

    def _attend_all(self) -> None:
        for name in self._ears:
            self._attend(name)
        if self._mounts is not None:
            loop = asyncio.get_running_loop()
            loop.add_reader(self._mounts.fileno(), self._mounted, self._mounts)

    def _attend(self, name: str) -> None:
        if not self._is_covered:
            asyncio.get_running_loop().add_reader(self._ears[name].fileno(), self._told, name)

    def _mounted(self, mounts: MountNotices) -> None:
        mounts.take()
        self._on_mount()

    def _told(self, name: str) -> None:
        if self._take(name):
            self._pause(name)
        else:
            self._floods.pop(name, None)

    def _take(self, name: str) -> bool:
        """Take what a namespace told; whether there is more."""
        notes = self._ears[name].take()
        self._on_heard(name, notes)
        return notes.more

    def _pause(self, name: str) -> None:
        """Somebody makes more notices than we care for: what does not fit is lost."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._ears[name].fileno())
        self._floods[name] = self._floods.get(name, 0) + 1
        loop.call_later(FLOOD.delay(self._floods[name]), self._resume, name)

    def _resume(self, name: str) -> None:
        if name in self._ears:
            self._attend(name)
