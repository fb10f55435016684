"""Endpoints: the older form of a Service's addresses, one object of the Service's name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from netlab.controllers import endpoints_of
from netlab.controllers.controller import Context, Controller, WatchedKind, own_key
from netlab.controllers.endpoints_of import PortSet
from netlab.controllers.endpointslice import ServicesOfPods
from netlab.errors import NotFound
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.objects.offers import address_of

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"
MAX_ADDRESSES = 1000
"""Addresses in one Endpoints object, beyond which Kubernetes cuts off."""

SETTLE = 0.03
"""Seconds that changes of pods wait for others: this form is written whole every time."""


class EndpointsObjects(Controller):
    """Keeps the Endpoints object of every Service that has a selector."""

    name = "endpoint-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._selection = ServicesOfPods(context)
        self._endpoints = self.informers["Endpoints"]

    def watches(self) -> Sequence[WatchedKind]:
        """Services and their Endpoints at once; pods after a moment for more to come."""
        return (
            WatchedKind("Service", own_key),
            WatchedKind("Pod", self._selection.keys, delay=SETTLE),
            WatchedKind("Endpoints", self._own_keys),
        )

    def _own_keys(self, old: Object | None, new: Object | None) -> Iterable[str]:
        managed = any(_is_ours(obj) for obj in (old, new) if obj)
        return own_key(old, new) if managed else ()

    async def reconcile(self, key: str) -> float | None:
        """Write the Service's Endpoints if they differ; delete them with the Service.

        They go with it whoever wrote them; they stay as they are when its selector goes.
        """
        services = self.informers["Service"]
        service, present = services.get(key), self._endpoints.get(key)
        if service is None:
            await self._remove(present)
        elif endpoints_of.has_managed_endpoints(service) and not services.is_going(service):
            await self._write(service, present)
        return None

    async def _remove(self, present: Object | None) -> None:
        if present is None or self._endpoints.is_going(present):
            return
        try:
            await self.informers.delete(present)
        except NotFound:
            return

    async def _write(self, service: Object, present: Object | None) -> None:
        wanted = endpoints_object(service, self._selection.pods(service))
        if present is None:
            await self.informers.create(wanted)
        elif _content(present) != _content(wanted):
            version = present["metadata"]["resourceVersion"]
            metadata = {**wanted["metadata"], "resourceVersion": version}
            await self.informers.update({**wanted, "metadata": metadata})


def _is_ours(endpoints: Object) -> bool:
    return meta.labels(endpoints).get(MANAGED_BY) == CONTROLLER


def _content(endpoints: Object) -> tuple[object, ...]:
    return meta.labels(endpoints), endpoints.get("subsets") or []


def endpoints_object(service: Object, pods: Iterable[Object]) -> Object:
    """The Endpoints object of a Service with these pods, in its first address family."""
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
        "subsets": _subsets(service, pods),
    }


def _subsets(service: Object, pods: Iterable[Object]) -> list[dict[str, Any]]:
    """One subset for each set of ports that pods serve; terminating pods are left out."""
    regardless = bool(meta.spec(service).get("publishNotReadyAddresses"))
    family = endpoints_of.families(service)[0]
    by_ports: dict[PortSet, dict[bool, list[dict[str, Any]]]] = {}
    for pod in sorted(pods, key=meta.name):
        ip = address_of(pod, family)
        if ip is None or not endpoints_of.belongs(pod):
            continue
        if meta.is_terminating(pod) and not regardless:
            continue
        ready = regardless or meta.is_ready(pod)
        subset = by_ports.setdefault(endpoints_of.ports_of(service, pod), {True: [], False: []})
        subset[ready].append(_address(service, pod, ip))
    return [_subset(ports, both[True], both[False]) for ports, both in _in_order(by_ports)]


def _in_order(
    by_ports: dict[PortSet, dict[bool, list[dict[str, Any]]]],
) -> list[tuple[PortSet, dict[bool, list[dict[str, Any]]]]]:
    """In the order of their ports, so that the object does not change by itself."""
    return sorted(by_ports.items(), key=lambda item: item[0].ports)


def _subset(
    ports: PortSet, ready: list[dict[str, Any]], unready: list[dict[str, Any]]
) -> dict[str, Any]:
    subset: dict[str, Any] = {}
    if ready:
        subset["addresses"] = sorted(ready, key=lambda one: one["ip"])[:MAX_ADDRESSES]
    room = MAX_ADDRESSES - len(ready)
    if unready and room > 0:
        subset["notReadyAddresses"] = sorted(unready, key=lambda one: one["ip"])[:room]
    if ports.ports:
        subset["ports"] = [
            {field: value for field, value in port.items() if value} for port in ports.as_list()
        ]
    return subset


def _address(service: Object, pod: Object, ip: str) -> dict[str, Any]:
    address: dict[str, Any] = {"ip": ip, "targetRef": endpoints_of.reference(pod)}
    if hostname := endpoints_of.hostname_of(service, pod):
        address["hostname"] = hostname
    if node := meta.spec(pod).get("nodeName"):
        address["nodeName"] = node
    return address
