"""The `kubernetes` Service and its endpoints: the control plane nodes, where the API is served.

As kubeadm has it: what an API server advertises is the address on the link that leads out of the
node, which is the external network's where there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netlab.controllers.controller import Controller, WatchedKind
from netlab.controllers.endpoints_of import families
from netlab.objects import bootstrap, meta
from netlab.objects.endpointslices import LABEL_SERVICE_NAME
from netlab.objects.ranges import Family
from netlab.objects.types import AnyKind, Endpoints, EndpointSlice, Node, ObjectMeta, Service

KEY = "default/kubernetes"
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"


class KubernetesService(Controller):
    """Keeps default/kubernetes, pointed at the addresses of the control plane's nodes."""

    name = "kubernetes-service-controller"

    def watches(self) -> Sequence[WatchedKind]:
        """Nodes, the three objects of that name, and the range that its address is from."""
        named = ("Service", "Endpoints", "EndpointSlice")
        return (
            WatchedKind("Node", _if_addressed),
            WatchedKind("ServiceCIDR", lambda _old, _new: (KEY,)),
            *(WatchedKind(kind, _if_named) for kind in named),
        )

    async def reconcile(self, key: str) -> float | None:
        """Write Endpoints and EndpointSlice if they differ, and the Service if it was deleted."""
        service = self.informers["Service"].get(key) or await self._restored()
        if service is None or self.informers["Service"].is_going(service):
            return None
        family = families(service)[0]
        addresses = self._addresses(family)
        if addresses:
            wanted, present = _endpoints(addresses), self.informers["Endpoints"].get(KEY)
            await self._write(wanted, present, {"subsets": wanted["subsets"]})
            listed, known = _slice(addresses, family), self.informers["EndpointSlice"].get(KEY)
            await self._write(listed, known, {"endpoints": listed["endpoints"]})
        return None

    async def _restored(self) -> Service | None:
        """The Service as it was in the beginning; its address is the first of the ServiceCIDR."""
        ranges = self.informers["ServiceCIDR"].get("kubernetes")
        if ranges is None:
            return None
        return await self.informers.create(bootstrap.kubernetes_service(ranges["spec"]["cidrs"]))

    def _addresses(self, family: Family) -> list[str]:
        """Of the control plane's nodes; of the first node when none has that role."""
        nodes = sorted(self.informers["Node"].items(), key=meta.name)
        chosen = [node for node in nodes if CONTROL_PLANE_LABEL in meta.labels(node)] or nodes[:1]
        return [address for node in chosen for address in _advertised(node, family)]

    async def _write(
        self, wanted: AnyKind, present: AnyKind | None, content: Mapping[str, object]
    ) -> None:
        """Create what is missing; else see that it has this content."""
        if present is None:
            await self.informers.create(wanted)
        elif any(present.get(field) != value for field, value in content.items()):
            await self.informers.patch(present, content)


def _if_named(old: AnyKind | None, new: AnyKind | None) -> Iterable[str]:
    return (KEY,) if meta.key(new or old or {}) == KEY else ()


def _if_addressed(old: Node | None, new: Node | None) -> Iterable[str]:
    before, after = (meta.status(obj).get("addresses") if obj else None for obj in (old, new))
    return (KEY,) if before != after else ()


def _advertised(node: Node, family: Family) -> list[str]:
    """The address at which a node's API server is reached, the external one before the internal."""
    return [
        entry["address"]
        for kind in ("ExternalIP", "InternalIP")
        for entry in meta.status(node).get("addresses") or []
        if entry.get("type") == kind and (":" in entry["address"]) == (family == "IPv6")
    ][:1]


def _metadata(labels: dict[str, str]) -> ObjectMeta:
    return {"name": "kubernetes", "namespace": "default", "labels": labels}


def _endpoints(addresses: list[str]) -> Endpoints:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        # Nobody need mirror this into a slice: the slice is written here.
        "metadata": _metadata({"endpointslice.kubernetes.io/skip-mirror": "true"}),
        "subsets": [
            {
                "addresses": [{"ip": address} for address in addresses],
                "ports": [{"name": "https", "port": bootstrap.API_PORT, "protocol": "TCP"}],
            }
        ],
    }


def _slice(addresses: list[str], family: Family) -> EndpointSlice:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _metadata({LABEL_SERVICE_NAME: "kubernetes"}),
        "addressType": family,
        "ports": [{"name": "https", "port": bootstrap.API_PORT, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": True}} for address in addresses
        ],
    }
