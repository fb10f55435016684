"""One packet sent under open instruments, and what the kernel tells of it.

captures and traces open → canaries seen → the packet leaves → its answer, or silence → the story
"""

from __future__ import annotations

import contextlib
import re
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from netlab.kernel.nftrace import Pattern, Patterns, TraceEvent, Tracing, interface_names
from netlab.pathcheck import bpf
from netlab.pathcheck.capture import CANARY, Capture, InstrumentError
from netlab.pathcheck.decode import CapturedPacket, Decode, Observation, decode
from netlab.pathcheck.packets import ProbeNumbers, ProbePacket
from netlab.pathcheck.path import Journey, Sightings, journey
from netlab.pathcheck.send import Sender, Senders, source_address
from netlab.pathcheck.trial import NothingToAddress, Trial
from netlab.pathcheck.world import World
from netlab.trace import asking, flows
from netlab.trace.dropped import Reasons
from netlab.trace.passages import FindRule, Passage, passages
from netlab.trace.way import Evidence, way_back

_SILENCE_SECONDS = 0.5
_CANARY = Pattern(8, f"netlab-{CANARY:08x}".encode())
_DNAT = re.compile(r"-j DNAT\b|\bdnat\b")
_REST_SECONDS = 0.005
"""For what follows an answer: what is told of it comes a moment later."""


class Noted(Struct, frozen=True):
    """What instruments told in one go: what captures saw, and each node's trace."""

    seen: Sequence[Observation] = ()
    told: Mapping[str, Sequence[TraceEvent]] = MappingProxyType({})


class Watch(Protocol):
    """Waits for a packet that somebody else sends. `patterns` are what is traced meanwhile,
    `wanted` what is captured, and `read` how that is read; `goes_on`: more like it may follow."""

    patterns: Patterns
    wanted: bpf.Filter
    read: Decode
    goes_on: bool
    of_one: Patterns
    """Those of the patterns by which its drop is known; none where others' packets have them."""

    def first(
        self, capture: Capture, traces: Mapping[str, Tracing], before: Noted, /
    ) -> tuple[ProbePacket, Noted]:
        """It, and what was noted until then that may be of it: it may have been on its way when
        the instruments were proved, which noted what is `before`."""


class Observed(Struct, frozen=True):
    """What was seen of one packet: at its interfaces, by nodes' rules, by what else kernels say;
    `packets` are all its copies and its answer's, in the order in which they passed."""

    probe: ProbePacket
    journey: Journey
    passages: tuple[Passage, ...]
    packets: tuple[Observation, ...]
    evidence: Evidence
    replied: bool = False
    """Whether its flow had been answered before."""


def observe(
    trial: Trial,
    world: World,
    find: Callable[[str], FindRule],
    sender: Sender | None = None,
    watch: Watch | None = None,
    *,
    later: bool = False,
) -> Observed:
    """Send the trial's packet and watch it; `find` gives each node's rules. `sender` is who sends
    it, with an IP id that the kernel chooses, if it is no packet of its own; with a `watch` none is
    sent, and it is the first that comes. `later`: the second of a flow, whose first has passed by
    then.

    `InstrumentError` where nothing can be seen, `NothingToAddress` where nothing can be sent,
    `NoFlow` where nothing can follow.
    """
    if watch is not None:
        return _observe(trial, world, find, watch)
    first = _probe(trial)
    with contextlib.ExitStack() as stack:
        if later:
            ready = stack.enter_context(flows.begun(trial, first))
            return _observe(trial, world, find, _Sending(trial, ready), replied=ready.replied)
        if sender is not None:
            first = replace(first, ip_id=0)
        senders = sender or stack.enter_context(Senders())
        send = partial(senders.send, trial.place.netns, first)
        ready = flows.Later(first, send, replied=False)
        return _observe(trial, world, find, _Sending(trial, ready))


class _Sending:
    """`Watch`: a packet of our own."""

    def __init__(self, trial: Trial, ready: flows.Later) -> None:
        self._trial = trial
        self._ready = ready
        known = flows.patterns if ready.data else _patterns
        self.patterns: Patterns = list(known(ready.probe))
        own: Patterns = () if ready.data else self.patterns
        # The answer to a SYN is known by the number behind.
        self.of_one: Patterns = own if trial.protocol.name in ("udp", "icmp") else own[:1]
        self.wanted = bpf.STREAMS if ready.data else bpf.PROBES
        self.read: Decode = decode
        self.goes_on = False

    def first(self, _: Capture, __: Mapping[str, Tracing], ___: Noted) -> tuple[ProbePacket, Noted]:
        """Send it: nothing has been noted of it yet."""
        probe, refusal = self._ready.probe, self._ready.send()
        if refusal:
            sender = self._trial.place.name
            raise NothingToAddress(f"{sender} cannot send to {probe.dst}: {refusal}")
        return probe, Noted()


def _observe(
    trial: Trial,
    world: World,
    find: Callable[[str], FindRule],
    watch: Watch,
    *,
    replied: bool = False,
) -> Observed:
    nodes = {name: place.netns for name, place in world.places.items() if place.role == "node"}
    with contextlib.ExitStack() as stack:
        traces = {
            name: stack.enter_context(Tracing(netns, [_CANARY, *watch.patterns]))
            for name, netns in nodes.items()
        }
        reasons = Reasons(watch.of_one, world, stack)
        # Behind them: it sends the canary as it opens.
        places = {name: place.netns for name, place in world.places.items()}
        capture = stack.enter_context(Capture(places, watch.wanted, watch.read))
        proved = Noted(capture.prove(), _prove(traces))
        reasons.prove()
        probe, noted = watch.first(capture, traces, proved)
        sightings = Sightings(watch.goes_on)
        sightings.add(sorted(noted.seen, key=lambda one: one.time))
        _follow(trial, probe, capture, sightings)
        capture.require_complete()
        dropped = reasons.told()
        told = {
            name: [*noted.told.get(name, ()), *trace.collect()] for name, trace in traces.items()
        }
    probe = _numbered(probe, sightings.all)
    sender = trial.place.name
    went = journey(probe, sender, sightings, world.addresses())
    tracked = tuple(asking.tracked(went, world, sender))  # before it is forgotten
    passed = [sender, *(hop.place for hop in went.hops)]
    ours = _Ours(probe, sightings)
    met = tuple(_ordered(told, nodes, find, ours, passed))
    evidence = Evidence(
        way_back(probe, sender, sightings.copies(probe), sightings.all, tracked),
        tracked,
        tuple(asking.decisions(went, [one for one in met if not one.reply], world, sender)),
        dropped if _is_its(went) else "",
    )
    packets = sorted(
        (one for one in sightings.all if ours.has(one.packet)), key=lambda one: one.time
    )
    ended = _turned_away(went, met, world.addresses())
    return Observed(probe, ended, met, tuple(packets), evidence, replied)


def _is_its(went: Journey) -> bool:
    """Whether a reason is the packet's own: an answer to a datagram bears its token, too."""
    if went.probe.proto in ("tcp", "sctp") or went.delivered is None:
        return went.outcome != "reachable"
    return went.outcome in ("refused", "unreachable")


def _numbered(probe: ProbePacket, seen: Iterable[Observation]) -> ProbePacket:
    """With the number that the kernel chose for it."""
    if probe.ip_id:
        return probe
    ids = (one.packet.ip_id for one in seen if one.packet.key == probe.key)
    return replace(probe, ip_id=next(ids, 0))


def _turned_away(
    went: Journey, passages: Sequence[Passage], addresses: Mapping[str, frozenset[str]]
) -> Journey:
    """Captures see a packet that came to where it goes before that machine's rules do: they drop
    it, or send it elsewhere, where it was not seen to go."""
    there = [one for one in passages if one.place == went.delivered_at and not one.reply]
    own = addresses.get(went.delivered_at or "", frozenset())
    unanswered = went.outcome != "reachable" or went.note
    if there and (there[-1].verdict == "drop" or (unanswered and _sends_on(there, own))):
        return turned_away(went)
    return went


def _sends_on(passages: Sequence[Passage], own: frozenset[str]) -> bool:
    """Whether a rule that was met gives another destination than these."""
    texts = (rule.text for each in passages for rule in each.rules)
    return any(_DNAT.search(text) and not any(ip in text for ip in own) for text in texts)


def turned_away(went: Journey) -> Journey:
    """It did not arrive: the rules of the machine that it goes to turned it away."""
    if went.outcome == "reachable":  # a datagram that needs no answer
        went = replace(went, outcome="timeout", note="")
    return replace(went, delivered=None, delivered_at=None, seen_source=None)


def _probe(trial: Trial) -> ProbePacket:
    address, port = trial.targets[0]
    source = source_address(trial.place.netns, address, port)
    if source is None:
        raise NothingToAddress(f"{trial.place.name} has no route to {address}")
    probe = ProbeNumbers().probe(trial.protocol.name, source, address, port)
    return replace(probe, sport=trial.source_port or probe.sport, payload=trial.payload)


def _prove(traces: Mapping[str, Tracing]) -> dict[str, list[TraceEvent]]:
    """What each tells. Raise `InstrumentError` unless that is of the canary which the captures
    saw."""
    told = {name: trace.collect() for name, trace in traces.items()}
    blind = sorted(name for name, events in told.items() if not events)
    if blind:
        raise InstrumentError(
            f"the kernel traces no packet in {', '.join(blind)}",
            hint="does it have nf_tables' trace infrastructure? `netlab doctor` tells",
        )
    return told


def _patterns(probe: ProbePacket) -> Iterator[Pattern]:
    """By what the probe, and its answer, are known wherever they are, whoever rewrote them."""
    if probe.proto == "tcp":
        yield Pattern(4, struct.pack(">I", probe.key))
        yield Pattern(8, struct.pack(">I", (probe.key + 1) % 2**32))
        return
    if probe.proto == "sctp":
        yield Pattern(16, struct.pack(">I", probe.key))
        yield Pattern(4, struct.pack(">I", probe.key))
        return
    token = f"netlab-{probe.key:08x}".encode()
    yield Pattern(8, token)
    yield Pattern(21, token)  # in the question to a DNS server


def _follow(trial: Trial, probe: ProbePacket, capture: Capture, sightings: Sightings) -> None:
    """Watch until it is answered, or nobody does."""
    deadline = time.monotonic() + max(trial.protocol.seconds, _SILENCE_SECONDS)
    while (left := deadline - time.monotonic()) > 0:
        if sightings.answer(probe, trial.place.name) is not None:
            break
        sightings.add(capture.collect(left))
    sightings.add(capture.collect(_REST_SECONDS))


class _Ours:
    """Which packets are the probe, and which its answer.

    It is known by its numbers (TCP's sequence, that of IP) also where no capture saw it: with
    a new destination, before the rule that dropped it. Else by where it comes from and goes to.
    """

    def __init__(self, probe: ProbePacket, sightings: Sightings) -> None:
        copies = [seen.packet for seen in sightings.copies(probe)]
        self._probe = probe
        self._sources = {probe.source, *(packet.source for packet in copies)}
        self._destinations = {probe.destination, *(packet.destination for packet in copies)}

    def __call__(self, packet: CapturedPacket) -> bool | None:
        """Whether it is the answer; None if it is neither."""
        if packet.source in self._sources and self._is_for_the_same(packet):
            return False
        if packet.source in self._destinations and packet.destination in self._sources:
            return True
        return None

    def has(self, packet: CapturedPacket) -> bool:
        """Whether it is either of them, or tells of an error with the probe."""
        return packet.answers == self._probe.key or self(packet) is not None

    def _is_for_the_same(self, packet: CapturedPacket) -> bool:
        known = self._probe.key == packet.key or self._probe.ip_id == packet.ip_id
        return known or packet.destination in self._destinations


def _ordered(
    told: Mapping[str, Sequence[TraceEvent]],
    nodes: Mapping[str, Path | int],
    find: Callable[[str], FindRule],
    ours: _Ours,
    places: Sequence[str],
) -> Iterator[Passage]:
    """All nodes' passages: first the way there, then the way back, each in the packet's order."""
    order = {place: number for number, place in reversed(list(enumerate(places)))}
    found: list[Passage] = []
    for name, events in told.items():
        found += passages(name, events, interface_names(nodes[name]), find(name), ours)
    there = sorted((one for one in found if not one.reply), key=lambda one: order.get(one.place, 0))
    back = sorted((one for one in found if one.reply), key=lambda one: -order.get(one.place, 0))
    yield from (*there, *back)
