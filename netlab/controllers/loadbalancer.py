"""Addresses of Services of type LoadBalancer, as MetalLB's controller hands them out.

What Services' statuses say is all that is remembered: a controller started anew goes on from
there, an address that is in use stays its Service's, and no two Services have the same one, unless
they agree to share it (`metallb.io/allow-shared-ip`) and have no port in common.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from netlab.controllers.controller import Controller, ControllerContext, WatchedKind
from netlab.controllers.endpoints_of import families
from netlab.objects import meta
from netlab.objects.fields import parse_address
from netlab.objects.loadbalancing import ingress_ips, is_balanced, requested_ips, sharing
from netlab.objects.ranges import Family, family
from netlab.objects.types import Service

_INDEX = "load balancer address"


class _NotAllocated(Exception):
    """There is no address for a Service now; the message is MetalLB's."""


class LoadBalancers(Controller):
    """Gives each Service of type LoadBalancer an address of each of its families.

    One that cannot have what it needs waits until another gives an address back.
    """

    name = "metallb-controller"
    workers = 1  # two at once could choose the same address

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._services = self.informers["Service"]
        self._services.add_index(_INDEX, ingress_ips)
        self._waiting: set[str] = set()
        self._due: set[str] = set()
        """Of these, those for whom something has come back since they were looked at."""

    def watches(self) -> Sequence[WatchedKind]:
        """Services that are balanced, or were; without a pool, none."""
        return (WatchedKind("Service", self._keys),) if self.context.load_balancer_pools else ()

    def _keys(self, old: Service | None, new: Service | None) -> Iterable[str]:
        versions = [obj for obj in (old, new) if obj is not None]
        if any(is_balanced(obj) or ingress_ips(obj) for obj in versions):
            yield meta.key(versions[0])
        before, after = (set(ingress_ips(obj)) if obj else set() for obj in (old, new))
        for ip in after - before:  # somebody may have written an address that is another's
            yield from (meta.key(one) for one in self._holders(ip))
        sharings = {sharing(obj) for obj in versions}
        if len(sharings) > 1:  # others may have to go, or may come
            yield from (meta.key(one) for ip in after for one in self._holders(ip))
        if before - after or (before and len(sharings) > 1):
            self._due |= self._waiting
            yield from map(meta.key, self._in_turn())

    def _in_turn(self) -> list[Service]:
        """Those whose turn has come, the oldest first."""
        found = (self._services.get(key) for key in self._due)
        there = (one for one in found if one and not self._services.is_going(one))
        return sorted(there, key=meta.by_creation)

    async def reconcile(self, key: str) -> float | None:
        """Give the Service what it lacks, and take what is not its own any more."""
        service = self._services.get(key)
        if service is None or self._services.is_going(service):
            self._forget(key)
            return None
        # The queue may put off a key that took long before: its turn comes before this one's.
        for each in self._in_turn():
            if meta.by_creation(each) < meta.by_creation(service):
                await self._settle(each)
        await self._settle(service)
        return None

    async def _settle(self, service: Service) -> None:
        self._forget(meta.key(service))
        if meta.spec(service).get("type") != "LoadBalancer":
            await self._write(service, [])
        elif is_balanced(service):
            await self._balance(service)

    def _forget(self, key: str) -> None:
        self._waiting.discard(key)
        self._due.discard(key)

    async def _balance(self, service: Service) -> None:
        wanted = self._wanted(service)
        kept: dict[Family, str] = {
            family(ip): ip for ip in ingress_ips(service) if self._may_keep(service, ip)
        }
        try:
            chosen = [kept.get(one) or self._choose(service, one) for one in wanted]
        except _NotAllocated as error:
            self._waiting.add(meta.key(service))
            await self._write(service, [kept[one] for one in wanted if one in kept])
            text = f'Failed to allocate IP for "{meta.key(service)}": {error}'
            self.recorder.warning(service, "AllocationFailed", text)
            return
        if await self._write(service, chosen):
            self.recorder.normal(service, "IPAllocated", f"Assigned IP {_listed(chosen)}")

    def _wanted(self, service: Service) -> list[Family]:
        """The families to give an address of; what is only preferred must be in some pool."""
        every = families(service)
        if meta.spec(service).get("ipFamilyPolicy") != "PreferDualStack":
            return every
        pooled = {pool.family for pool in self.context.load_balancer_pools}
        return [one for one in every if one in pooled] or every

    def _may_keep(self, service: Service, ip: str) -> bool:
        asked = [one for one in requested_ips(service) if family(one) == family(ip)]
        holders = self._holders(ip)
        older = holders[: holders.index(service)]
        clashes = any(_clash(service, other) for other in older)
        return self._is_in_pool(ip) and (not asked or ip in asked) and not clashes

    def _choose(self, service: Service, wanted: Family) -> str:
        """A free address of a family: the one asked for, or the lowest of the pools."""
        asked = requested_ips(service)
        if not asked:
            return self._lowest_free(service, wanted)
        if any(parse_address(one) is None for one in asked):
            raise _NotAllocated(f'invalid loadBalancerIP "{",".join(asked)}"')
        if any(family(one) not in families(service) for one in asked):
            text = "does not match the ipFamily of the service"
            raise _NotAllocated(f"requested loadBalancer IP(s) {_listed(asked)} {text}")
        mine = next((one for one in asked if family(one) == wanted), None)
        return self._lowest_free(service, wanted) if mine is None else self._checked(service, mine)

    def _checked(self, service: Service, asked: str) -> str:
        ip = str(ipaddress.ip_address(asked))
        if not self._is_in_pool(ip):
            raise _NotAllocated(f"{_listed([ip])} is not allowed in config")
        others = [one for one in self._holders(ip) if one is not service]
        if not all(sharing(one).may_join(sharing(service)) for one in others):
            users = ",".join(map(meta.key, others))
            text = f'can\'t change sharing key for "{meta.key(service)}"'
            raise _NotAllocated(f"{text}, address also in use by {users}")
        used = frozenset(port for one in others for port in sharing(one).ports)
        for port in sorted(sharing(service).ports & used):
            raise _NotAllocated(f'port {port} is already in use on "{ip}"')
        return ip

    def _lowest_free(self, service: Service, wanted: Family) -> str:
        """The lowest that nobody has, or all who have it share with this one."""
        for pool in self.context.load_balancer_pools:
            if pool.family == wanted:
                free = (ip for ip in pool if self._is_free(service, ip))
                if (ip := next(free, None)) is not None:
                    return ip
        raise _NotAllocated("no available IPs")

    def _is_free(self, service: Service, ip: str) -> bool:
        if not self._services.count(_INDEX, ip):
            return True
        others = (one for one in self._holders(ip) if one is not service)
        return bool(sharing(service).key) and not any(_clash(service, one) for one in others)

    def _holders(self, ip: str) -> list[Service]:
        return sorted(self._services.by_index(_INDEX, ip), key=meta.by_creation)

    def _is_in_pool(self, ip: str) -> bool:
        address = parse_address(ip)
        pools = self.context.load_balancer_pools
        return address is not None and any(address in pool for pool in pools)

    async def _write(self, service: Service, ips: Sequence[str]) -> bool:
        """Have the status name these addresses; False if it does already."""
        if list(ingress_ips(service)) == list(ips):
            return False
        ingress = [{"ip": ip, "ipMode": "VIP"} for ip in ips]
        await self.informers.patch_status(service, {"loadBalancer": {"ingress": ingress or None}})
        return True


def _clash(service: Service, other: Service) -> bool:
    """Whether two cannot have one address."""
    mine, its = sharing(service), sharing(other)
    return not mine.may_join(its) or not mine.ports.isdisjoint(its.ports)


def _listed(ips: Iterable[str]) -> str:
    """`["172.16.110.200" "fd00::200"]`, as Go prints a list of addresses."""
    return "[" + " ".join(f'"{ip}"' for ip in ips) + "]"
