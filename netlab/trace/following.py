"""A flow that somebody else begins: waited for under open instruments, and its first packet told as
one that was sent.

Its number is known only once it has been seen, and by then it has met rules. So all first packets
to where it goes, and to where the rules may send it, are traced meanwhile; those of others are left
out by their numbers. Captures take what the sender sends and is sent, and nodes, which may have
taken its place. Nothing is held up: what nobody reads in time is lost to the trace, and the trace
says so.

A datagram is known by its content, and begins a flow if connection tracking knew of none like it
when it was begun to wait.
"""

from __future__ import annotations

import socket
import struct
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from netlab.kernel import conntrack
from netlab.kernel.nftrace import Pattern, Patterns, TraceEvent, Tracing
from netlab.objects import meta
from netlab.objects.loadbalancing import ingress_ips
from netlab.pathcheck import bpf
from netlab.pathcheck.capture import Capture, InstrumentError
from netlab.pathcheck.decode import (
    CapturedPacket,
    Decode,
    Observation,
    decode,
    decode_anybody_s,
    split,
)
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.trial import Trial
from netlab.pathcheck.world import Place, World
from netlab.trace.observe import Noted

Protocol = Literal["tcp", "udp"]
Known = frozenset[tuple[str, int]]
"""The ends that have flows by now."""

_SYN, _SYN_ACK = 0x02, 0x12
"""Of TCP's flags, which the first packet has, and its answer: some agree on ECN, too."""

_BEGINS = Pattern(13, bytes([_SYN]), mask=bytes([_SYN]))

_UDP = 17
_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 0.01
"""In a busy lab it wakes up for many packets at once."""

_KEPT = 4
"""Times of looking, of which one may fall between a node's rules and its captures."""

_MOST_PAIRS = 200


class LabGone(InstrumentError):
    """Nothing will come any more: who was to send is not there."""


class Follower:
    """Waits for the next flow of TCP or UDP that a trial's sender begins to its target.

    On its way it has the sender's address, or, masqueraded, a node's; of many nodes, any address.
    """

    def __init__(self, trial: Trial, world: World) -> None:
        self._place = trial.place
        self._nodes = [place for place in world.places.values() if place.role == "node"]
        self._target = trial.targets[0]
        self._protocol: Protocol = "udp" if trial.protocol.name == "udp" else "tcp"
        ends = trial.endpoints if trial.endpoints is not None else _endpoints(self._target, world)
        self._ends = dict.fromkeys((self._target, *map(split, ends)))
        sources = self._sources()
        self.patterns: Patterns = _patterns(self._protocol, self._ends, sources)
        self.wanted = bpf.of_machines(sources, self._protocol)
        self.goes_on = self._protocol == "udp"
        self.of_one: Patterns = ()
        self.read: Decode = decode_anybody_s if self.goes_on else decode

    def first(
        self, capture: Capture, traces: Mapping[str, Tracing], before: Noted
    ) -> tuple[ProbePacket, Noted]:
        """See `observe.Watch`. `LabGone` once that is so."""
        known = self._known()
        # What was told just before the captures show a packet may be of it.
        last = deque([before], maxlen=_KEPT)
        while True:
            seen = capture.collect(_LOOK_SECONDS)
            last.append(Noted(seen, {name: _collected(trace) for name, trace in traces.items()}))
            for one in seen:
                if (probe := self._as_sent(one, known)) is not None:
                    return probe, _since(one.time, last)
            time.sleep(_PAUSE_SECONDS)
            self._require_lab()

    def _sources(self) -> list[str]:
        places: list[Place] = [self._place, *self._nodes]
        target = self._target[0]
        return [*dict.fromkeys(ip for one in places for ip in one.addresses if _alike(ip, target))]

    def _known(self) -> Known:
        """TCP says by itself what begins a connection."""
        if self._protocol == "tcp":
            return frozenset()
        known = (conntrack.flows_to(one.netns, "udp", *self._target) for one in self._nodes)
        return frozenset((flow.source, flow.sport) for each in known for flow in each)

    def _as_sent(self, seen: Observation, known: Known) -> ProbePacket | None:
        """The packet as its sender sent it, if it is the first of such a flow."""
        packet = seen.packet
        from_here = seen.place == self._place.name and packet.src in self._place.addresses
        if not from_here or packet.proto != self._protocol or packet.key is None:
            return None
        sent = packet
        if self._place.role == "node" and not self._is_target(packet.dst, packet.dport):
            sent = self._untranslated(packet)
        if not self._is_target(sent.dst, sent.dport) or (sent.src, sent.sport) in known:
            return None
        ends = (sent.src, sent.sport, sent.dst, sent.dport)
        return ProbePacket(packet.key, self._protocol, *ends, packet.ip_id)

    def _is_target(self, address: str, port: int) -> bool:
        return address == self._target[0] and self._target[1] in (0, port)

    def _untranslated(self, packet: CapturedPacket) -> CapturedPacket:
        """A node's own packets are seen behind its own rules; connection tracking knows what they
        were before."""
        if (packet.dst, packet.dport) not in self._ends:
            return packet
        reply = conntrack.Tuple(packet.dst, packet.dport, packet.src, packet.sport)
        found = conntrack.replied_by(self._place.netns, self._protocol, reply)
        if found is None:
            return packet
        first = found.original
        return replace(
            packet, src=first.source, sport=first.sport, dst=first.destination, dport=first.dport
        )

    def _require_lab(self) -> None:
        netns = self._place.netns
        if isinstance(netns, Path) and not netns.exists():
            raise LabGone(
                f"{self._place.name} went away meanwhile", hint="netlab status tells what is left"
            )


def _endpoints(target: tuple[str, int], world: World) -> Iterator[str]:
    """Of the Services that have that address, or nodePort."""
    address, port = target
    for key, service in world.services.items():
        spec = meta.spec(service)
        own = (*(spec.get("clusterIPs") or ()), *(spec.get("externalIPs") or ()))
        is_its = address in (*own, *ingress_ips(service))
        for each in spec.get("ports") or ():
            if (is_its and port in (0, each["port"])) or (port and port == each.get("nodePort")):
                yield from world.endpoints(key, each, 6 if ":" in address else 4)


def _collected(trace: Tracing) -> list[TraceEvent]:
    try:
        return trace.collect()
    except OSError:  # more than the socket holds: those that are lost are missed by the story
        return []


def _since(time: int, noted: Collection[Noted]) -> Noted:
    """All of them: what was seen from that time on, and what was told, which bears none."""
    nodes = {name for one in noted for name in one.told}
    told = {name: [event for one in noted for event in one.told.get(name, ())] for name in nodes}
    return Noted([seen for one in noted for seen in one.seen if seen.time >= time], told)


def _alike(address: str, other: str) -> bool:
    return (":" in address) == (":" in other)


class _Fields(Struct, frozen=True):
    """Where a header of IP has what is asked for."""

    protocol: int
    source: int
    destination: int


_V4, _V6 = _Fields(9, 12, 16), _Fields(6, 8, 24)


def _patterns(
    protocol: Protocol, ends: Iterable[tuple[str, int]], sources: list[str]
) -> list[tuple[Pattern, ...]]:
    """First packets from somebody of these to one of the ends, and their answers: of UDP, all."""
    ends = list(ends)
    whose: list[str | None] = [*sources]
    if len(sources) * len(ends) > _MOST_PAIRS:
        whose = [None]
    return [
        (kind, *there)
        for address, port in ends
        for who in whose
        for kind, there in _of_pair(protocol, who, address, port)
    ]


def _of_pair(
    protocol: Protocol, who: str | None, address: str, port: int
) -> Iterator[tuple[Pattern, tuple[Pattern, ...]]]:
    fields = _V6 if ":" in address else _V4
    end, number = _packed(address), struct.pack(">H", port)
    ours = [(fields.source, fields.destination, 2), (fields.destination, fields.source, 0)]
    for (own, other, at), flags in zip(ours, (_SYN, _SYN_ACK), strict=True):
        ports = [Pattern(at, number)] if port else []
        owner = [Pattern(own, _packed(who), True)] if who else []
        ways = (Pattern(other, end, True), *ports, *owner)
        if protocol == "udp":
            yield Pattern(fields.protocol, bytes([_UDP]), True), ways
        else:  # nearly no packet begins anything: that is asked first
            yield _BEGINS, (Pattern(13, bytes([flags]), mask=bytes([_SYN_ACK])), *ways)


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
