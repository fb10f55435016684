"""EndpointSlices for Services without selector, from the Endpoints that somebody wrote for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netlab.controllers import endpoints_of, slicing
from netlab.controllers.controller import Context, Controller, WatchedKind, own_key
from netlab.controllers.endpoints_of import Endpoint, PortSet
from netlab.controllers.endpointslice import (
    MANAGED_BY,
    SERVICE_NAME,
    index_by_service,
    service_key,
    write_changes,
)
from netlab.objects import meta
from netlab.objects.meta import Object

CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"

Groups = dict[str, dict[PortSet, list[Endpoint]]]
"""By address type, then by ports."""


class Mirroring(Controller):
    """Keeps the slices that mirror hand-written Endpoints."""

    name = "endpoint-slice-mirroring-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        index_by_service(self.informers["EndpointSlice"])

    def watches(self) -> Sequence[WatchedKind]:
        """Services, Endpoints, and the slices written here."""
        return (
            WatchedKind("Service", own_key),
            WatchedKind("Endpoints", own_key),
            WatchedKind("EndpointSlice", self._slice_keys),
        )

    def _slice_keys(self, old: Object | None, new: Object | None) -> Iterable[str]:
        mirrored = [obj for obj in (old, new) if obj is not None and _is_ours(obj)]
        return {key for obj in mirrored for key in service_key(obj)}

    async def reconcile(self, key: str) -> float | None:
        """Make the slices say what the Endpoints say; none when there is nothing to mirror."""
        existing = [
            one for one in self.informers["EndpointSlice"].by_index("service", key) if _is_ours(one)
        ]
        endpoints = self._mirrored(key)
        groups = grouped(endpoints) if endpoints is not None else {}
        stale = [one for one in existing if one["addressType"] not in groups]
        await write_changes(self.informers, slicing.Changes(delete=stale))
        for family, by_ports in groups.items():
            mine = [one for one in existing if one["addressType"] == family]
            template = _template(endpoints or {})
            await write_changes(self.informers, slicing.plan(family, by_ports, mine, template))
        return None

    def _mirrored(self, key: str) -> Object | None:
        """The Endpoints to mirror, if the Service is one of those that have none of their own."""
        service = self.informers["Service"].get(key)
        endpoints = self.informers["Endpoints"].get(key)
        if service is None or meta.spec(service).get("selector") or endpoints is None:
            return None
        if meta.labels(endpoints).get(SKIP) == "true":
            return None
        return None if self.informers["Endpoints"].is_going(endpoints) else endpoints


def _is_ours(slice_: Object) -> bool:
    return meta.labels(slice_).get(MANAGED_BY) == CONTROLLER


def grouped(endpoints: Object) -> Groups:
    """The endpoints of an Endpoints object as slices hold them."""
    groups: Groups = {}
    for subset in endpoints.get("subsets") or []:
        ports = endpoints_of.port_set(subset.get("ports") or [])
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(field) or []:
                family = "IPv6" if ":" in address["ip"] else "IPv4"
                entries = groups.setdefault(family, {}).setdefault(ports, [])
                entries.append(_entry(address, ready))
    return groups


def _entry(address: Mapping[str, Any], ready: bool) -> Endpoint:
    optional = {field: address.get(field) for field in ("hostname", "nodeName", "targetRef")}
    return {
        "addresses": [address["ip"]],
        "conditions": {"ready": ready},
        **{field: value for field, value in optional.items() if value},
    }


def _template(endpoints: Object) -> Object:
    name = meta.name(endpoints)
    labels = {**meta.labels(endpoints), SERVICE_NAME: name, MANAGED_BY: CONTROLLER}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{name}-",
            "namespace": meta.namespace(endpoints),
            "labels": labels,
            "ownerReferences": [meta.owner_reference(endpoints)],
        },
    }
