"""Certificates of the pods that serve https: each has the names by which clients know it, and has a
new one when Services give it others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from netlab.agents.loop import Loop
from netlab.agents.podrun import PodRun, hostname
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.client.informer import Informers
from netlab.errors import NetlabError
from netlab.objects import meta, selectors
from netlab.objects.bootstrap import API_PORT, CONTROL_PLANE
from netlab.objects.types import Node, Service
from netlab.workload.certificate import Issuer, SubjectNames

log = logging.getLogger(__name__)

SETTLE = 0.05
"""Seconds to wait for what else changes: of a Service first itself, then its address."""

_LOOPBACK = ("127.0.0.1", "::1")


class ClusterNames(Struct, frozen=True):
    """Its `domain`, and by what names, and at what addresses and ports, its API is reached.

    `networks` are those of its pods and ClusterIPs, `outsiders` addresses of machines that are no
    nodes: neither becomes a Service's own by its saying so.
    """

    domain: str
    api_names: frozenset[str] = frozenset()
    api_addresses: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[str, ...] = ()
    outsiders: frozenset[str] = frozenset()


class PodCertificates:
    """Of the containers that the responder serves over TLS, by their uids there."""

    def __init__(
        self, issuer: Issuer, informers: Informers, keeper: ResponderKeeper, cluster: ClusterNames
    ) -> None:
        self._issuer = issuer
        self._informers = informers
        self._keeper = keeper
        self._cluster = cluster
        self._runs: dict[str, PodRun] = {}
        self._shown: dict[str, SubjectNames | None] = {}
        """Whose certificate each shows, or is about to; None: it is not known."""
        self._loop = Loop("pods' certificates", self._renew, settle=SETTLE)

    def add(self, uid: str, run: PodRun) -> None:
        """A container that speaks TLS, and is yet to be given a certificate."""
        if not self._loop.runs:
            self._loop.start()
            self._informers["Service"].add_listener(self._on_change)
            self._informers["Node"].add_listener(self._on_change)
        self._runs[uid] = run

    def adopt(self, uid: str) -> None:
        """One that was added shows a certificate already, whose names may be old."""
        if uid in self._runs:
            self._shown[uid] = None
            self._loop.wake()

    def forget(self, uids: Iterable[str]) -> None:
        """These are served no more."""
        for uid in uids:
            self._runs.pop(uid, None)
            self._shown.pop(uid, None)

    async def stop(self) -> None:
        """Renew none any more."""
        await self._loop.stop()

    async def of(self, uids: Sequence[str]) -> tuple[dict[str, str], dict[str, NetlabError]]:
        """New certificates for those of them that were added, with their keys, and why one could
        not be made."""
        mine = [uid for uid in uids if uid in self._runs]
        issued = await asyncio.gather(*(self._issue(uid) for uid in mine))
        found = dict(zip(mine, issued, strict=True))
        return (
            {uid: pem for uid, pem in found.items() if isinstance(pem, str)},
            {uid: error for uid, error in found.items() if isinstance(error, NetlabError)},
        )

    async def _issue(self, uid: str) -> str | NetlabError:
        names = self._shown[uid] = self._names(self._runs[uid])
        try:
            return await asyncio.to_thread(self._issuer.issue, names)
        except NetlabError as error:
            self._shown[uid] = None
            return error

    def _on_change(self, old: Any, new: Any) -> None:
        """Nodes tell of themselves all the time, and seldom anything new."""
        either = old or new
        if either["kind"] != "Node" or addresses_of(old) != addresses_of(new):
            self._loop.wake()

    async def _renew(self, _: bool) -> None:
        other = [uid for uid, names in self._shown.items() if names != self._names(self._runs[uid])]
        if not other:
            return
        certificates, errors = await self.of(other)
        await self._keeper.reached(lambda: self._keeper.client.certify(certificates))
        for uid, error in errors.items():
            log.error("no new certificate for %s: %s", self._runs[uid].key, error)

    def _names(self, run: PodRun) -> SubjectNames:
        services, nodes = self._informers["Service"].items(), self._informers["Node"].items()
        return names_of(run, services, list(nodes), self._cluster)


def names_of(
    run: PodRun, services: Iterable[Service], nodes: Sequence[Node], cluster: ClusterNames
) -> SubjectNames:
    """By which a pod may be asked for: its own, and those of the Services that select it.

    None is anybody else's: another Service's, or a node's, or claimed by an older Service of
    another namespace. Who asks for `web` in his own namespace must not be answered by ours.

    None of them is the API's as long as any Service takes to itself what is sent there: who trusts
    the lab's CA would take that pod for the API.
    """
    domain, services, cluster = cluster.domain, list(services), _with_nodes(cluster, nodes)
    mine = sorted((service for service in services if _selects(service, run)), key=meta.name)
    others = [service for service in services if not _selects(service, run)]
    names = [*_own_names(run, domain, {meta.name(service) for service in mine})]
    addresses = [*run.ips]
    for service in mine:
        names += _service_names(meta.name(service), meta.namespace(service), domain)
        addresses += _cluster_ips(service)
        addresses += _own_outer_addresses(service, others, cluster)
        if meta.spec(service).get("type") in ("NodePort", "LoadBalancer"):
            addresses += [address for node in nodes for address in addresses_of(node)]
    taken = _taken(names, others, nodes, domain, host_network=run.host_network)
    names = [name for name in names if name not in taken]
    if any(_poses(service, cluster) for service in services):
        names = [name for name in names if name not in cluster.api_names]
        addresses = [address for address in addresses if address not in cluster.api_names]
    return SubjectNames(tuple(dict.fromkeys(names)), tuple(dict.fromkeys((*addresses, *_LOOPBACK))))


def _with_nodes(cluster: ClusterNames, nodes: Sequence[Node]) -> ClusterNames:
    """The cluster with the nodes of its control plane that have joined."""
    planes = [node for node in nodes if meta.labels(node).get(CONTROL_PLANE) is not None]
    addresses = [address for node in planes for address in addresses_of(node)]
    return replace(
        cluster,
        api_names=cluster.api_names.union(addresses, map(meta.name, planes)),
        api_addresses=cluster.api_addresses.union((ip, API_PORT) for ip in addresses),
    )


def _taken(
    names: Iterable[str],
    others: Iterable[Service],
    nodes: Iterable[Node],
    domain: str,
    *,
    host_network: bool,
) -> set[str]:
    """Which of these names others may have, who begin as one of them does."""
    first = {name.partition(".")[0] for name in names}
    taken = set() if host_network else {meta.name(node) for node in nodes}
    for service in others:
        if meta.name(service) in first:
            taken |= {*_service_names(meta.name(service), meta.namespace(service), domain)}
    return taken


def _own_outer_addresses(
    service: Service, others: Iterable[Service], cluster: ClusterNames
) -> Iterator[str]:
    """The addresses from outside that are nobody else's, but perhaps of its namespace."""
    asked = set(_outer_addresses(service)) - cluster.outsiders
    if not asked:
        return
    networks = [ip_network(each) for each in cluster.networks]
    strangers = [one for one in others if meta.namespace(one) != meta.namespace(service)]
    taken = {
        address
        for one in strangers
        if meta.by_creation(one) < meta.by_creation(service)
        for address in _outer_addresses(one)
    }
    for address in sorted(asked - taken):
        if not any(ip_address(address) in network for network in networks):
            yield address


def _poses(service: Service, cluster: ClusterNames) -> bool:
    """Whether it is at one of the API's addresses and ports, and is not the API's own."""
    own = not meta.spec(service).get("selector")
    addresses = _outer_addresses(service) if own else _service_addresses(service)
    ports = [port["port"] for port in meta.spec(service).get("ports") or ()]
    return not cluster.api_addresses.isdisjoint(product(addresses, ports))


def _selects(service: Service, run: PodRun) -> bool:
    selector = meta.spec(service).get("selector")
    if not selector or meta.namespace(service) != meta.namespace(run.pod):
        return False
    return selectors.from_map(selector).matches(meta.labels(run.pod))


def _own_names(run: PodRun, domain: str, services: Collection[str]) -> Iterator[str]:
    """Behind a Service of its subdomain's name it has one there."""
    name, namespace = hostname(run.pod), meta.namespace(run.pod)
    yield name
    if (subdomain := meta.spec(run.pod).get("subdomain") or "") in services:
        for service in _service_names(subdomain, namespace, domain):
            yield f"{name}.{service}"
    for ip in run.ips:
        yield f"{ip.replace('.', '-').replace(':', '-')}.{namespace}.pod.{domain}"
    yield "localhost"


def _service_names(name: str, namespace: str, domain: str) -> Sequence[str]:
    full = f"{name}.{namespace}.svc.{domain}"
    return name, f"{name}.{namespace}", f"{name}.{namespace}.svc", full


def _service_addresses(service: Service) -> Iterator[str]:
    yield from _cluster_ips(service)
    yield from _outer_addresses(service)


def _cluster_ips(service: Service) -> Iterator[str]:
    yield from (ip for ip in meta.spec(service).get("clusterIPs") or () if ip != "None")


def _outer_addresses(service: Service) -> Iterator[str]:
    yield from meta.spec(service).get("externalIPs") or ()
    balancer: Mapping[str, Any] = meta.status(service).get("loadBalancer") or {}
    yield from (entry["ip"] for entry in balancer.get("ingress") or () if entry.get("ip"))


def addresses_of(node: Node | None) -> list[str]:
    """Where a node is."""
    status = meta.status(node) if node is not None else {}
    addresses = status.get("addresses") or ()
    return [each["address"] for each in addresses if each["type"] in ("InternalIP", "ExternalIP")]
