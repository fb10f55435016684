"""The link that carries the addresses of a node's DNS cache, as node-cache makes it.

A dummy, or where the kernel has none a bridge without ports: either leads nowhere, and what matters
is that the node has the addresses. It comes and goes with the cache, so it is in no plan.
"""

from __future__ import annotations

import errno
import socket as sockets
from collections.abc import Sequence
from pathlib import Path

from netlab.errors import KernelRefused
from netlab.kernel import messages, netns
from netlab.kernel.netlink import NetlinkSocket
from netlab.network import names, read
from netlab.network.encode import message
from netlab.network.operations import AddAddress, SetUp
from netlab.network.plan import announced
from netlab.network.settings import without

_NAME, _INDEX = names.NODE_CACHE_LINK, names.NODE_CACHE_LINK_INDEX


def ensure(where: Path, addresses: Sequence[str]) -> bool:
    """Have a namespace have the link, up, with these addresses; True if it did not. Idempotent."""
    with NetlinkSocket(where) as socket:
        index, amiss = _index(where), False
        if index is None:
            index, amiss = _INDEX, True
            _add(socket)
        missing = without([announced(ip) for ip in addresses], read.announced(socket, index))
        up = SetUp(where.name, _NAME, index)
        added = [AddAddress(where.name, _NAME, index, address) for address in missing]
        socket.request([message(each, _no_peer) for each in (up, *added)])
    return amiss or bool(missing)


def remove(where: Path) -> None:
    """Take the link away, with its addresses. Idempotent."""
    with NetlinkSocket(where) as socket:
        if (index := _index(where)) is not None:
            socket.request([messages.delete_link(f"delete {_NAME} in {where.name}", index)])


def _add(socket: NetlinkSocket) -> None:
    mac = names.mac(_NAME)
    try:
        socket.request([messages.add_dummy(f"add the dummy {_NAME}", _NAME, _INDEX, mac)])
    except KernelRefused as refused:
        if refused.errno != errno.EOPNOTSUPP:
            raise
        socket.request([messages.add_bridge(f"add the bridge {_NAME}", _NAME, _INDEX, mac)])


def _no_peer(name: str) -> int:
    raise ValueError(f"none of it is about {name}")


def _index(where: Path) -> int | None:
    """Of the link, if it is there."""
    try:
        with netns.entered(where):
            return sockets.if_nametoindex(_NAME)
    except OSError:
        return None
