"""EndpointSlices for Services without selector, from the Endpoints that somebody wrote for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.controllers import endpoints_of, slicing
from netlab.controllers.controller import Controller, ControllerContext, WatchedKind, own_key
from netlab.controllers.endpoints_of import PortSet
from netlab.controllers.endpointslice import (
    MANAGED_BY,
    index_by_service,
    write_changes,
)
from netlab.objects import meta
from netlab.objects.endpointslices import LABEL_SERVICE_NAME, service_keys
from netlab.objects.ranges import Family, family
from netlab.objects.types import Endpoint, EndpointAddress, Endpoints, EndpointSlice, ObjectMeta

CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"

Groups = dict[Family, dict[PortSet, list[Endpoint]]]
"""By address type, then by ports."""


class Mirroring(Controller):
    """Keeps the slices that mirror hand-written Endpoints."""

    name = "endpoint-slice-mirroring-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        index_by_service(self.informers["EndpointSlice"])

    def watches(self) -> Sequence[WatchedKind]:
        """Services, Endpoints, and the slices written here."""
        return (
            WatchedKind("Service", own_key),
            WatchedKind("Endpoints", own_key),
            WatchedKind("EndpointSlice", self._slice_keys),
        )

    def _slice_keys(self, old: EndpointSlice | None, new: EndpointSlice | None) -> Iterable[str]:
        mirrored = [obj for obj in (old, new) if obj is not None and _is_ours(obj)]
        return {key for obj in mirrored for key in service_keys(obj)}

    async def reconcile(self, key: str) -> float | None:
        """Make the slices say what the Endpoints say; none when there is nothing to mirror."""
        existing = [
            one for one in self.informers["EndpointSlice"].by_index("service", key) if _is_ours(one)
        ]
        endpoints = self._mirrored(key)
        groups = grouped(endpoints) if endpoints is not None else {}
        stale = [one for one in existing if one["addressType"] not in groups]
        await write_changes(self.informers, slicing.Changes(delete=stale))
        if endpoints is None:
            return None
        for of, by_ports in groups.items():
            mine = [one for one in existing if one["addressType"] == of]
            changes = slicing.plan(of, by_ports, mine, _metadata(endpoints))
            await write_changes(self.informers, changes)
        return None

    def _mirrored(self, key: str) -> Endpoints | None:
        """The Endpoints to mirror, if the Service is one of those that have none of their own."""
        service = self.informers["Service"].get(key)
        endpoints = self.informers["Endpoints"].get(key)
        if service is None or meta.spec(service).get("selector") or endpoints is None:
            return None
        if meta.labels(endpoints).get(SKIP) == "true":
            return None
        return None if self.informers["Endpoints"].is_going(endpoints) else endpoints


def _is_ours(slice_: EndpointSlice) -> bool:
    return meta.labels(slice_).get(MANAGED_BY) == CONTROLLER


def grouped(endpoints: Endpoints) -> Groups:
    """The endpoints of an Endpoints object as slices hold them."""
    groups: Groups = {}
    for subset in endpoints.get("subsets") or []:
        ports = endpoints_of.port_set(subset.get("ports") or [])
        ready = [(address, True) for address in subset.get("addresses") or []]
        unready = [(address, False) for address in subset.get("notReadyAddresses") or []]
        for address, is_ready in (*ready, *unready):
            entries = groups.setdefault(family(address["ip"]), {}).setdefault(ports, [])
            entries.append(_entry(address, is_ready))
    return groups


def _entry(address: EndpointAddress, ready: bool) -> Endpoint:
    entry: Endpoint = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    if hostname := address.get("hostname"):
        entry["hostname"] = hostname
    if node := address.get("nodeName"):
        entry["nodeName"] = node
    if reference := address.get("targetRef"):
        entry["targetRef"] = reference
    return entry


def _metadata(endpoints: Endpoints) -> ObjectMeta:
    name = meta.name(endpoints)
    labels = {**meta.labels(endpoints), LABEL_SERVICE_NAME: name, MANAGED_BY: CONTROLLER}
    return {
        "generateName": f"{name}-",
        "namespace": meta.namespace(endpoints),
        "labels": labels,
        "ownerReferences": [meta.owner_reference(endpoints)],
    }
