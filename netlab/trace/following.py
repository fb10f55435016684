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
from collections.abc import Iterator, Mapping
from pathlib import Path

from netlab.kernel.nftrace import Pattern, Patterns, TraceEvent, Tracing
from netlab.pathcheck.capture import Capture, InstrumentError
from netlab.pathcheck.decode import Observation, split
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.trial import Trial

_SYN, _SYN_ACK = (0x02, 0xC2), (0x12, 0x52)
"""Flags of the first packet, and of its answer; with those by which ECN is agreed on."""

_LOOK_SECONDS = 0.5


class LabGone(InstrumentError):
    """Nothing will come any more: who was to send is not there."""


class Follower:
    """Waits for the next TCP connection that a trial's sender opens to its target."""

    def __init__(self, trial: Trial) -> None:
        self._place = trial.place
        self._target = trial.targets[0]
        ends = map(split, trial.endpoints or ())
        self.patterns: Patterns = [
            each for end in dict.fromkeys((self._target, *ends)) for each in _patterns(*end)
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


def _patterns(address: str, port: int) -> Iterator[tuple[Pattern, ...]]:
    version = 6 if ":" in address else 4
    packed = socket.inet_pton(socket.AF_INET6 if version == 6 else socket.AF_INET, address)
    source, destination = (8, 24) if version == 6 else (12, 16)
    number = struct.pack(">H", port)
    for flags in _SYN:
        ports = (Pattern(2, number),) if port else ()
        yield (Pattern(destination, packed, True), *ports, Pattern(13, bytes([flags])))
    for flags in _SYN_ACK:
        ports = (Pattern(0, number),) if port else ()
        yield (Pattern(source, packed, True), *ports, Pattern(13, bytes([flags])))


def _probe(seen: Observation) -> ProbePacket:
    packet = seen.packet
    assert packet.key is not None
    return ProbePacket(
        packet.key, "tcp", packet.src, packet.sport, packet.dst, packet.dport, packet.ip_id
    )
