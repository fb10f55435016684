"""Why does a Service not answer? One sentence, what shows it, what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from netlab.diagnosis.facts import Cause, Facts
from netlab.diagnosis.remedies import remedy
from netlab.diagnosis.service import causes
from netlab.objects import meta
from netlab.objects.types import Service
from netlab.pathcheck.world import World
from netlab.proxy.nftables.model import TABLE
from netlab.trace.passages import MetRule
from netlab.trace.story import ChainVisit, Story


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


def answer(service: Service, facts: Facts, story: Story | None, problem: str = "") -> Answer:
    """From the objects, and from the story of a packet to it; without one, `problem` is why."""
    found = tuple(dict.fromkeys(_causes(service, facts, story)))
    name, space = meta.name(service), meta.namespace(service)
    reached = story is not None and story.journey.outcome == "reachable"
    return Answer(
        service=meta.key(service),
        answers=reached,
        sentence=_sentence(name, story, found, problem, reached=reached),
        evidence=tuple(_evidence(story)),
        causes=found,
        remedies=tuple(dict.fromkeys(remedy(each, name, space) for each in found)),
    )


def _causes(service: Service, facts: Facts, story: Story | None) -> Iterator[Cause]:
    if story is not None:
        yield from story.causes
        yield from rules_of_others(story)
    yield from causes(service, facts)


def _sentence(
    name: str, story: Story | None, found: Sequence[Cause], problem: str, *, reached: bool
) -> str:
    if reached:
        assert story is not None
        return f"svc/{name} answers {story.sender}" + (f", but {found[0]}" if found else "")
    why = str(found[0]) if found else problem or "nothing in its objects says why"
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
        yield f"{way} was {_became(story)}; seen last at {journey.last}"
    for visit in story.there:
        for rule in visit.met:
            if rule.verdict in _TURN_AWAY:
                yield f"{_place(visit, rule)}: {rule.text}"


def _became(story: Story) -> str:
    outcome, note = story.journey.outcome, story.journey.note
    return ("lost" if outcome == "timeout" else outcome) + (f" ({note})" if note else "")


_TURN_AWAY = ("drop", "reject")


def rules_of_others(story: Story) -> Iterator[Cause]:
    """A rule that is none of kube-proxy's and turns the packet away."""
    for visit in story.there:
        for rule in visit.met:
            if rule.verdict in _TURN_AWAY and not _is_of_kube_proxy(visit):
                text = f"turns it away, and is none of kube-proxy's: {rule.text}"
                place = (visit.place,)
                yield Cause("RulesOfOthers", f"{_place(visit, rule)} {text}", nodes=place)


def _place(visit: ChainVisit, rule: MetRule) -> str:
    return f"rule {rule.number} of {visit.table} {visit.chain} on {visit.place}"


def _is_of_kube_proxy(visit: ChainVisit) -> bool:
    return visit.table == TABLE or visit.chain.startswith("KUBE-")


def usual_sender(service: Service, world: World) -> str:
    """Who asks if nobody is named: a pod that runs and is not behind the Service, else a node."""
    selector = (meta.spec(service).get("selector") or {}).items()
    here = meta.namespace(service)
    for name, place in sorted(world.places.items()):
        labels = meta.labels(world.pods[name]) if place.role == "pod" else {}
        behind = bool(selector) and selector <= labels.items()
        if place.role == "pod" and name.startswith(f"{here}/") and not behind:
            return f"pod/{name.partition('/')[2]}"
    return next(name for name, place in world.places.items() if place.role == "node")
