"""What is known of a machine whose rules are at hand, and it is not: a save of a node's rules.

Rules ask what no save tells: by which link a packet comes, whether an address is the node's own,
what is in an ipset. Each such question is a fact in words; who asks for one that nobody told gets
`Unsure`, and whoever walks packets may try it both ways.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from netlab.simulation.ipset import IpSets

UNTOLD = "?"
"""The link of a packet of which nobody told by which one it passes."""

Way = Literal["comes in by", "leaves by"]


class Unsure(Exception):
    """A fact decides that nobody told."""

    def __init__(self, fact: str) -> None:
        super().__init__(fact)
        self.fact = fact


class Known(Struct, frozen=True):
    """Addresses that are not the node's own, and `networks` of none that are; facts that are so,
    and that are not. They are about one packet, `who` in words; of a later one of its flow that
    one's links are others, and whether a condition holds is asked anew."""

    foreign: frozenset[str] = frozenset()
    so: frozenset[str] = frozenset()
    not_so: frozenset[str] = frozenset()
    networks: tuple[str, ...] = ()
    who: str = "it"
    ipsets: IpSets | None = None
    """The sets that were saved as well."""

    def told(self, fact: str) -> bool:
        """Whether it is so. Raises `Unsure`."""
        if fact in self.so:
            return True
        if fact in self.not_so:
            return False
        raise Unsure(fact)

    def is_local(self, address: str) -> bool:
        """Whether an address is the node's own. Raises `Unsure`."""
        if address in self.foreign or any(_inside(address, each) for each in self.networks):
            return False
        return self.told(own(address))

    def passes(self, destination: str, way: Way, link: str) -> bool:
        """Whether a packet for an address passes by such a link (`cali+` is any of those). Raises
        `Unsure`."""
        head = f"what is for {destination} {way} " if way == "leaves by" else f"{self.who} {way} "
        names = [fact.removeprefix(head) for fact in self.so if fact.startswith(head)]
        if any(_covers(link, name) for name in names):
            return True
        if any(not _covers(name, link) for name in names):
            return False
        others = (fact.removeprefix(head) for fact in self.not_so if fact.startswith(head))
        return not any(_covers(name, link) for name in others) and self.told(head + link)

    def supposing(self, fact: str, *, so: bool) -> Known:
        """The same with one fact more."""
        if so:
            return replace(self, so=self.so | {fact})
        return replace(self, not_so=self.not_so | {fact})


def own(address: str) -> str:
    """The fact that an address is the node's."""
    return f"{address} is an address of the node"


def comes_in_by(link: str, who: str = "it") -> str:
    """The fact that a packet does."""
    return f"{who} comes in by {link}"


def _covers(pattern: str, link: str) -> bool:
    """Whether each link called so is one of a pattern's; both may end with `+`."""
    if pattern.endswith("+"):
        return link.rstrip("+").startswith(pattern[:-1])
    return pattern == link


def _inside(address: str, network: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
