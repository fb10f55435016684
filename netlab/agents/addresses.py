"""Pod addresses: each node hands out its own podCIDRs, in order, as host-local IPAM does. Pure.

An address rests: it is given to another pod only when all that nobody had are used up, and then the
one that was given back longest ago. Who still believes that it belongs to a pod that went (an ARP
cache does for half a minute) has mostly forgotten by then.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from netlab.errors import NetlabError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST = 1 << 16
"""So many addresses of a range are used: a pod's port has its index from the place in it."""


class Book(Protocol):
    """What is known of a range's addresses when a new controller starts, by their places in it."""

    def read(self) -> Mapping[int, int]:
        """Places that were ever given out: when each was given back, as a number that grows, or 0
        for one that was not."""

    def given(self, place: int) -> None:
        """It is given out."""

    def given_back(self, place: int) -> None:
        """It is given back."""


class NoBook:
    """Of a range of which nothing is remembered."""

    def read(self) -> Mapping[int, int]:
        """Nothing."""
        return {}

    def given(self, place: int) -> None:
        """Nobody notes it."""

    def given_back(self, place: int) -> None:
        """Nobody notes it."""


class PodAddressPool:
    """The addresses of one node's podCIDR; .0 is the network, .1 the bridge, the last broadcast."""

    def __init__(self, cidr: str, book: Book | None = None) -> None:
        self.network: Network = ipaddress.ip_network(cidr)
        self._last = min(self.network.num_addresses - 2, MOST - 1)
        self._book = book or NoBook()
        past = self._book.read()
        self._taken: set[int] = set()
        self._reused: set[int] = set()
        # By place, in the order in which they are to be used again: what was not given back before
        # the former controller ended rests from now on.
        self._resting = dict.fromkeys(
            sorted(past, key=lambda place: (not past[place], past[place], place))
        )
        self._next = max(past, default=1) + 1

    def has(self, address: str) -> bool:
        """Whether an address is one of those that a pod can have."""
        parsed = ipaddress.ip_address(address)
        return parsed in self.network and 1 < self._place(address) <= self._last

    def reserve(self, address: str) -> None:
        """Mark an address as taken: it was given out before this process started."""
        place = self._place(address)
        self._resting.pop(place, None)
        self._taken.add(place)
        self._use_up_to(place)

    def take(self) -> str:
        """The next free address; `NetlabError` when the range is used up."""
        place = next(self._free(), None)
        if place is None:
            raise NetlabError(
                f"no free pod address is left in {self.network}",
                hint="give the lab a wider podCIDR, or more nodes",
            )
        self._use_up_to(place)
        if place in self._resting:
            del self._resting[place]
            self._reused.add(place)
        self._taken.add(place)
        self._book.given(place)
        return str(self.network[place])

    def is_reused(self, address: str) -> bool:
        """Whether another pod had an address before the one that has it."""
        return self._place(address) in self._reused

    def release(self, address: str) -> None:
        """Give an address back; unknown ones are ignored."""
        place = self._place(address)
        if place in self._taken:
            self._taken.discard(place)
            self._resting[place] = None
            self._book.given_back(place)

    def _free(self) -> Iterator[int]:
        if self._next <= self._last:
            yield self._next
        yield from self._resting

    def _use_up_to(self, place: int) -> None:
        """The lower ones that were never seen may have been given out, too."""
        if 1 < place <= self._last:
            for lower in range(self._next, place):
                self._resting[lower] = None
            self._next = max(self._next, place + 1)

    def _place(self, address: str) -> int:
        return int(ipaddress.ip_address(address)) - int(self.network.network_address)


class NodeAddresses:
    """The pools of one node, one for each IP family; `book` gives each its book."""

    def __init__(
        self, cidrs: Iterable[str], book: Callable[[str], Book] = lambda _: NoBook()
    ) -> None:
        self._pools = [PodAddressPool(cidr, book(cidr)) for cidr in cidrs]

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
        for pool, address in self._own(addresses):
            pool.reserve(address)

    def release(self, addresses: Iterable[str]) -> None:
        """Give a pod's addresses back."""
        for pool, address in self._own(addresses):
            pool.release(address)

    def reused(self, addresses: Iterable[str]) -> bool:
        """Whether one of a pod's addresses belonged to another before."""
        return any(pool.is_reused(address) for pool, address in self._own(addresses))

    def are_own(self, addresses: Iterable[str]) -> bool:
        """Whether all of them are this node's to give: whoever may write a pod's status may write
        others into it."""
        return all(any(pool.has(address) for pool in self._pools) for address in addresses)

    def _own(self, addresses: Iterable[str]) -> Iterator[tuple[PodAddressPool, str]]:
        """Those of the addresses that are this node's, each with its pool."""
        for address in addresses:
            for pool in self._pools:
                if pool.has(address):
                    yield pool, address
