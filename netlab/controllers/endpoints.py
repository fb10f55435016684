"""Endpoints: the older form of a Service's addresses, one object of the Service's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from netlab.controllers import endpoints_of
from netlab.controllers.controller import Controller, ControllerContext, WatchedKind, own_key
from netlab.controllers.endpoints_of import Port, Protocol
from netlab.controllers.endpointslice import ServicesOfPods
from netlab.controllers.perpod import PerPod
from netlab.controllers.triggers import Triggers
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.offers import address_of
from netlab.objects.types import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Pod,
    Service,
)

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"
MAX_ADDRESSES = 1000
"""Addresses in one Endpoints object, beyond which Kubernetes cuts off."""

SETTLE = 0.03
"""Seconds that changes of pods wait for others: this form is written whole every time."""


class EndpointsObjects(Controller):
    """Keeps the Endpoints object of every Service that has a selector."""

    name = "endpoint-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._selection = ServicesOfPods(context)
        self._endpoints = self.informers["Endpoints"]
        self._triggers = Triggers()
        self._made: PerPod[_Served | None] = PerPod()

    def watches(self) -> Sequence[WatchedKind]:
        """Services and their Endpoints at once; pods after a moment for more to come."""
        return (
            WatchedKind("Service", own_key),
            WatchedKind("Pod", self._selection.keys, delay=SETTLE),
            WatchedKind("Endpoints", self._own_keys),
        )

    def _own_keys(self, old: Endpoints | None, new: Endpoints | None) -> Iterable[str]:
        managed = any(_is_ours(obj) for obj in (old, new) if obj)
        return own_key(old, new) if managed else ()

    async def reconcile(self, key: str) -> float | None:
        """Write the Service's Endpoints if they differ; delete them with the Service.

        They go with it whoever wrote them; they stay as they are when its selector goes.
        """
        services = self.informers["Service"]
        service, present = services.get(key), self._endpoints.get(key)
        if service is None:
            self._triggers.forget(key)
            self._made.forget(key)
            await self._remove(present)
        elif endpoints_of.has_managed_endpoints(service) and not services.is_going(service):
            await self._write(service, present)
        return None

    async def _remove(self, present: Endpoints | None) -> None:
        if present is None or self._endpoints.is_going(present):
            return
        try:
            await self.informers.delete(present)
        except NotFound:
            return

    async def _write(self, service: Service, present: Endpoints | None) -> None:
        pods = self._selection.pods(service)
        wanted = endpoints_object(service, pods, self._made)
        if triggered := self._triggers.of(service, pods):
            wanted["metadata"]["annotations"] = triggered
        if present is None:
            await self.informers.create(wanted)
        elif _content(present) != _content(wanted):
            wanted["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
            await self.informers.update(wanted)


def _is_ours(endpoints: Endpoints) -> bool:
    return meta.labels(endpoints).get(MANAGED_BY) == CONTROLLER


def _content(endpoints: Endpoints) -> tuple[object, ...]:
    return meta.labels(endpoints), endpoints.get("subsets") or []


class _Served(NamedTuple):
    """What a pod is in Endpoints: its address, whether it answers there, and the ports."""

    uid: str
    address: EndpointAddress
    is_ready: bool
    ports: Sequence[Port | None]


def endpoints_object(
    service: Service, pods: Iterable[Pod], made: PerPod[_Served | None] | None = None
) -> Endpoints:
    """The Endpoints object of a Service with these pods, in its first address family.

    `made` keeps what was made of pods the last time.
    """
    headless = {endpoints_of.HEADLESS_LABEL: ""} if endpoints_of.is_headless(service) else {}
    own = {k: v for k, v in meta.labels(service).items() if k != endpoints_of.HEADLESS_LABEL}
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": meta.name(service),
            "namespace": meta.namespace(service),
            "labels": {**own, **headless, MANAGED_BY: CONTROLLER},
        },
        "subsets": _subsets(service, pods, made or PerPod()),
    }


def _subsets(
    service: Service, pods: Iterable[Pod], made: PerPod[_Served | None]
) -> list[EndpointSubset]:
    """One subset for each set of pods that serve the same ports; terminating pods are left out.

    A pod is in none if it serves no port of the Service's, unless that is headless and has none.
    """
    every = made.of(service, sorted(pods, key=meta.name), partial(_served, service))
    addresses: dict[str, EndpointAddress] = {}
    by_port: dict[Port | None, dict[str, bool]] = {}
    for served in filter(None, every):
        addresses[served.uid] = served.address
        for port in served.ports:
            by_port.setdefault(port, {})[served.uid] = served.is_ready
    by_pods: dict[tuple[tuple[str, bool], ...], list[Port]] = {}
    for one, ready in by_port.items():
        by_pods.setdefault(tuple(ready.items()), []).extend([one] if one else [])
    found = [_subset(ports, dict(ready), addresses) for ready, ports in by_pods.items()]
    return sorted(found, key=_order)


def _served(service: Service, pod: Pod) -> _Served | None:
    regardless = bool(meta.spec(service).get("publishNotReadyAddresses"))
    ip = address_of(pod, endpoints_of.families(service)[0])
    if ip is None or not endpoints_of.belongs(pod):
        return None
    if meta.is_terminating(pod) and not regardless:
        return None
    is_ready, ports = regardless or meta.is_ready(pod), _ports(service, pod)
    return _Served(meta.uid(pod), _address(service, pod, ip), is_ready, ports)


def _ports(service: Service, pod: Pod) -> Sequence[Port | None]:
    """The Service's ports that the pod serves; None is that of a Service without any."""
    portless = endpoints_of.is_headless(service) and not meta.spec(service).get("ports")
    return (None,) if portless else endpoints_of.ports_of(service, pod).ports


def _order(subset: EndpointSubset) -> list[tuple[str, str, int]]:
    """By their ports, so that the object does not change by itself."""
    return [(p.get("name", ""), p["protocol"], p["port"]) for p in subset.get("ports", [])]


def _subset(
    ports: Sequence[Port], ready: Mapping[str, bool], addresses: Mapping[str, EndpointAddress]
) -> EndpointSubset:
    both: dict[bool, list[EndpointAddress]] = {True: [], False: []}
    for uid, is_ready in ready.items():
        both[is_ready].append(addresses[uid])
    answering, others = (sorted(both[is_so], key=lambda one: one["ip"]) for is_so in (True, False))
    subset: EndpointSubset = {}
    if answering:
        subset["addresses"] = answering[:MAX_ADDRESSES]
    room = MAX_ADDRESSES - len(answering)
    if others and room > 0:
        subset["notReadyAddresses"] = others[:room]
    if ports:
        subset["ports"] = [_port(*port) for port in ports]
    return subset


def _port(name: str, protocol: Protocol, number: int, app: str) -> EndpointPort:
    port: EndpointPort = {"port": number, "protocol": protocol}
    if name:
        port["name"] = name
    if app:
        port["appProtocol"] = app
    return port


def _address(service: Service, pod: Pod, ip: str) -> EndpointAddress:
    address: EndpointAddress = {"ip": ip, "targetRef": endpoints_of.reference(pod)}
    if hostname := endpoints_of.hostname_of(service, pod):
        address["hostname"] = hostname
    if node := meta.spec(pod).get("nodeName"):
        address["nodeName"] = node
    return address
