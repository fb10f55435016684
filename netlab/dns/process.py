"""The process that answers names: `python -m netlab.dns.process SOCKET`.

A lab has one in the pod of the cluster's DNS, in front of the dnsmasqs there (`front`) and behind
them (`responder`); and one for the internet. Both outlive the controller. It makes their sockets
and hands them over, keeps them open too, and takes them back from one that it finds running: so
whoever is killed, no query is lost.

The first request comes while there are rights to lose yet: `serve`, where to answer. With that the
process gives up everything but its sockets and, if it has somebody to ask, a network namespace to
ask from. Who needs to know the names begins to answer when it is told them (`tell`).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from netlab.dns.forwarding import PLUGINS
from netlab.dns.front import Front
from netlab.dns.lasting import Lasting, page
from netlab.dns.nameserver import ClusterReplies, InternetReplies, NameServer
from netlab.dns.outside import Outside
from netlab.dns.records import NO_RECORDS, from_json
from netlab.dns.terms import OWN_TTL, TERMS
from netlab.dns.turns import UNDER_WAY
from netlab.dns.zone import Zone
from netlab.errors import NetlabError
from netlab.kernel import netns, process, syscalls, userns
from netlab.kernel.mailbox import Mailbox
from netlab.workload import control, handover
from netlab.workload.confined import give_up_rights
from netlab.workload.control import Control, ControlSession, Json

if TYPE_CHECKING:
    from netlab.dns.plugins import Plugins


class Role(Protocol):
    """What one of the two does, and for that knows."""

    async def open(self) -> None:
        """Begin with what needs no names."""

    def tell(self, key: str, value: Any) -> None:
        """There is now such an entry, or (None) none."""

    async def answer(self) -> None:
        """Begin with the rest: all entries are told."""

    def counted(self) -> str:
        """What it has counted, as Prometheus reads it."""


class ClusterNames:
    """Entries are what Services contribute, by the Services' keys.

    It is told `domain`, where the `dnsmasqs` are, who know whom to ask for other names, and the
    `mailbox` of the front; and whether there are `plugins`, which are an entry, too. Sockets: UDP
    and TCP for clients, UDP and TCP for dnsmasq.
    """

    user = userns.CLUSTER_NAMES

    def __init__(self, told: Json, sockets: Sequence[socket.socket]) -> None:
        udp, tcp, *behind = sockets
        self._zone = Zone(told["domain"])
        replies = ClusterReplies(self._zone, _servers(told["dnsmasqs"]))
        udp_behind, tcp_behind = behind  # where none but the dnsmasqs and the front ask
        self._responder = NameServer(replies, udp_behind, tcp_behind, UNDER_WAY)
        box = Mailbox(Path(told["mailbox"]))
        self._front = Front(box, udp, tcp, _servers(told["dnsmasqs"]))
        self._plugins = _plugins() if told["plugins"] else None

    async def open(self) -> None:
        """See `Role`. Behind plugins nobody is answered until they are told."""
        if self._plugins is None:
            await self._front.open()

    def tell(self, key: str, value: Any) -> None:
        """See `Role`."""
        if key == TERMS:
            self._front.lasting = None if value is None else Lasting(value)
            self._zone.ttl = OWN_TTL if value is None else value["ttl"]
        elif key != PLUGINS:
            self._zone.replace(key, NO_RECORDS if value is None else from_json(value))
        elif self._plugins is not None:
            self._front.plugins = None if value is None else self._plugins(value)

    async def answer(self) -> None:
        """See `Role`."""
        await self._responder.open()
        if self._plugins is not None:
            await self._front.open()

    def counted(self) -> str:
        """See `Role`."""
        return page(self._front.counts, self._front.lasting)


class InternetNames:
    """Entries are the addresses of names, [] being the internet's own.

    It is told `addresses`, which those are, and the `upstreams` for names that it does not know.
    Sockets: UDP and TCP.
    """

    user = userns.INTERNET_DNS

    def __init__(self, told: Json, sockets: Sequence[socket.socket]) -> None:
        self._outside = Outside(told["addresses"])
        replies = InternetReplies(self._outside, _servers(told["upstreams"]))
        udp, tcp = sockets
        self._responder = NameServer(replies, udp, tcp)

    async def open(self) -> None:
        """See `Role`."""

    def tell(self, key: str, value: Any) -> None:
        """See `Role`."""
        if value is None:
            self._outside.names.pop(key, None)
        else:
            self._outside.names[key] = value

    async def answer(self) -> None:
        """See `Role`."""
        await self._responder.open()

    def counted(self) -> str:
        """See `Role`: nobody asks."""
        return ""


ROLES: dict[str, type[ClusterNames] | type[InternetNames]] = {
    "cluster": ClusterNames,
    "internet": InternetNames,
}


class Names:
    """What a controller may ask for."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._keys: set[str] = set()
        self._told: Json | None = None
        self._role: Role | None = None
        self._answers = False
        self._sockets: list[socket.socket] = []
        self.control = Control(
            {"tell": self._tell, "told": self._what_was_told, "counted": self._counted},
            {"serve": self._serve, "sockets": self._give_back},
        )

    async def _tell(self, request: Json) -> None:
        """Entries beside those that there are, or in place of all; None is one that is no more."""
        if self._role is None:
            raise NetlabError("nothing is served yet")
        entries = request["entries"]
        if request["replace"]:
            entries = dict.fromkeys(self._keys) | entries
        for key, value in entries.items():
            self._role.tell(key, value)
            (self._keys.discard if value is None else self._keys.add)(key)
        if not self._answers:
            self._answers = True
            await self._role.answer()

    async def _what_was_told(self, _: Json) -> Json | None:
        return self._told

    async def _counted(self, _: Json) -> str:
        return self._role.counted() if self._role is not None else ""

    async def _serve(self, request: Json, session: ControlSession) -> None:
        """Answer as `told`: {role, namespace, asks, …}, see `keeper`."""
        if self._told is not None:
            raise NetlabError("names are served already")
        told = request["told"]
        self._sockets = await session.sockets(request["sockets"])
        kind = ROLES[told["role"]]
        role = kind(told, self._sockets)
        if told["namespace"] is not None:
            with netns.opened(Path(told["namespace"])) as namespace:
                syscalls.setns(namespace)
        give_up_rights(userns.daemon_id(self._owner, kind.user), asks=told["asks"])
        await role.open()
        self._role, self._told = role, told
        session.send({"result": None})

    async def _give_back(self, _: Json, session: ControlSession) -> None:
        """The sockets, for whoever is to keep them from now on."""
        with session.writer.get_extra_info("socket").dup() as connection:
            connection.setblocking(True)
            handover.send(connection, self._sockets)


def _plugins() -> Callable[[Any], Plugins]:
    """What makes them: imported while there are files yet, and by who needs it."""
    from netlab.dns import plugins

    return plugins.Plugins


def _servers(listed: Sequence[Sequence[Any]]) -> list[tuple[str, int]]:
    return [(str(host), int(port)) for host, port in listed]


def run(path: Path) -> None:
    """Serve until TERM or INT, the lab that marks us. For a process of one thread."""
    names = Names(os.environ[process.OWNER_VARIABLE])
    asyncio.run(control.serve(names.control, control.listen(path)))


if __name__ == "__main__":
    control.main("netlab.dns.process", "SOCKET", run)
