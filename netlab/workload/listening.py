"""The protocols behind pods' ports, whose sockets the controller has made (`ports`)."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from netlab.workload.access_log import AccessLog
from netlab.workload.connection import (
    ConnectionDeadlines,
    Connections,
    HttpConnection,
    TcpConnection,
    UdpService,
)
from netlab.workload.ports import BACKLOG
from netlab.workload.served import Json, Listener, ServedContainer, ServedPod
from netlab.workload.site import Site
from netlab.workload.template import TemplateError
from netlab.workload.tls import Tls
from netlab.workload.turns import Listening, Share, Turns

Closer = Callable[[], None]
Problems = list[str]


class Pods:
    """All pods that this process serves."""

    def __init__(self) -> None:
        self._pods: dict[str, Pod] = {}
        self._health: dict[str, ServedHealthPorts] = {}
        self._deadlines = ConnectionDeadlines()

    @cached_property
    def _turns(self) -> Turns:
        return Turns()  # of the loop, which there is by now

    async def serve(
        self, sites: Mapping[str, Json], pods: list[Json], sockets: Sequence[socket.socket]
    ) -> dict[str, Problems]:
        """Serve pods, in place of what was served under the same uid. Returns problems by uid.

        Each tells beside itself which of the sockets is for which of its ports (None: none is), and
        the certificate of those that speak TLS, with its key, in PEM.
        """
        problems = {}
        for data in pods:
            served = ServedPod.from_json(data["pod"])
            own = [None if place is None else sockets[place] for place in data["sockets"]]
            known = self._pods.get(served.uid)
            if known is not None and known.served == served and known.inodes == _inodes(own):
                self.certify({served.uid: data.get("certificate")})
                continue
            self.stop([served.uid])
            pod = self._pods[served.uid] = Pod(served, _inodes(own))
            self.certify({served.uid: data.get("certificate")})
            found = await pod.open(sites, own, self._deadlines, self._turns)
            if found:
                problems[served.uid] = found
        return problems

    def certify(self, certificates: Mapping[str, str | None]) -> None:
        """Certificates for pods by uid, from now on; unknown ones are no error."""
        for uid, pem in certificates.items():
            if pem and uid in self._pods:
                self._pods[uid].tls.certify(pem)

    def stop(self, uids: list[str]) -> None:
        """Close the ports and the connections of pods; unknown ones are no error."""
        for uid in uids:
            pod = self._pods.pop(uid, None)
            if pod is not None:
                pod.close()
            health = self._health.pop(uid, None)
            if health is not None:
                health.close()

    def leave(self, uids: list[str]) -> None:
        """Close the ports of pods, which somebody else answers on; who asks yet is answered."""
        for uid in uids:
            if pod := self._pods.pop(uid, None):
                pod.leave()

    def served(self) -> list[Json]:
        """What is served, as it was asked for."""
        return [pod.served.to_json() for pod in self._pods.values()]

    def log(self, uid: str, container: str) -> AccessLog | None:
        """The log of a container, if it is served here."""
        pod = self._pods.get(uid)
        return pod.logs.get(container) if pod is not None else None

    def health(self, uid: str, answers: Json) -> list[int]:
        """Answer so, on a node's healthCheckNodePorts; these that are not open are returned."""
        return self._health_ports(uid).update({int(port): answers[port] for port in answers})

    async def open_health(self, uid: str, answers: Json, sockets: Sequence[socket.socket]) -> None:
        """Answer on further ones, in the order of the sockets."""
        for (port, answer), opened in zip(answers.items(), sockets, strict=True):
            await self._health_ports(uid).open(int(port), answer, opened)

    def _health_ports(self, uid: str) -> ServedHealthPorts:
        return self._health.setdefault(uid, ServedHealthPorts(self._deadlines, self._turns))


def _inodes(sockets: Sequence[socket.socket | None]) -> list[int]:
    return [os.fstat(each.fileno()).st_ino for each in sockets if each is not None]


class Pod:
    """One served pod: its open ports and the logs of its containers.

    By their `inodes` sockets are known that come a second time.
    """

    def __init__(self, served: ServedPod, inodes: list[int]) -> None:
        self.served = served
        self.inodes = inodes
        self.logs = {container.name: AccessLog() for container in served.containers}
        self.tls = Tls()
        self._connections = Connections()
        self._closers: list[Closer] = []
        self._share = Share()

    async def open(
        self,
        sites: Mapping[str, Json],
        sockets: Sequence[socket.socket | None],
        deadlines: ConnectionDeadlines,
        turns: Turns,
    ) -> Problems:
        """Serve each port that has a socket; what cannot be is returned as text."""
        containers = {container.name: container for container in self.served.containers}
        problems = []
        for (name, listener), opened in zip(self.served.ports, sockets, strict=True):
            if opened is not None:
                try:
                    factory = self._factory(containers[name], listener, sites, deadlines)
                except (TemplateError, KeyError, ValueError) as error:
                    opened.close()
                    problems.append(f"port {listener.port}: site {listener.site}: {error}")
                    continue
                tls = self.tls if listener.serve == "https" else None
                self._closers.append(await attach(opened, factory, turns, self._share, tls))
        return problems

    def _factory(
        self,
        container: ServedContainer,
        listener: Listener,
        sites: Mapping[str, Json],
        deadlines: ConnectionDeadlines,
    ) -> Callable[[], Any]:
        """What makes a protocol for who connects."""
        variables = {**container.variables, "port": str(listener.port)}
        log, data = self.logs[container.name], sites[listener.site]
        match listener.serve:
            case "tcp":
                return partial(TcpConnection, data, variables, log, self._connections)
            case "udp":
                return partial(UdpService, data, variables, log)
        return partial(HttpConnection, Site(data, variables), log, self._connections, deadlines)

    def close(self) -> None:
        """Close ports and connections."""
        self._close_ports()
        self._connections.abort()

    def leave(self) -> None:
        """Close ports, and connections once who asks is answered."""
        self._close_ports()
        self._connections.leave()

    def _close_ports(self) -> None:
        for close in self._closers:
            close()


async def attach(
    opened: socket.socket,
    factory: Callable[[], Any],
    turns: Turns,
    share: Share,
    tls: Tls | None = None,
) -> Closer:
    """Serve a bound socket of a pod's, over TLS if so; returns what closes it."""
    loop = asyncio.get_running_loop()
    if opened.type == socket.SOCK_DGRAM:
        transport, _ = await loop.create_datagram_endpoint(factory, sock=opened)
        return transport.abort
    if tls is None:
        return Listening(opened, factory, turns, share).close
    server = await loop.create_server(factory, sock=opened, backlog=BACKLOG, **tls.options)
    return server.close


class ServedHealthPorts:
    """The healthCheckNodePorts of one node: what they say changes while they stay open."""

    def __init__(self, deadlines: ConnectionDeadlines, turns: Turns) -> None:
        self._deadlines = deadlines
        self._turns = turns
        self._share = Share()
        self._log = AccessLog()
        self._connections = Connections()
        self._open: dict[int, tuple[_HealthSite, Closer]] = {}

    def update(self, answers: dict[int, Json]) -> list[int]:
        """Change and close ports until no others are answered; returns those yet to be opened."""
        for port in [port for port in self._open if port not in answers]:
            self._open.pop(port)[1]()
        for port in answers.keys() & self._open.keys():
            self._open[port][0].site = health_site(answers[port])
        return sorted(answers.keys() - self._open.keys())

    async def open(self, port: int, answer: Json, opened: socket.socket) -> None:
        """Answer on one more."""
        entry = _HealthSite(health_site(answer))

        def connection() -> HttpConnection:
            return HttpConnection(entry.site, self._log, self._connections, self._deadlines)

        self._open[port] = (entry, await attach(opened, connection, self._turns, self._share))

    def close(self) -> None:
        """Close all ports."""
        for _, close in self._open.values():
            close()
        self._connections.abort()


class _HealthSite:
    """A cell for the current answer of one port."""

    def __init__(self, site: Site) -> None:
        self.site = site


def health_site(answer: Json) -> Site:
    """The site that says one thing to everybody: kube-proxy's health JSON, or a text."""
    text = answer.get("text")
    route = {
        "path": answer.get("path", "/*"),
        "status": answer["status"],
        "type": "text/plain; version=0.0.4; charset=utf-8" if text else "application/json",
        "headers": {"X-Content-Type-Options": "nosniff", **answer.get("headers", {})},
        "body": "{{answer}}",
    }
    said = text or json.dumps(answer["body"], indent="\t")
    return Site({"routes": [route]}, {"answer": said})
