"""A packet of a flow at a node whose rules a save has: the first, the next, or the answer. Pure.

What connection tracking makes of a later one is what the rules did to the first: that is walked
before it. Which of its addresses the node masqueraded as is in no save; of those that are known
each is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from netlab.pathcheck.decode import endpoint
from netlab.simulation.hooks import EntryHook
from netlab.simulation.knowledge import Known, Unsure, comes_in_by
from netlab.simulation.packet import Doubt, Flow, Outcome, Packet
from netlab.trace.predicted import Which

STAND_INS = ("192.0.2.1", "2001:db8::1")
"""Of an address of the node's that nobody told, by family: no Service's or pod's."""

MASQUERADED = "it was masqueraded as "
"""So begins the fact that a first packet was given one of the node's known addresses."""

_WHO = {"new": "it", "established": "the next packet", "reply": "the answer"}


class Simulates(Protocol):
    """Rules that a packet can be sent through on paper."""

    def simulate(self, packet: Packet, *, entry: EntryHook) -> Sequence[Outcome]:
        """Every outcome it can have."""


class Sent(NamedTuple):
    """The packet that is told about, where it came to the rules, and what became of it; or the
    `first`, where no later one follows it."""

    packet: Packet
    entry: EntryHook
    outcome: Outcome
    first: bool = False


class Flowing(Struct, frozen=True):
    """That packet of a flow which is asked about: of a reply, that from `answered`, an
    `address:port`. `comes_by` and `leaves_by` are the links of the flow's first packet, of whose
    node `addresses` are the known ones."""

    rules: Simulates
    entry: EntryHook
    which: Which
    addresses: tuple[str, ...] = ()
    answered: str = ""

    def sent(self, packet: Packet) -> list[Sent]:
        """All that may become of it, the likeliest first; `packet` is the flow's first. Where none
        follows, what became of that one."""
        firsts = self.rules.simulate(packet, entry=self.entry)
        if self.which == "new":
            return [Sent(packet, self.entry, each) for each in firsts]
        if any(each.unsure for each in firsts):  # which is to be tried before
            return [Sent(packet, self.entry, each, first=True) for each in firsts]
        found = [later for each in firsts for later in self._after(packet, each)]
        followed = [each for each in found if not each.first]
        return sorted(followed or found, key=lambda each: -each.outcome.probability)

    def _after(self, packet: Packet, first: Outcome) -> Iterator[Sent]:
        """What follows one end of the first packet."""
        lost = first.verdict != "ACCEPT" or bool(first.unknown)
        to = first.packet
        if lost or (self.answered and endpoint(to.destination, to.dport) != self.answered):
            yield Sent(packet, self.entry, first, first=True)
            return
        try:
            later, entry = (
                self._reply(packet, first) if self.answered else self._next(packet, first)
            )
        except Unsure as untold:
            doubt = replace(first, unsure=(Doubt(untold.fact),))
            yield Sent(packet, self.entry, doubt)
            return
        for each in self.rules.simulate(later, entry=entry):
            share = each.probability * first.probability
            masqueraded = first.masqueraded and not self.answered
            yield Sent(later, entry, replace(each, probability=share, masqueraded=masqueraded))

    def _next(self, packet: Packet, first: Outcome) -> tuple[Packet, EntryHook]:
        to = first.packet
        flow = Flow(
            to.destination, to.dport, to.source, to.sport, *_translated(packet, first)
        )  # fmt: skip
        return self._later(packet, flow, self.entry, first), self.entry

    def _reply(self, packet: Packet, first: Outcome) -> tuple[Packet, EntryHook]:
        """Raises `Unsure` where it is to be tried which address it comes back to."""
        to, ports = first.packet, packet.protocol != "icmp" and packet.protocol != "ipv6-icmp"
        back = self._masquerade(packet) if _is_hidden(packet, first) else to.source
        answer = replace(
            packet,
            source=to.destination,
            sport=to.dport,
            destination=back,
            dport=to.sport if ports else 0,
            in_interface=packet.out_interface,
            out_interface=packet.in_interface or packet.out_interface,
            local=packet.local | ({back} if _is_hidden(packet, first) else set()),
        )
        entry: EntryHook = "OUTPUT" if first.delivered else "PREROUTING"
        if entry == "OUTPUT":
            answer = replace(answer, in_interface="")
        elif packet.known is not None:  # who answers is elsewhere
            foreign = packet.known.foreign | ({to.destination} - answer.local)
            answer = replace(answer, known=replace(packet.known, foreign=foreign))
        sport = packet.sport if ports else 0
        flow = Flow(
            packet.source, sport, packet.destination, packet.dport, *_translated(packet, first)
        )
        return self._later(answer, flow, entry, first), entry

    def _later(self, packet: Packet, flow: Flow, entry: EntryHook, first: Outcome) -> Packet:
        known = replace(packet.known or Known(), who=_WHO[self.which])
        if entry == "PREROUTING":
            known = replace(known, not_so=known.not_so | {comes_in_by("lo", known.who)})
        packet = replace(packet, known=known)
        if first.packet.ctstate == "UNTRACKED":  # nothing is remembered, nor turned back
            return packet
        dnat, snat = flow.dnat, flow.snat
        return replace(packet, flow=flow, ctstate="ESTABLISHED", dnat=dnat, snat=snat)

    def _masquerade(self, packet: Packet) -> str:
        """The node's address on the link that the first packet left by."""
        six = ":" in packet.source
        known = [each for each in self.addresses if (":" in each) == six]
        for address in known[:-1]:
            if (packet.known or Known()).told(f"{MASQUERADED}{address}"):
                return address
        return known[-1] if known else STAND_INS[six]


def _is_hidden(packet: Packet, first: Outcome) -> bool:
    """Whether its source became an address that no rule has."""
    return first.masqueraded and first.packet.source == packet.source


def _translated(packet: Packet, first: Outcome) -> tuple[bool, bool]:
    to = first.packet
    return (to.destination, to.dport) != (packet.destination, packet.dport), first.masqueraded
