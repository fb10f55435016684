"""A packet, and what becomes of it: the rules it met, and the end it came to."""

from __future__ import annotations

import ipaddress
from typing import Literal, NamedTuple

from msgspec import Struct

from netlab.proxy.addresses import Family
from netlab.simulation.icmp import ECHO_REQUEST
from netlab.simulation.knowledge import UNTOLD, Known, Way


class Flow(Struct, frozen=True):
    """What connection tracking does to a later packet of a flow at one machine, in its direction:
    the destination that it gets before routing, the source that it gets at its end. No rule of
    nat is asked. `dnat`, `snat`: what its first packet was translated by."""

    destination: str
    dport: int
    source: str
    sport: int
    dnat: bool = False
    snat: bool = False


class Packet(Struct, frozen=True):
    """The first packet of a connection, or a later one if `ctstate` says so.

    `local` are the node's own addresses (loopback always is); `recent` the lists of `-m recent`,
    or the sets of nftables, that know its source; `dnat`/`snat` whether it was translated already.
    `flow` is what is known of it when it is not the first. `may_leave_by` are the links by which it
    leaves a machine that does not forward what comes in as it did, for the same destination; None
    where all are open. `known` is for a machine that is not at hand, where `local` may not be all,
    nor links be told; None where all is known. `connmark` is the mark that connection tracking
    keeps, which a first packet's has from its rules alone. `link_address` is the machine's own on
    the link that it came in by, where REDIRECT sends it; "" for loopback's, where what a machine
    sends itself goes.
    `shut` are the addresses behind the bridge's port that it came in by, if that lets nothing out
    again (hairpin off).
    """

    source: str
    destination: str
    protocol: str = "tcp"
    dport: int = 0
    sport: int = 40000
    in_interface: str = ""
    out_interface: str = ""
    mark: int = 0
    ctstate: str = "NEW"
    local: frozenset[str] = frozenset()
    recent: frozenset[str] = frozenset()
    dnat: bool = False
    snat: bool = False
    flow: Flow | None = None
    may_leave_by: frozenset[str] | None = None
    known: Known | None = None
    connmark: int = 0
    link_address: str = ""
    shut: frozenset[str] = frozenset()
    icmp: tuple[int, int] | None = None
    """Type and code of one of ICMP; None for an echo request."""

    @property
    def family(self) -> Family:
        """Whose addresses it has."""
        return "ipv6" if ":" in self.source else "ipv4"

    @property
    def type_and_code(self) -> tuple[int, int]:
        """Of one of ICMP."""
        return self.icmp if self.icmp is not None else (ECHO_REQUEST[self.family], 0)

    def is_local(self, address: str) -> bool:
        """True for the node's own addresses. Raises `Unsure`."""
        if address in self.local or ipaddress.ip_address(address).is_loopback:
            return True
        return self.known is not None and self.known.is_local(address)

    def passes(self, way: Way, link: str) -> bool:
        """Whether it comes or leaves by such a link; `eth+` is any whose name begins so. Raises
        `Unsure`."""
        name = self.in_interface if way == "comes in by" else self.out_interface
        if name == UNTOLD and self.known is not None:
            if link == "lo" and way == "leaves by":
                return self.is_local(self.destination)
            return self.known.passes(self.destination, way, link)
        return name.startswith(link[:-1]) if link.endswith("+") else name == link


ROUTING = "routing"
"""Where a machine that does not forward drops a packet: no rule is asked."""

BRIDGE = "bridge"
"""Where a bridge drops a packet that is to leave by the port it came in by, before any rule of
forwarding is asked."""


class Hit(NamedTuple):
    """A rule that matched: its table, chain, number from 1, text. `verdict` is what it did: accept,
    drop, reject, return, jump, goto (with the chain `to` which), or continue; `mark` is that of the
    packet then."""

    table: str
    chain: str
    number: int
    rule: str
    verdict: str = "continue"
    to: str = ""
    mark: int = 0

    def __str__(self) -> str:
        return f"{self.table}: -A {self.chain} {self.rule}"


class Doubt(NamedTuple):
    """A fact that nobody told, and the rule that asked for it; no table for what routing asks."""

    fact: str
    table: str = ""
    chain: str = ""
    number: int = 0


class Outcome(Struct, frozen=True):
    """One end the packet can come to.

    `verdict` is ACCEPT, DROP or REJECT, given at `hook`, by `ROUTING` or a `BRIDGE`; an accepted
    packet was `delivered` to the node itself or sent on. `packet` is it as it left: destination and
    port after DNAT, its mark; `masqueraded` when its source became an address of the node's.
    `unknown` is what nobody here understands, `unsure` are the facts that nobody told and that were
    asked for, which count as not being so.
    `cut_short` tells why its ways are not followed, and from which rule on.
    """

    verdict: Literal["ACCEPT", "DROP", "REJECT"]
    hook: str
    delivered: bool
    masqueraded: bool
    packet: Packet
    probability: float
    rules: tuple[Hit, ...]
    unknown: tuple[str, ...]
    unsure: tuple[Doubt, ...] = ()
    cut_short: Doubt | None = None

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Address and port it was translated to; None when it was not."""
        return (self.packet.destination, self.packet.dport) if self.packet.dnat else None
