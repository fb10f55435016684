"""ServiceCIDRs are ready, or kept while Services hold addresses of theirs; and what says so of
each address, an IPAddress, is there as long as its Service has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.controllers.controller import Controller, ControllerContext, WatchedKind
from netlab.objects import ipaddresses, meta, sloppy
from netlab.objects.addresses import canonical
from netlab.objects.ranges import family
from netlab.objects.times import parse_time
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
            WatchedKind("IPAddress", lambda _old, _new: self._going()),
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
    """Puts right what IPAddresses say when somebody has deleted one or changed it, or made one that
    says something else."""

    name = "ipallocator-repair-controller"
    workers = 1

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.informers["Service"].add_index(_ADDRESS, _cluster_ips)

    def watches(self) -> Sequence[WatchedKind]:
        """Addresses that come, change or go; a moment later it is known what Service does so with
        them. Those that come as the API server makes them are seldom looked at: nobody who waits
        until all is settled is to wait for that."""
        return (
            WatchedKind("IPAddress", _touched, delay=1.0),
            WatchedKind("IPAddress", _made_for_a_service, delay=_REQUEST_SECONDS),
        )

    async def reconcile(self, key: str) -> float | None:
        """Have the address of that name say which Service has it, and go when none has."""
        there = self.informers["IPAddress"].get(key)
        having = self.informers["Service"].by_index(_ADDRESS, key)
        service = next((one for one in having if not self.informers["Service"].is_going(one)), None)
        if service is not None:
            await self._give(key, there, service)
        elif there is not None and ipaddresses.is_managed(there):
            return await self._clean_up(there)
        return None

    async def _give(self, address: str, there: IPAddress | None, service: Service) -> None:
        ip = f"[{family(address)}]: {address}"
        if there is None:
            said = f"Cluster IP {ip} is not allocated; repairing"
            self.recorder.warning(service, "ClusterIPNotAllocated", said)
        elif not ipaddresses.is_of(there, service):
            of = f"Service {meta.key(service)}"
            said = f"the ClusterIP {ip} for {of} has a wrong reference; repairing"
            self.recorder.warning(service, "ClusterIPNotAllocated", said)
        elif ipaddresses.has_labels(there):
            return
        if there is not None:
            await self.informers.delete(there)
        await self.informers.create(ipaddresses.held(address, service))

    async def _clean_up(self, one: IPAddress) -> float | None:
        """One that is made before its Service may stay for as long as a request may take."""
        key, name = ipaddresses.holder(one), meta.name(one)
        if not key:
            said = f"IPAddress {name} appears to have been modified, not referencing a Service:"
            self.recorder.warning(one, _NOT_ALLOCATED, f"{said} cleaning up")
        elif self.informers["Service"].get(key) is not None:
            said = f"IPAddress: {name} for Service {key} has a wrong reference; cleaning up"
            self.recorder.warning(one, "IPAddressWrongReference", said)
        elif (rest := _REQUEST_SECONDS - self._age(one)) > 0:
            return rest
        else:
            said = f"IPAddress: {name} for Service {key} appears to have leaked: cleaning up"
            self.recorder.warning(one, _NOT_ALLOCATED, said)
        await self.informers.delete(one)
        return None

    def _age(self, one: IPAddress) -> float:
        return self.context.clock() - (parse_time(one["metadata"]["creationTimestamp"]) or 0.0)


_ADDRESS = "cluster address"
_NOT_ALLOCATED = "IPAddressNotAllocated"
_REQUEST_SECONDS = 60.0


def _touched(old: IPAddress | None, new: IPAddress | None) -> Iterable[str]:
    return [meta.name(one) for one in (new or old,) if one and not [*_made_for_a_service(old, new)]]


def _made_for_a_service(old: IPAddress | None, new: IPAddress | None) -> Iterable[str]:
    if old is None and new and ipaddresses.has_labels(new) and ipaddresses.holder(new):
        yield meta.name(new)


def _cluster_ips(service: Service) -> Iterable[str]:
    written = meta.spec(service).get("clusterIPs") or []
    return [canonical(sloppy.standard(one)) for one in written if one != "None"]
