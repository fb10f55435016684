"""A connection that somebody else opens: waited for under open instruments, and its first packet
told as one that was sent.

Its number is known only once it has been seen, and by then it has met rules. So all first packets
to where it goes, and to where the rules may send it, are traced meanwhile; those of others are left
out by their numbers. Nothing is held up: what nobody reads in time is lost to the trace, and the
trace says so.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from netlab.kernel.nftrace import Pattern, Patterns, TraceEvent, Tracing
from netlab.pathcheck.capture import Capture, InstrumentError
from netlab.pathcheck.decode import Observation, split
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.trial import Trial
from netlab.pathcheck.world import World

_SYN, _SYN_ACK = (0x02, 0xC2), (0x12, 0x52)
"""Flags of the first packet, and of its answer; with those by which ECN is agreed on."""

_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 0.01
"""In a busy lab it wakes up for many packets at once."""

_MOST_PAIRS = 200


class LabGone(InstrumentError):
    """Nothing will come any more: who was to send is not there."""


class Follower:
    """Waits for the next TCP connection that a trial's sender opens to its target.

    On its way it has the sender's address, or, masqueraded, a node's; of many nodes, any address.
    """

    def __init__(self, trial: Trial, world: World) -> None:
        self._place = trial.place
        self._target = trial.targets[0]
        ends = dict.fromkeys((self._target, *map(split, trial.endpoints or ())))
        nodes = (place for place in world.places.values() if place.role == "node")
        places = (trial.place, *nodes)
        alike = [ip for place in places for ip in place.addresses if _alike(ip, self._target[0])]
        sources: list[str | None] = [*dict.fromkeys(alike)]
        if len(sources) * len(ends) > _MOST_PAIRS:
            sources = [None]
        self.patterns: Patterns = [
            each for end in ends for source in sources for each in _patterns(source, *end)
        ]

    def first(
        self, capture: Capture, traces: Mapping[str, Tracing]
    ) -> tuple[ProbePacket, list[Observation], dict[str, list[TraceEvent]]]:
        """See `observe.Watch`. `LabGone` once that is so."""
        before: list[Observation] = []
        told: dict[str, list[TraceEvent]] = {}
        while True:
            seen = capture.collect(_LOOK_SECONDS)
            new = {name: _collected(trace) for name, trace in traces.items()}
            kept = {name: [*told.get(name, ()), *events] for name, events in new.items()}
            for one in seen:
                if self._is_it(one):
                    return _probe(one), [*before, *seen], kept
            time.sleep(_PAUSE_SECONDS)
            # What was told just before the captures show a packet may be of it.
            before, told = seen, new
            self._require_lab()

    def _is_it(self, seen: Observation) -> bool:
        packet = seen.packet
        address, port = self._target
        from_here = seen.place == self._place.name and packet.src in self._place.addresses
        is_first = packet.proto == "tcp" and packet.key is not None
        return from_here and is_first and packet.dst == address and port in (0, packet.dport)

    def _require_lab(self) -> None:
        netns = self._place.netns
        if isinstance(netns, Path) and not netns.exists():
            raise LabGone(
                f"{self._place.name} went away meanwhile", hint="netlab status tells what is left"
            )


def _collected(trace: Tracing) -> list[TraceEvent]:
    try:
        return trace.collect()
    except OSError:  # more than the socket holds: those that are lost are missed by the story
        return []


def _alike(address: str, other: str) -> bool:
    return (":" in address) == (":" in other)


def _patterns(who: str | None, address: str, port: int) -> Iterator[tuple[Pattern, ...]]:
    """First packets from somebody to there, and their answers."""
    source, destination = (8, 24) if ":" in address else (12, 16)
    there, number = _packed(address), struct.pack(">H", port)
    for flags in _SYN:
        ends = [Pattern(source, _packed(who), True)] if who else []
        ports = [Pattern(2, number)] if port else []
        yield (Pattern(destination, there, True), *ends, *ports, Pattern(13, bytes([flags])))
    for flags in _SYN_ACK:
        ends = [Pattern(destination, _packed(who), True)] if who else []
        ports = [Pattern(0, number)] if port else []
        yield (Pattern(source, there, True), *ends, *ports, Pattern(13, bytes([flags])))


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _probe(seen: Observation) -> ProbePacket:
    packet = seen.packet
    assert packet.key is not None
    return ProbePacket(
        packet.key, "tcp", packet.src, packet.sport, packet.dst, packet.dport, packet.ip_id
    )
