"""A running lab over time: its objects, asked for again when some of them have changed."""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from netlab import inventory
from netlab.cli.packets import lab_world
from netlab.client.sync import Client
from netlab.errors import NetlabError
from netlab.kernel import paths
from netlab.objects.kinds import BY_KIND

if TYPE_CHECKING:
    from netlab.pathcheck.world import World

_KINDS = ("Service", "EndpointSlice", "Pod", "Node")
_PAUSE_SECONDS = 1.0
"""Between two looks at all objects, and until a watch that ended is begun again."""


class LabNow:
    """`world` is of `asked` (seconds since the epoch), or newer."""

    def __init__(self, arguments: argparse.Namespace, directory: Path) -> None:
        self._arguments, self._directory = arguments, directory
        self._changed = threading.Event()
        self.asked = 0.0
        self.world = self._ask()

    def begin(self) -> None:
        """Hear of changes from now on."""
        for kind in _KINDS:
            threading.Thread(target=self._hear, args=[kind], daemon=True).start()

    @property
    def is_there(self) -> bool:
        """Whether it has not been taken down."""
        return paths.lab_file(self._directory).exists()

    @property
    def nodes(self) -> dict[str, Path]:
        """The namespaces of its nodes."""
        places = self.world.places.values()
        nodes = {one.name: one.netns for one in places if one.role == "node"}
        return {name: netns for name, netns in nodes.items() if isinstance(netns, Path)}

    def refresh(self, *, wanted: bool = False, at_once: bool = False) -> bool:
        """Ask again where something has changed, or where it is wanted, if it is time to, or is to
        be done at once. Whether that was done."""
        is_early = time.time() < self.asked + _PAUSE_SECONDS and not at_once
        if is_early or not (wanted or self._changed.is_set()):
            return False
        self._changed.clear()
        try:
            self.world = self._ask()
        except (NetlabError, OSError):  # it is busy, or about to go
            self._changed.set()
            self.asked = time.time()
            return False
        return True

    def _ask(self) -> World:
        began = time.time()
        world = lab_world.world(self._arguments, self._directory)
        self.asked = began
        return world

    def _hear(self, kind: str) -> None:
        with Client(inventory.endpoint(self._directory)) as client:
            while self.is_there:
                with contextlib.suppress(NetlabError, OSError):
                    self._until_it_ends(client, kind)
                self._changed.set()  # whatever happened meanwhile
                time.sleep(_PAUSE_SECONDS)

    def _until_it_ends(self, client: Client, kind: str) -> None:
        listed = client.request("GET", BY_KIND[kind].path(""), query={"limit": 1})
        since = listed["metadata"]["resourceVersion"]
        for _ in client.watch(kind, query={"resourceVersion": since}):
            self._changed.set()
