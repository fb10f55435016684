"""Many packets of one kind, each a flow of its own: where they went, against what was foreseen."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from netlab.errors import NetlabError
from netlab.pathcheck.capture import Capture
from netlab.pathcheck.packets import ProbeNumbers, ProbePacket
from netlab.pathcheck.path import Journey, Sightings, journey
from netlab.pathcheck.send import Senders, source_address
from netlab.pathcheck.trial import NothingToAddress, Trial, plan
from netlab.pathcheck.world import World
from netlab.trace.agreement import nobody_there, observed
from netlab.trace.predicted import Prediction, Verdict
from netlab.trace.story import Story

_BATCH = 32
_SILENCE_SECONDS = 0.5
_SURE = 6.1
"""Standard deviations by which chance misses once in a billion times."""

_FEW_FORESEEN = 10
"""Of an end for which fewer packets are foreseen no share is judged."""


class End(Struct, frozen=True):
    """Where so many of the packets ended: `foreseen` is their share by the rules, None of an end
    that no rule leads to. `far` says that chance alone does not give that many, or few."""

    verdict: Verdict
    at: str
    destination: str
    packets: int
    foreseen: float | None
    far: bool = False

    def json(self) -> dict[str, Any]:
        """As plain data."""
        foreseen = round(self.foreseen, 9) if self.foreseen is not None else None
        return {
            "verdict": self.verdict,
            "at": self.at,
            "destination": self.destination,
            "packets": self.packets,
            "foreseen": foreseen,
            "far": self.far,
        }


def counted(story: Story, world: World, number: int) -> list[End]:
    """Where a story's packet and `number - 1` more like it went, the likeliest ends first."""
    probe = story.probe
    trial = replace(plan(story.check, world), targets=((probe.dst, probe.dport),))
    journeys = [story.journey, *_sent(trial, world, number - 1)]
    is_judged = not trial.affinity
    return sorted(ends(journeys, story.ends, judged=is_judged), key=lambda end: -end.packets)


def ends(
    journeys: Sequence[Journey], foreseen: Sequence[Prediction], *, judged: bool = True
) -> Iterator[End]:
    """Each end that was seen, or is foreseen. `judged` is False where one packet decides for those
    that follow."""
    seen = Counter(_ended(each, foreseen) for each in journeys)
    shares: dict[tuple[Verdict, str, str], float] = {}
    for each in foreseen:
        key = _key(each.verdict, each.at, each.destination)
        shares[key] = shares.get(key, 0.0) + each.share
    total = len(journeys)
    for key in dict.fromkeys((*shares, *seen)):
        share = shares.get(key)
        far = judged and share is not None and _is_far(seen[key], total, share)
        yield End(*key, seen[key], share, far or (share is None))


def _ended(each: Journey, foreseen: Sequence[Prediction]) -> tuple[Verdict, str, str]:
    for end in foreseen:
        # Captures see a packet that came to where it goes before that machine's rules do.
        turned_away = end.verdict in ("lost", "refused") and each.outcome != "reachable"
        if turned_away and end.at == each.delivered_at:
            return _key(end.verdict, "", "")
        if end.verdict == "lost" and nobody_there(each):
            return _key("lost", "", "")
    if each.delivered is not None:
        return _key("delivered", each.delivered_at or "", each.delivered)
    return _key(observed(each), each.hops[-1].place if each.hops else "", "")


def _key(verdict: Verdict, at: str, destination: str) -> tuple[Verdict, str, str]:
    """Of what did not arrive captures see neither where it was bound for, nor who dropped it."""
    return (verdict, at, destination) if verdict == "delivered" else (verdict, "", "")


def _is_far(packets: int, total: int, share: float) -> bool:
    if share >= 1 - 1e-9:
        return packets != total
    deviation = sqrt(total * share * (1 - share))
    return total * share >= _FEW_FORESEEN and abs(packets - total * share) > _SURE * deviation


def _sent(trial: Trial, world: World, number: int) -> list[Journey]:
    address, port = trial.targets[0]
    source = source_address(trial.place.netns, address, port)
    if source is None:
        raise NothingToAddress(f"{trial.place.name} has no route to {address}")
    numbers, sightings = ProbeNumbers(), Sightings()
    probes = [numbers.probe(trial.protocol.name, source, address, port) for _ in range(number)]
    places = {name: place.netns for name, place in world.places.items()}
    with Capture(places) as capture, Senders() as senders:
        capture.prove()
        for sent, probe in enumerate(probes, 1):
            refusal = senders.send(trial.place.netns, probe)
            if refusal:
                raise NetlabError(f"{trial.place.name} cannot send to {address}: {refusal}")
            if sent % _BATCH == 0:
                sightings.add(capture.collect(0))
        _wait(trial, probes, sightings, capture)
        capture.require_complete()
    addresses = world.addresses()
    return [journey(probe, trial.place.name, sightings, addresses) for probe in probes]


def _wait(
    trial: Trial, probes: Sequence[ProbePacket], sightings: Sightings, capture: Capture
) -> None:
    """Until each is answered, or nothing has come for as long as an answer may take."""
    silence = max(trial.protocol.seconds, _SILENCE_SECONDS)
    deadline = time.monotonic() + silence
    waiting = list(probes)
    while waiting and (left := deadline - time.monotonic()) > 0:
        new = capture.collect(left)
        if new:
            deadline = time.monotonic() + silence
        sightings.add(new)
        waiting = [one for one in waiting if sightings.answer(one, trial.place.name) is None]
    sightings.add(capture.collect(0))
