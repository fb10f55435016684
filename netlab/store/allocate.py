"""Cluster addresses and node ports of Services: honoured, chosen, refused, given back.

A claim is worked out first and counts only once it is committed, so that a dry run or a failed
write changes nothing. Chosen values come from the upper part of each range; the lower band is
left to those who write theirs down, as in Kubernetes.
"""

from __future__ import annotations

import ipaddress
import random
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol

from msgspec import Struct, field

from netlab.errors import ApiError
from netlab.objects import ipaddresses, meta, sloppy
from netlab.objects.addresses import canonical
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, invalid
from netlab.objects.ranges import Family
from netlab.objects.service_updates import (
    needs_cluster_ip,
    needs_health_check_port,
    needs_node_ports,
)
from netlab.objects.validate_service import is_headless
from netlab.store import ip_families
from netlab.store.store import Store

NODE_PORTS = range(30000, 32768)

# Random draws before the free values are counted out one by one.
_DRAWS = 64


class NumberPool(Struct, frozen=True):
    """A range of whole numbers, of which the first `reserved` are not chosen while others last."""

    numbers: range
    reserved: int

    def choose(self, is_taken: Callable[[int], bool], dice: random.Random) -> int | None:
        """A free number; None when there is none."""
        upper = self.numbers[self.reserved :]
        for _ in range(_DRAWS):
            number = upper[dice.randrange(len(upper))]
            if not is_taken(number):
                return number
        lower = self.numbers[: self.reserved]
        return next((n for part in (upper, lower) for n in part if not is_taken(n)), None)


@lru_cache(maxsize=256)
def _address_pool(cidr: str) -> NumberPool:
    """All of a range but its first address (the network) and, for IPv4, its last (broadcast)."""
    network = ipaddress.ip_network(cidr)
    first = int(network.network_address) + 1
    # range() measures its length in a C integer: 2**62 addresses of an IPv6 range are enough.
    size = min(network.num_addresses - (2 if network.version == 4 else 1), 2**62)
    return NumberPool(range(first, first + size), _band(size, step=16, most=256))


def _band(size: int, *, step: int, most: int) -> int:
    """How many values at the start of a range are kept for those who name theirs."""
    return 0 if size <= 16 else min(max(16, size // step), most)


class Holding(Struct, frozen=True):
    """What one Service has: addresses and ports."""

    addresses: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset()


class Claim(Struct, frozen=True):
    """What a Service gives back and takes when its write succeeds."""

    before: Holding
    after: Holding


class _Draft(Struct):
    """A claim in the making: taken so far, and what went wrong."""

    before: Holding
    addresses: set[str] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)
    problems: list[FieldProblem] = field(default_factory=list)


class ServiceRanges(Protocol):
    """Where Services have their addresses, such as a Lab says it."""

    @property
    def service_cidrs(self) -> Sequence[str]:
        """One range for each family."""

    @property
    def ip_families(self) -> Sequence[str]:
        """`IPv4` and `IPv6`, in the order of `service_cidrs`."""


class ServiceAllocator:
    """All addresses and ports in use; `cidrs` come one per family, in `ip_families`' order.

    Beside the `cidrs`, addresses are of the ServiceCIDRs in the `store`, where there are such;
    what an IPAddress there has is taken.
    """

    def __init__(
        self,
        cidrs: Sequence[str],
        ip_families: Sequence[str],
        *,
        store: Store | None = None,
        node_ports: range = NODE_PORTS,
        dice: random.Random | None = None,
    ) -> None:
        self._families = tuple(ip_families)
        self._cidrs = dict(zip(ip_families, cidrs, strict=True))
        self._store = store
        self._node_ports = NumberPool(node_ports, _band(len(node_ports), step=32, most=128))
        self._addresses: set[str] = set()
        self._ports: set[int] = set()
        self._dice = dice or random.Random()

    def adopt(self, service: Object) -> None:
        """Count a stored Service's values as taken."""
        self.commit(Claim(Holding(), holding(service)))

    def release(self, service: Object) -> None:
        """Give back what a removed Service had."""
        self.commit(Claim(holding(service), Holding()))

    def commit(self, claim: Claim) -> None:
        """Make a claim true."""
        self._addresses -= claim.before.addresses
        self._addresses |= claim.after.addresses
        self._ports -= claim.before.ports
        self._ports |= claim.after.ports

    def claim(self, new: Object, old: Object | None) -> tuple[Claim, list[FieldProblem]]:
        """Fill the Service's addresses and ports, in place; with problems the claim is void."""
        spec, before = new["spec"], holding(old)
        draft = _Draft(before)
        if needs_cluster_ip(spec):
            draft.problems += ip_families.fill(
                spec, meta.spec(old) if old else None, self._families
            )
            if not draft.problems and not is_headless(spec):
                self._claim_addresses(spec, draft)
        if needs_node_ports(spec):
            self._claim_ports(spec, draft)
        else:
            self._claim_named_ports(spec, draft)
        if needs_health_check_port(spec):
            self._claim_health_check_port(spec, draft)
        after = Holding(frozenset(draft.addresses), frozenset(draft.ports))
        return Claim(before, after), draft.problems

    def _claim_addresses(self, spec: dict[str, Any], draft: _Draft) -> None:
        given = list(spec.get("clusterIPs") or [])
        for index, family in enumerate(spec["ipFamilies"]):
            if index >= len(given):
                given.append(self._choose_address(family))
                draft.addresses.add(given[index])
            elif refusal := self._refuse_address(given[index], family, draft):
                draft.problems.append(invalid(("spec", "clusterIPs"), given, refusal))
            else:
                draft.addresses.add(_plain(given[index]))
        spec["clusterIPs"], spec["clusterIP"] = given, given[0]

    def _refuse_address(self, address: str, family: Family, draft: _Draft) -> str | None:
        """Why a given address cannot be had."""
        plain = _plain(address)
        if plain in draft.before.addresses:
            return None
        if ip_families.family_of(address) != family or not any(
            ipaddresses.contains(cidr, plain) for cidr in self._ranges(family)
        ):
            return (
                f"failed to allocate IP {address}: the provided network does not match the "
                "current range"
            )
        if self._is_taken(plain):
            return f"failed to allocate IP {address}: provided IP is already allocated"
        return None

    def _choose_address(self, family: Family) -> str:
        def text(number: int) -> str:
            if family == "IPv4":
                return socket.inet_ntoa(number.to_bytes(4, "big"))
            return str(ipaddress.IPv6Address(number))

        for cidr in self._ranges(family):
            number = _address_pool(cidr).choose(lambda n: self._is_taken(text(n)), self._dice)
            if number is not None:
                return text(number)
        raise ApiError("Internal error occurred: failed to allocate a serviceIP: range is full")

    def _ranges(self, family: Family) -> Iterator[str]:
        """Where addresses of a family may be from now, those of the cluster's start first."""
        stored = self._store.list("ServiceCIDR") if self._store is not None else []
        if all(meta.name(one) != ipaddresses.DEFAULT_RANGE for one in stored):
            yield self._cidrs[family]
        yield from ipaddresses.in_use(stored, family)

    def _is_taken(self, address: str) -> bool:
        if address in self._addresses:
            return True
        return self._store is not None and self._store.get("IPAddress", "", address) is not None

    def _claim_ports(self, spec: dict[str, Any], draft: _Draft) -> None:
        """Ports of one number share a nodePort across protocols, unless they say otherwise."""
        ports = spec.get("ports") or []
        shared: dict[int, int] = {}
        for port in ports:
            if port.get("nodePort"):
                shared.setdefault(port["port"], port["nodePort"])
        self._claim_named_ports(spec, draft)
        for port in ports:
            if not port.get("nodePort"):
                if port["port"] not in shared:
                    shared[port["port"]] = self._choose_port(draft)
                port["nodePort"] = shared[port["port"]]

    def _claim_named_ports(self, spec: dict[str, Any], draft: _Draft) -> None:
        for index, port in enumerate(spec.get("ports") or []):
            if port.get("nodePort"):
                path = ("spec", "ports", index, "nodePort")
                self._claim_port(port["nodePort"], path, draft)

    def _claim_health_check_port(self, spec: dict[str, Any], draft: _Draft) -> None:
        if given := spec.get("healthCheckNodePort"):
            self._claim_port(given, ("spec", "healthCheckNodePort"), draft)
        else:
            spec["healthCheckNodePort"] = self._choose_port(draft)

    def _claim_port(self, number: int, path: Path, draft: _Draft) -> None:
        if number not in self._node_ports.numbers:
            first, last = self._node_ports.numbers[0], self._node_ports.numbers[-1]
            detail = (
                "provided port is not in the valid range. The range of valid ports is "
                f"{first}-{last}"
            )
            draft.problems.append(invalid(path, number, detail))
        elif number in self._ports and number not in draft.before.ports:
            draft.problems.append(invalid(path, number, "provided port is already allocated"))
        else:
            draft.ports.add(number)

    def _choose_port(self, draft: _Draft) -> int:
        number = self._node_ports.choose(
            lambda port: port in self._ports or port in draft.ports, self._dice
        )
        if number is None:
            raise ApiError("Internal error occurred: failed to allocate a nodePort: range is full")
        draft.ports.add(number)
        return number


def holding(service: Object | None) -> Holding:
    """The addresses and ports that a stored Service holds."""
    spec = meta.spec(service) if service else {}
    ports = [port.get("nodePort") for port in spec.get("ports") or []]
    ports.append(spec.get("healthCheckNodePort"))
    addresses = [one for one in spec.get("clusterIPs") or [] if one != "None"]
    return Holding(frozenset(map(_plain, addresses)), frozenset(filter(None, ports)))


def _plain(address: str) -> str:
    return canonical(sloppy.standard(address))
