"""ServiceCIDRs are ready, or kept while Services hold addresses of theirs; and what says so of
each address, an IPAddress, is there as long as its Service has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.controllers.controller import Controller, WatchedKind
from netlab.objects import ipaddresses, meta, sloppy
from netlab.objects.addresses import canonical
from netlab.objects.ranges import family
from netlab.objects.types import Condition, IPAddress, Service, ServiceCIDR

_READY = "Kubernetes Service CIDR is ready"
_HELD = (
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new "
    "ServiceCIDR"
)


class ServiceCidrs(Controller):
    """Says of each ServiceCIDR that it is ready, and lets it go once nobody needs it.

    One that is going gives no address any more from the moment at which it was asked to, so there
    is nothing to wait for: kube-controller-manager waits ten seconds for its API servers.
    """

    name = "service-cidr-controller"
    workers = 1

    def watches(self) -> Sequence[WatchedKind]:
        """ServiceCIDRs, each of which may let another go, and addresses, for those that go."""
        return (
            WatchedKind("ServiceCIDR", self._all_going),
            WatchedKind("IPAddress", lambda _old, new: () if new else self._going()),
        )

    def _all_going(self, _old: ServiceCIDR | None, new: ServiceCIDR | None) -> Iterable[str]:
        return (*([meta.name(new)] if new else []), *self._going())

    def _going(self) -> Iterable[str]:
        ranges = self.informers["ServiceCIDR"].items()
        return [meta.name(one) for one in ranges if meta.is_terminating(one)]

    async def reconcile(self, key: str) -> float | None:
        """Write its finalizer and its condition, or take the finalizer away."""
        one = self.informers["ServiceCIDR"].get(key)
        if one is None:
            return None
        finalizers = one["metadata"].get("finalizers") or []
        if not self.informers["ServiceCIDR"].is_going(one):
            if ipaddresses.FINALIZER not in finalizers:
                one = await self._finalize_by(one, [*finalizers, ipaddresses.FINALIZER])
            if not meta.is_ready(one):
                await self._say(one, "True", "", _READY)
        elif self._is_needed(one):
            await self._say(one, "False", "Terminating", _HELD)
        elif ipaddresses.FINALIZER in finalizers:
            rest = [name for name in finalizers if name != ipaddresses.FINALIZER]
            await self._finalize_by(one, rest)
        return None

    def _is_needed(self, one: ServiceCIDR) -> bool:
        ranges = self.informers["ServiceCIDR"].items()
        return ipaddresses.is_needed(one, ranges, self.informers["IPAddress"].items())

    async def _finalize_by(self, one: ServiceCIDR, finalizers: list[str]) -> ServiceCIDR:
        version = one["metadata"]["resourceVersion"]
        change = {"finalizers": finalizers or None, "resourceVersion": version}
        return await self.informers.patch(one, {"metadata": change})

    async def _say(self, one: ServiceCIDR, status: str, reason: str, message: str) -> None:
        known = meta.status(one).get("conditions") or []
        said = next((each for each in known if each["type"] == "Ready"), None)
        if said and (said["status"], said["message"]) == (status, message):
            return
        ready: Condition = {
            "type": "Ready",
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": self.context.now(),
        }
        others = [each for each in known if each["type"] != "Ready"]
        await self.informers.patch_status(one, {"conditions": [*others, ready]})


class HeldAddresses(Controller):
    """Makes the IPAddress anew that somebody deleted while its Service has the address."""

    name = "ipallocator-repair-controller"
    workers = 1

    def watches(self) -> Sequence[WatchedKind]:
        """Addresses that went; a moment later it is known whether their Service went with them."""
        return (WatchedKind("IPAddress", _let_go, delay=1.0),)

    async def reconcile(self, key: str) -> float | None:
        """Make what the Service of that key lacks."""
        service = self.informers["Service"].get(key)
        if service is None or self.informers["Service"].is_going(service):
            return None
        for address in _cluster_ips(service):
            if self.informers["IPAddress"].get(address) is None:
                await self._make(address, service)
        return None

    async def _make(self, address: str, service: Service) -> None:
        said = f"Cluster IP [{family(address)}]: {address} is not allocated; repairing"
        self.recorder.warning(service, "ClusterIPNotAllocated", said)
        await self.informers.create(ipaddresses.held(address, service))


def _let_go(old: IPAddress | None, new: IPAddress | None) -> Iterable[str]:
    return (ipaddresses.holder(old),) if new is None and old is not None else ()


def _cluster_ips(service: Service) -> Iterable[str]:
    written = meta.spec(service).get("clusterIPs") or []
    return [canonical(sloppy.standard(one)) for one in written if one != "None"]
