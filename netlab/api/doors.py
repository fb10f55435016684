"""Where the API is reached from inside the lab: a socket on each node of the control plane.

It is made in the node's network namespace, and belongs to it for ever; what answers on it is the
controller, like an API server that runs on its node's network.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from netlab.api.guests import Guests
from netlab.api.secure import SEND_BUFFER
from netlab.errors import NetlabError
from netlab.kernel import netns, paths
from netlab.network import plan
from netlab.objects import bootstrap
from netlab.objects.lab import Lab, Node
from netlab.tasks import cancel

log = logging.getLogger("netlab")

_LOOK_EVERY = 2.0
"""Seconds from one look at the nodes to the next: one may have gone, and come anew."""

_BACKLOG = 128
_STUCK = 60_000
"""Milliseconds after which a connection is given up whose other end does not take what is sent."""


class Doors:
    """Keeps the sockets open as long as there are the nodes; `nodes` are those that run. Before one
    is opened, `certify` has the server's certificate name them."""

    def __init__(
        self,
        lab: Lab,
        directory: Path,
        guests: Guests,
        nodes: Callable[[], Sequence[Node]],
        certify: Callable[[], Awaitable[None]],
    ) -> None:
        self._certify = certify
        self._lab = lab
        self._directory = directory
        self._guests = guests
        self._nodes = nodes
        self._open: dict[str, int] = {}
        """The namespaces by nodes, as inode numbers."""
        self._keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Open what can be opened, and go on looking."""
        self._look()
        self._keeping = asyncio.create_task(self._keep(), name="doors of the API")

    async def stop(self) -> None:
        """Look no more."""
        await cancel(self._keeping)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                await self._certify()
            except (OSError, NetlabError) as error:
                log.error("the API's certificate stays as it is: %s", error)
            self._look()

    def _look(self) -> None:
        for node in bootstrap.control_planes(self._nodes()):
            path = paths.namespace(self._directory, plan.node_name(self._lab, node.name))
            try:
                self._ensure(node.name, path)
            except (OSError, NetlabError) as error:
                log.debug("the API does not answer on %s: %s", node.name, error)

    def _ensure(self, node: str, path: Path) -> None:
        with netns.opened(path) as namespace:
            number = os.fstat(namespace).st_ino
            if self._open.get(node) == number:
                return
            with netns.entered(namespace):
                door = _listening("IPv6" in self._lab.ip_families)
        self._guests.listen(node, door)
        self._open[node] = number


def _listening(dual: bool) -> socket.socket:
    """A socket on all addresses of this thread's namespace."""
    door = socket.socket(socket.AF_INET6 if dual else socket.AF_INET, socket.SOCK_STREAM)
    try:
        door.setblocking(False)
        if dual:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STUCK)
        door.bind(("::" if dual else "0.0.0.0", bootstrap.API_PORT))
        door.listen(_BACKLOG)
    except BaseException:
        door.close()
        raise
    return door
