"""The process that answers names: `python -m netlab.dns.process SOCKET`.

A lab has one in the pod of the cluster's DNS, in front of the dnsmasqs there (`front`) and behind
them (`responder`); and one for the internet. Both outlive the controller. It makes their sockets
and hands them over, keeps them open too, and takes them back from one that it finds running: so
whoever is killed, no query is lost.

The first requests come while there are rights to lose yet: `tell`, the names that there are, and
`serve`, where to answer. With that the process gives up everything but its sockets and, if it has
somebody to ask, a network namespace to ask from.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from netlab.dns.front import Front
from netlab.dns.outside import Outside
from netlab.dns.records import NO_RECORDS, from_json
from netlab.dns.responder import ClusterReplies, InternetReplies, Responder
from netlab.dns.zone import Zone
from netlab.errors import NetlabError
from netlab.kernel import netns, process, syscalls, userns
from netlab.kernel.mailbox import Mailbox
from netlab.workload import confined, control, handover
from netlab.workload.control import Control, Json, Session


class Role(Protocol):
    """What one of the two does, and for that knows."""

    def tell(self, key: str, value: Any) -> None:
        """There is now such an entry, or (None) none."""

    async def open(self, sockets: Sequence[socket.socket]) -> None:
        """Answer, by what has been told."""


class Cluster:
    """Entries are what Services contribute, by the Services' keys.

    It is told `domain`, where the `dnsmasqs` are, the `upstreams` for other names, and the
    `mailbox` of the front. Sockets: UDP and TCP for clients, UDP and TCP for dnsmasq.
    """

    user = userns.CLUSTER_NAMES

    def __init__(self, told: Json) -> None:
        self._zone = Zone(told["domain"])
        self._replies = ClusterReplies(self._zone, _servers(told["upstreams"]))
        self._dnsmasqs = _servers(told["dnsmasqs"])
        self._box = Mailbox(Path(told["mailbox"]))

    def tell(self, key: str, value: Any) -> None:
        """See `Role`."""
        self._zone.replace(key, NO_RECORDS if value is None else from_json(value))

    async def open(self, sockets: Sequence[socket.socket]) -> None:
        """See `Role`."""
        udp, tcp, behind_udp, behind_tcp = sockets
        await Responder(self._replies, behind_udp, behind_tcp).open()
        await Front(self._box, udp, tcp, self._dnsmasqs).open()


class Internet:
    """Entries are the addresses of names, [] being the internet's own.

    It is told `addresses`, which those are, and the `upstreams` for names that it does not know.
    Sockets: UDP and TCP.
    """

    user = userns.INTERNET_DNS

    def __init__(self, told: Json) -> None:
        self._outside = Outside(told["addresses"])
        self._replies = InternetReplies(self._outside, _servers(told["upstreams"]))

    def tell(self, key: str, value: Any) -> None:
        """See `Role`."""
        if value is None:
            self._outside.names.pop(key, None)
        else:
            self._outside.names[key] = value

    async def open(self, sockets: Sequence[socket.socket]) -> None:
        """See `Role`."""
        await Responder(self._replies, *sockets).open()


ROLES: dict[str, type[Cluster] | type[Internet]] = {"cluster": Cluster, "internet": Internet}


class Names:
    """What a controller may ask for."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._entries: dict[str, Any] = {}
        self._told: Json | None = None
        self._role: Role | None = None
        self._sockets: list[socket.socket] = []
        self.control = Control(
            {"tell": self._tell, "told": self._what_was_told},
            {"serve": self._serve, "sockets": self._give_back},
        )

    async def _tell(self, request: Json) -> None:
        """Entries beside those that there are, or in place of all; None is one that is no more."""
        entries = request["entries"]
        if request["replace"]:
            entries = dict.fromkeys(self._entries) | entries
        for key, value in entries.items():
            if self._role is not None:
                self._role.tell(key, value)
            if value is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = value if self._role is None else None

    async def _what_was_told(self, _: Json) -> Json | None:
        return self._told

    async def _serve(self, request: Json, session: Session) -> None:
        """Answer as `told`: {role, namespace, asks, …}, see `keeper`."""
        if self._told is not None:
            raise NetlabError("names are served already")
        self._told = told = request["told"]
        self._sockets = await session.sockets(request["sockets"])
        kind = ROLES[told["role"]]
        role = kind(told)
        if told["namespace"] is not None:
            with netns.opened(Path(told["namespace"])) as namespace:
                syscalls.setns(namespace)
        confined.give_up_rights(userns.daemon_id(self._owner, kind.user), asks=told["asks"])
        for key, value in self._entries.items():
            role.tell(key, value)
        self._entries = dict.fromkeys(self._entries)
        await role.open(self._sockets)
        self._role = role
        session.send({"result": None})

    async def _give_back(self, _: Json, session: Session) -> None:
        """The sockets, for whoever is to keep them from now on."""
        with session.writer.get_extra_info("socket").dup() as connection:
            connection.setblocking(True)
            handover.send(connection, self._sockets)


def _servers(listed: Sequence[Sequence[Any]]) -> list[tuple[str, int]]:
    return [(str(host), int(port)) for host, port in listed]


def run(path: Path, owner: str) -> None:
    """Serve until TERM or INT. For a process of one thread."""
    control.raise_open_file_limit()
    asyncio.run(control.serve(Names(owner).control, control.listen(path)))


def main(argv: list[str]) -> int:
    """The command line: one argument, the path of the control socket."""
    if len(argv) != 1:
        print("usage: python -m netlab.dns.process SOCKET", file=sys.stderr)
        return 2
    try:
        run(Path(argv[0]), os.environ[process.OWNER_VARIABLE])
    except NetlabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
