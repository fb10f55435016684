"""Pod addresses: each node hands out its own podCIDRs, in order, as host-local IPAM does."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from netlab.errors import NetlabError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressPool:
    """The addresses of one node's podCIDR; .0 is the network, .1 the bridge, the last broadcast.

    An address that was given back is used again only after all others, so that a packet meant
    for a deleted pod seldom reaches its successor.
    """

    def __init__(self, cidr: str) -> None:
        self.network: Network = ipaddress.ip_network(cidr)
        self._first = int(self.network.network_address) + 2
        self._last = int(self.network.broadcast_address) - 1
        self._next = self._first
        self._taken: set[int] = set()

    def reserve(self, address: str) -> None:
        """Mark an address as taken: it was given out before this process started."""
        number = int(ipaddress.ip_address(address))
        self._taken.add(number)
        if self._first <= number < self._last:
            self._next = max(self._next, number + 1)

    def take(self) -> str:
        """The next free address; `NetlabError` when the range is used up."""
        for number in self._candidates():
            if number not in self._taken:
                self._taken.add(number)
                self._next = number + 1
                return str(self.network[number - self._first + 2])
        raise NetlabError(
            f"no free pod address is left in {self.network}",
            hint="give the lab a wider podCIDR, or more nodes",
        )

    def release(self, address: str) -> None:
        """Give an address back; unknown ones are ignored."""
        self._taken.discard(int(ipaddress.ip_address(address)))

    def _candidates(self) -> Iterator[int]:
        yield from range(self._next, self._last + 1)
        yield from range(self._first, min(self._next, self._last + 1))


class NodeAddresses:
    """The pools of one node, one for each IP family."""

    def __init__(self, cidrs: Iterable[str]) -> None:
        self._pools = [AddressPool(cidr) for cidr in cidrs]

    def take(self) -> tuple[str, ...]:
        """One address of each family, or none at all."""
        taken: list[str] = []
        try:
            for pool in self._pools:
                taken.append(pool.take())
        except NetlabError:
            self.release(taken)
            raise
        return tuple(taken)

    def reserve(self, addresses: Iterable[str]) -> None:
        """Mark a pod's addresses as taken."""
        for address in addresses:
            self._pool_of(address).reserve(address)

    def release(self, addresses: Iterable[str]) -> None:
        """Give a pod's addresses back."""
        for address in addresses:
            self._pool_of(address).release(address)

    def _pool_of(self, address: str) -> AddressPool:
        version = ipaddress.ip_address(address).version
        return next(pool for pool in self._pools if pool.network.version == version)
