"""Why does a Service not answer? One sentence, what shows it, what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from netlab.diagnosis.facts import Cause, Facts, Way
from netlab.diagnosis.remedies import remedy
from netlab.diagnosis.service import EVERY_WAY, causes
from netlab.objects import meta
from netlab.objects.types import Service
from netlab.pathcheck.world import World
from netlab.trace.dropped import said
from netlab.trace.evidence import place
from netlab.trace.passages import TURN_AWAY
from netlab.trace.story import Story


class Answer(Struct, frozen=True):
    """What is to be said of a Service: whether it answers whom, why not, what shows it, and a
    command for each cause."""

    service: str
    answers: bool
    sentence: str
    evidence: tuple[str, ...]
    causes: tuple[Cause, ...]
    remedies: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "service": self.service,
            "answers": self.answers,
            "sentence": self.sentence,
            "evidence": list(self.evidence),
            "causes": [cause.json() for cause in self.causes],
            "remedies": list(self.remedies),
        }


class Seen(Struct, frozen=True):
    """What there is beside the objects: the story of a packet, if one could be sent; why the name
    could not be looked up, or nothing be sent; causes found on the way, and what they are shown
    by; what was put back on nodes `lately`. `way` is the one that was asked by; `named`: somebody
    said who asks, so that other ways are not his."""

    story: Story | None = None
    problem: str = ""
    causes: tuple[Cause, ...] = ()
    notes: tuple[str, ...] = ()
    way: Way = EVERY_WAY
    named: bool = False
    lately: tuple[str, ...] = ()


def answer(service: Service, facts: Facts, seen: Seen) -> Answer:
    """From the objects, and from what was seen of a packet to it."""
    story = seen.story
    found = tuple(dict.fromkeys(_causes(service, facts, seen)))
    name, space = meta.name(service), meta.namespace(service)
    reached = story is not None and story.journey.outcome == "reachable" and not seen.problem
    return Answer(
        service=meta.key(service),
        answers=reached,
        sentence=_sentence(name, seen, found, reached=reached),
        evidence=(
            *seen.notes,
            *([seen.problem] if seen.problem else []),
            *_evidence(story),
            *seen.lately,
        ),
        causes=found,
        remedies=tuple(dict.fromkeys(remedy(each, name, space) for each in found)),
    )


def _causes(service: Service, facts: Facts, seen: Seen) -> Iterator[Cause]:
    """The surest first. What was said of the packet's own way is not said of all ways again."""
    of_packet = seen.story.causes if seen.story is not None else ()
    yield from seen.causes
    yield from of_packet
    said = {cause.reason for cause in of_packet}
    if "ConnectionRefused" in said:
        said.add("NobodyListens")
    reached = seen.story is not None and seen.story.journey.outcome == "reachable"
    way = EVERY_WAY if reached and not seen.named else seen.way
    yield from (cause for cause in causes(service, facts, way) if cause.reason not in said)


def of_name(name: str, key: str, cause: Cause) -> Answer:
    """Of a name that no Service has."""
    sentence = f"{name} does not answer: {cause}"
    return Answer(key, False, sentence, (), (cause,), (cause.remedy,))


def _sentence(name: str, seen: Seen, found: Sequence[Cause], *, reached: bool) -> str:
    if reached:
        assert seen.story is not None
        return f"svc/{name} answers {seen.story.sender}" + (f", but {found[0]}" if found else "")
    why = str(found[0]) if found else seen.problem or "nothing in its objects says why"
    return f"svc/{name} does not answer: {why}"


def _evidence(story: Story | None) -> Iterator[str]:
    if story is None:
        return
    probe, journey = story.probe, story.journey
    way = f"{story.sender} {probe.source} → {probe.destination} {probe.proto}"
    if journey.delivered is not None and journey.outcome == "reachable":
        yield f"{way} was answered by {journey.delivered_at} ({journey.delivered})"
    elif journey.delivered is not None:
        arrived = f"{journey.delivered_at} ({journey.delivered})"
        yield f"{way} came to {arrived}, and was {_became(story)}"
    else:
        last = f"seen last at {journey.last}" if journey.hops else f"it never left {story.sender}"
        yield f"{way} was {_became(story)}; {last}"
    if story.evidence.dropped:
        yield f"the kernel's reason: {said(story.evidence.dropped)}"
    for visit in story.there:
        for rule in visit.met:
            if rule.verdict in TURN_AWAY:
                yield f"{place(visit, rule)}: {rule.text or rule.verdict}"


def _became(story: Story) -> str:
    outcome, note = story.journey.outcome, story.journey.note
    return ("lost" if outcome == "timeout" else outcome) + (f" ({note})" if note else "")


def usual_sender(service: Service, world: World) -> str:
    """Who asks if nobody is named: a pod that runs and is not behind the Service, else a node."""
    selector = (meta.spec(service).get("selector") or {}).items()
    here = meta.namespace(service)
    pods = [world.pods[name] for name, one in sorted(world.places.items()) if one.role == "pod"]
    for pod in sorted(pods, key=lambda pod: not meta.is_ready(pod)):
        behind = bool(selector) and selector <= meta.labels(pod).items()
        if meta.namespace(pod) == here and not behind:
            return f"pod/{meta.name(pod)}"
    return next(name for name, place_ in world.places.items() if place_.role == "node")
