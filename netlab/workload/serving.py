"""Listening sockets in pods' namespaces, and the protocols behind them.

A socket belongs for ever to the namespace in which it was made, so the process enters a pod's
namespace only for the microseconds it takes to make them.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from netlab.errors import NetlabError
from netlab.kernel.netns import entered
from netlab.workload.access_log import AccessLog
from netlab.workload.connection import (
    Connections,
    Deadlines,
    HttpConnection,
    TcpConnection,
    UdpService,
)
from netlab.workload.served import Json, Listener, ServedContainer, ServedPod
from netlab.workload.site import Site
from netlab.workload.template import TemplateError

_BACKLOG = 1024

Closer = Callable[[], None]
Problems = list[str]


class Pods:
    """All pods that this process serves."""

    def __init__(self) -> None:
        self._pods: dict[str, Pod] = {}
        self._health: dict[str, HealthPorts] = {}
        self._deadlines = Deadlines()

    async def serve(self, sites: Mapping[str, Json], pods: list[Json]) -> dict[str, Problems]:
        """Serve pods, in place of what was served under the same uid. Returns problems by uid."""
        problems = {}
        for data in pods:
            served = ServedPod.from_json(data)
            known = self._pods.get(served.uid)
            if known is not None and known.served == served:
                continue
            self.stop([served.uid])
            pod = self._pods[served.uid] = Pod(served)
            found = await pod.open(sites, self._deadlines)
            if found:
                problems[served.uid] = found
        return problems

    def stop(self, uids: list[str]) -> None:
        """Close the ports and the connections of pods; unknown ones are no error."""
        for uid in uids:
            pod = self._pods.pop(uid, None)
            if pod is not None:
                pod.close()
            health = self._health.pop(uid, None)
            if health is not None:
                health.close()

    def served(self) -> list[Json]:
        """What is served, as it was asked for."""
        return [pod.served.to_json() for pod in self._pods.values()]

    def log(self, uid: str, container: str) -> AccessLog | None:
        """The log of a container, if it is served here."""
        pod = self._pods.get(uid)
        return pod.logs.get(container) if pod is not None else None

    async def health(self, uid: str, netns: str, ips: list[str], ports: Json) -> Problems:
        """Answer healthCheckNodePorts in a node's namespace, these and no others."""
        known = self._health.get(uid)
        if known is None:
            known = self._health[uid] = HealthPorts(netns, ips, self._deadlines)
        return await known.update({int(port): answer for port, answer in ports.items()})


class Pod:
    """One served pod: its open ports and the logs of its containers."""

    def __init__(self, served: ServedPod) -> None:
        self.served = served
        self.logs = {container.name: AccessLog() for container in served.containers}
        self._connections = Connections()
        self._closers: list[Closer] = []

    async def open(self, sites: Mapping[str, Json], deadlines: Deadlines) -> Problems:
        """Open every port; what does not open is returned as text, the others serve."""
        wanted = [
            (container, listener)
            for container in self.served.containers
            for listener in container.listeners
        ]
        opened, problems = open_sockets(
            self.served.netns, self.served.ips, [listener for _, listener in wanted]
        )
        for (container, listener), opened_socket in zip(wanted, opened, strict=True):
            if opened_socket is not None:
                problems += await self._attach(opened_socket, container, listener, sites, deadlines)
        return problems

    async def _attach(
        self,
        opened: socket.socket,
        container: ServedContainer,
        listener: Listener,
        sites: Mapping[str, Json],
        deadlines: Deadlines,
    ) -> Problems:
        variables = {**container.variables, "port": str(listener.port)}
        log = self.logs[container.name]
        factory: Callable[[], Any]
        try:
            match listener.serve:
                case "http":
                    site = Site(sites[listener.site], variables)
                    factory = partial(HttpConnection, site, log, self._connections, deadlines)
                case "tcp":
                    data = sites[listener.site]
                    factory = partial(TcpConnection, data, variables, log, self._connections)
                case "udp":
                    factory = partial(UdpService, sites[listener.site], variables, log)
        except (TemplateError, KeyError, ValueError) as error:
            opened.close()
            return [f"port {listener.port}: site {listener.site}: {error}"]
        self._closers.append(await attach(opened, factory))
        return []

    def close(self) -> None:
        """Close ports and connections."""
        for close in self._closers:
            close()
        self._connections.abort()


def open_sockets(
    netns: str, ips: tuple[str, ...], listeners: list[Listener]
) -> tuple[list[socket.socket | None], list[str]]:
    """A bound socket for each listener (None where that failed), and the problems as text."""
    opened: list[socket.socket | None] = []
    problems: list[str] = []
    dual = any(":" in ip for ip in ips)
    try:
        with entered(Path(netns)):
            for listener in listeners:
                try:
                    opened.append(bound(listener, dual=dual))
                except OSError as error:
                    opened.append(None)
                    problems.append(
                        f"{listener.protocol} port {listener.port}: {error.strerror or error}"
                    )
    except NetlabError as error:
        return [None] * len(listeners), [error.message]
    return opened, problems


def bound(listener: Listener, *, dual: bool) -> socket.socket:
    """A socket on all addresses of the calling thread's namespace, listening if it is TCP."""
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
        opened.bind(("::" if dual else "0.0.0.0", listener.port))
        if kind == socket.SOCK_STREAM:
            opened.listen(_BACKLOG)
    except BaseException:
        opened.close()
        raise
    return opened


async def attach(opened: socket.socket, factory: Callable[[], Any]) -> Closer:
    """Serve a bound socket; returns what closes it."""
    loop = asyncio.get_running_loop()
    if opened.type == socket.SOCK_DGRAM:
        transport, _ = await loop.create_datagram_endpoint(factory, sock=opened)
        return transport.abort
    server = await loop.create_server(factory, sock=opened, backlog=_BACKLOG)
    return server.close


class HealthPorts:
    """The healthCheckNodePorts of one node: what they say changes while they stay open."""

    def __init__(self, netns: str, ips: list[str], deadlines: Deadlines) -> None:
        self._netns = netns
        self._ips = tuple(ips)
        self._deadlines = deadlines
        self._log = AccessLog()
        self._connections = Connections()
        self._answers: dict[int, Json] = {}
        self._open: dict[int, tuple[_HealthSite, Closer]] = {}

    async def update(self, answers: dict[int, Json]) -> Problems:
        """Open, change and close ports until exactly these are answered."""
        for port in [port for port in self._open if port not in answers]:
            self._open.pop(port)[1]()
        for port in answers.keys() & self._open.keys():
            self._open[port][0].site = health_site(answers[port])
        new = sorted(answers.keys() - self._open.keys())
        listeners = [Listener(port, "http", "health") for port in new]
        opened, problems = open_sockets(self._netns, self._ips, listeners)
        for port, opened_socket in zip(new, opened, strict=True):
            if opened_socket is not None:
                await self._add(port, opened_socket, answers[port])
        return problems

    async def _add(self, port: int, opened: socket.socket, answer: Json) -> None:
        entry = _HealthSite(health_site(answer))

        def connection() -> HttpConnection:
            return HttpConnection(entry.site, self._log, self._connections, self._deadlines)

        self._open[port] = (entry, await attach(opened, connection))

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
    """The site that says one thing to everybody: kube-proxy's health JSON."""
    route = {
        "path": "/*",
        "status": answer["status"],
        "type": "application/json",
        "headers": {"X-Content-Type-Options": "nosniff", **answer.get("headers", {})},
        "body": "{{answer}}",
    }
    return Site({"routes": [route]}, {"answer": json.dumps(answer["body"], indent="\t")})
