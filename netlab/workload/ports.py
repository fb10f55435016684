"""The sockets on which pods are served: made by the controller, in their namespaces.

A socket belongs for ever to the namespace in which it was made, so a thread enters a pod's only for
the microseconds it takes to make them. Whoever answers on them (the responder) is handed them, and
needs no rights for it. We keep them too: when that process dies, clients wait in their queues until
the next one has them, and none is refused.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

from msgspec import Struct, field

from netlab.errors import NetlabError
from netlab.kernel import netns
from netlab.workload.served import Listener

BACKLOG = 1024

Port = tuple[str, Listener]
"""The name of a container, and what it listens on."""


class ListeningPlace(Struct):
    """Where ports are opened: the namespace mounted at a path, for a pod of these addresses, on all
    of the namespace's or on one (`host`)."""

    path: str
    ips: tuple[str, ...]
    host: str = ""

    @property
    def dual(self) -> bool:
        """Whether IPv6 is spoken, too."""
        return any(":" in ip for ip in self.ips)


class _Open(Struct):
    """What is open for one uid, in which namespace that is."""

    namespace: int
    sockets: dict[Port, socket.socket] = field(default_factory=dict)

    def close(self) -> None:
        for each in self.sockets.values():
            each.close()
        self.sockets.clear()


class Ports:
    """All that are open, by the uid they were opened for. Their owner calls one at a time."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def open(
        self, uid: str, place: ListeningPlace, wanted: Iterable[Port]
    ) -> tuple[dict[Port, socket.socket], list[str]]:
        """A socket for each port, the one that is open already if there is one.

        Returns also the problems as text; a port with one has no socket.
        """
        try:
            with netns.opened(Path(place.path)) as namespace:
                known = self._known(uid, os.fstat(namespace).st_ino)
                with netns.entered(namespace):
                    return _opened(known.sockets, wanted, place)
        except NetlabError as error:
            return {}, [error.message]

    def _known(self, uid: str, namespace: int) -> _Open:
        known = self._open.get(uid)
        if known is None or known.namespace != namespace:
            self.close([uid])
            known = self._open[uid] = _Open(namespace)
        return known

    def close(self, uids: Iterable[str]) -> None:
        """Close what is open for these."""
        for uid in uids:
            if known := self._open.pop(uid, None):
                known.close()

    def close_all(self) -> None:
        """Close our own of all that are open."""
        self.close([*self._open])

    def share(self, uid: str, owner: int) -> None:
        """Let a user of the machine listen beside us on what is open for a uid.

        Of two sockets on one port the kernel asks that both have SO_REUSEPORT, and one owner.
        """
        for each in self._open[uid].sockets.values() if uid in self._open else ():
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            os.fchown(each.fileno(), owner, -1)

    def has_others(self, uid: str, ports: Collection[Port]) -> bool:
        """Whether anything is open for a uid beside these ports."""
        return uid in self._open and not self._open[uid].sockets.keys() <= set(ports)

    def close_others(self, uid: str, ports: Collection[Port]) -> None:
        """Close what is open for a uid, but for these ports."""
        sockets = self._open[uid].sockets if uid in self._open else {}
        for port in sockets.keys() - set(ports):
            sockets.pop(port).close()


def _opened(
    known: dict[Port, socket.socket], wanted: Iterable[Port], place: ListeningPlace
) -> tuple[dict[Port, socket.socket], list[str]]:
    problems = []
    ports = list(wanted)
    for port in ports:
        _, listener = port
        try:
            if port not in known:
                known[port] = bound(listener, dual=place.dual, host=place.host)
        except OSError as error:
            problems.append(f"{listener.protocol} port {listener.port}: {error.strerror or error}")
    return {port: known[port] for port in ports if port in known}, problems


def bound(listener: Listener, *, dual: bool, host: str = "") -> socket.socket:
    """A socket of the calling thread's namespace, on one address or all; listening if it is TCP."""
    family = socket.AF_INET6 if dual else socket.AF_INET
    kind, protocol = socket.SOCK_STREAM, socket.IPPROTO_TCP
    if listener.serve == "udp":
        kind, protocol = socket.SOCK_DGRAM, socket.IPPROTO_UDP
    # asyncio turns Nagle's algorithm off only where the protocol is named.
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setblocking(False)
        if dual:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host or ("::" if dual else "0.0.0.0"), listener.port))
        if kind == socket.SOCK_STREAM:
            opened.listen(BACKLOG)
    except BaseException:
        opened.close()
        raise
    return opened
