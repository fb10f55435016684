"""Which places a run of checks opens captures in: where its packets are to pass, not all. Pure.

Machines are few, and packets may pass any. Of pods there may be thousands: those are watched that
send, and those that a target may lead to. A packet that went to another one has gone `astray`:
then the check is run again, and all places are watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.pathcheck import bpf
from netlab.pathcheck.decode import split
from netlab.pathcheck.path import Journey
from netlab.pathcheck.trial import Trial
from netlab.pathcheck.world import World

_POD_PORT = "veth"  # how the names of pods' ports on their nodes begin


def near(trials: Iterable[Trial], world: World) -> frozenset[str]:
    """The places where packets of these trials are to pass."""
    found = {name for name, place in world.places.items() if place.role != "pod"}
    for trial in trials:
        found.add(trial.place.name)
        found |= {place for place in _ends(trial, world) if place in world.places}
    return frozenset(found)


def _ends(trial: Trial, world: World) -> Iterator[str]:
    yield from (trial.endpoints or {}).values()
    for address in (*(trial.wanted or ()), *(address for address, _ in trial.targets)):
        yield world.owner(split(address)[0]) or ""


def filters(trials: Iterable[Trial], places: Iterable[str]) -> dict[str, bpf.Filter]:
    """What is heard at places where nobody waits for an answer."""
    senders = {trial.place.name for trial in trials}
    return {place: bpf.QUESTIONS for place in places if place not in senders}


def astray(journey: Journey, expected: str, watched: frozenset[str], world: World) -> bool:
    """Whether a packet may have gone to a pod that is not watched: to its address, or with no
    trace of it left, as one does that was expected to arrive."""
    if not journey.hops or journey.delivered is not None:
        return False
    last, world = journey.hops[-1], world.whole
    owner = world.owner(split(last.destination)[0])
    if owner is not None and owner not in watched:
        return True
    lost = journey.outcome == "timeout" != expected
    return lost and last.ifname.startswith(_POD_PORT) and len(watched) < len(world.places)
