"""The addresses that load balancers get: parts of the external network that nobody else has.

By default they are .200 to .250 of the external range (in IPv6 the same digits), in a range too
small for that its upper quarter; of these the longest stretch that is nobody's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from netlab.objects.ranges import (
    FIRST_CLIENT,
    FIRST_NODE,
    AddressPool,
    Family,
    Network,
    addresses,
    client_entries,
    node_entries,
    nth_address,
    ranges,
    split,
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NONE = "none"
"""The word for a lab without load balancers."""

_CUSTOMARY: dict[int, tuple[int, int]] = {4: (200, 250), 6: (0x200, 0x250)}


class AddressRange(Struct, frozen=True):
    """Addresses from `first` to `last`, both included, of one IP family."""

    first: Address
    last: Address

    @property
    def family(self) -> Family:
        """`IPv4` or `IPv6`."""
        return "IPv6" if self.first.version == 6 else "IPv4"

    def __contains__(self, address: Address) -> bool:
        same = address.version == self.first.version
        return same and int(self.first) <= int(address) <= int(self.last)

    def __iter__(self) -> Iterator[str]:
        for offset in range(int(self.last) - int(self.first) + 1):
            yield str(self.first + offset)

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def address_range(text: str) -> AddressRange:
    """`172.16.110.200-172.16.110.250` or `172.16.110.192/27`; `ValueError` says what is wrong."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash:
        network = ipaddress.ip_network(text)
        return AddressRange(network[0], network[-1])
    found = AddressRange(ipaddress.ip_address(first), ipaddress.ip_address(last))
    if found.first.version != found.last.version:
        raise ValueError("its ends are of two IP families")
    if int(found.first) > int(found.last):
        raise ValueError(f"its first address comes after its last, {last}")
    return found


def load_balancer_pools(spec: Mapping[str, Any]) -> tuple[AddressRange, ...]:
    """The pools of a Lab's `spec` that has no problems, as written or by default; () for none."""
    written = written_pools(spec)
    if written:
        return tuple(address_range(text) for text in written if text != NONE)
    clients, nodes = external_ips(spec)
    taken = [address for row in (*clients, *nodes) for address in row]
    found = (_default(cidr, taken) for cidr in ranges(spec, "external.cidr"))
    return tuple(pool for pool in found if pool is not None)


def written_pools(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """What the user wrote at `loadBalancer.pool`, split at the comma; () if nothing."""
    return split((spec.get("loadBalancer") or {}).get("pool"))


def external_ips(
    spec: Mapping[str, Any],
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Who has which addresses on the external network: rows of the clients, and of the nodes."""
    clients = [split(one.get("ip")) for one in client_entries(spec.get("external") or {})]
    nodes = [split(one.get("externalIP")) for one in node_entries(spec.get("nodes"))]
    taken = [address for row in (*clients, *nodes) for address in row]
    free = [AddressPool(cidr, taken) for cidr in ranges(spec, "external.cidr")]
    clients = addresses(clients, free, FIRST_CLIENT)
    return clients, addresses(nodes, free, FIRST_NODE)


def holders(spec: Mapping[str, Any]) -> Iterator[tuple[Address, str]]:
    """Every address of the external network that is somebody's, and in words whose."""
    for cidr in ranges(spec, "external.cidr"):
        network = ipaddress.ip_network(cidr)
        yield network[0], f"the network's own address of {cidr}"
        yield network[1], "the gateway"
        yield network[-1], f"the broadcast address of {cidr}"
    clients, nodes = external_ips(spec)
    everybody = [
        *zip(client_entries(spec.get("external") or {}), clients, strict=True),
        *zip(node_entries(spec.get("nodes")), nodes, strict=True),
    ]
    for entry, row in everybody:
        yield from ((ipaddress.ip_address(text), str(entry.get("name"))) for text in row)


def _default(cidr: str, taken: Iterable[str]) -> AddressRange | None:
    network = ipaddress.ip_network(cidr)
    numbers = {int(ipaddress.ip_address(text)) - int(network[0]) for text in taken}
    longest = max(_stretches(_customary(network), numbers), key=len, default=None)
    if longest is None:
        return None
    first, last = (ipaddress.ip_address(nth_address(cidr, n)) for n in (longest[0], longest[-1]))
    return AddressRange(first, last)


def _customary(network: Network) -> range:
    first, last = _CUSTOMARY[network.version]
    size = network.num_addresses
    return range(first, last + 1) if size > last + 1 else range(max(2, size * 3 // 4), size - 1)


def _stretches(numbers: range, taken: set[int]) -> Iterator[range]:
    """The parts of `numbers` between those that are taken."""
    start = numbers.start
    for number in sorted(taken & set(numbers)):
        if number > start:
            yield range(start, number)
        start = number + 1
    if start < numbers.stop:
        yield range(start, numbers.stop)
