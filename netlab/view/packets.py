"""A story's packets for Wireshark: at each interface, by whom it was sent there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from netlab.pathcheck import pcapng
from netlab.pathcheck.decode import Observation
from netlab.pathcheck.path import Rewrite
from netlab.trace.story import ChainVisit, Story
from netlab.view.escape import escape_line
from netlab.view.trace import rule_words


def capture(story: Story) -> bytes:
    """A pcapng file of all that was captured of the packet and its answer.

    The rules that gave it another destination are told with the first copy that has it, all others
    of a place with the copy that leaves it; of one that did not leave, with the last that came.
    """
    return pcapng.file(zip(story.packets, _comments(story), strict=True))


def _comments(story: Story) -> Iterator[str]:
    sources = {story.probe.source, *(hop.source for hop in story.journey.hops)}
    there = [seen for seen in story.packets if seen.packet.source in sources]
    told = {
        id(seen): rules
        for place in dict.fromkeys(seen.place for seen in there)
        for seen, rules in _told(story, [seen for seen in there if seen.place == place])
    }
    forward = set(map(id, there))
    for seen in story.packets:
        direction = "on its way there" if id(seen) in forward else "answer"
        yield "\n".join(map(escape_line, (direction, *told.get(id(seen), ()))))


def _told(story: Story, here: Sequence[Observation]) -> Iterator[tuple[Observation, Sequence[str]]]:
    """Copies at one place, each with the rules that have acted on it since the one before."""
    place = here[0].place
    visits = [visit for visit in story.there if visit.place == place and visit.matters]
    readdressed = max((n for n, visit in enumerate(visits, 1) if _is_dnat(visit)), default=0)
    first = here[0].packet.destination
    changed = next((seen for seen in here if seen.packet.destination != first), None)
    leaving = next((seen for seen in here if seen.outgoing), here[-1])
    dnats, snats = story.journey.dnats, story.journey.snats
    before = [*_rules(story, visits[:readdressed]), *_rewrites("DNAT", place, dnats)]
    after = [*_rules(story, visits[readdressed:]), *_rewrites("masquerade", place, snats)]
    if changed in (None, leaving):
        yield leaving, [*before, *after]
    else:
        assert changed is not None
        yield changed, before
        yield leaving, after


def _is_dnat(visit: ChainVisit) -> bool:
    return any("dnat" in rule.text.lower() for rule in visit.met)


def _rules(story: Story, visits: Iterable[ChainVisit]) -> Iterator[str]:
    for visit in visits:
        for rule in visit.met:
            words = rule_words(rule, story.mode)
            yield f"{visit.place} {rule.table} {rule.chain} rule {rule.number}: {words}"


def _rewrites(kind: str, place: str, changes: Iterable[Rewrite]) -> Iterator[str]:
    for each in changes:
        if each.place == place:
            yield f"{place} {kind}: {each.before} became {each.after}"
