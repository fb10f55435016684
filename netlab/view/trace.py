"""A packet's story as lines: place by place, what was done to it there and why. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from netlab.diagnosis.facts import count
from netlab.pathcheck.decode import split
from netlab.pathcheck.path import Hop, Rewrite
from netlab.proxy.config import ModeName
from netlab.proxy.iptables.model import HOOKS
from netlab.proxy.iptables.rule import parse_rule
from netlab.trace.agreement import Agreement
from netlab.trace.dropped import said
from netlab.trace.misses import nearest
from netlab.trace.passages import MetRule
from netlab.trace.story import ChainVisit, Story
from netlab.view import nft_words, trace_names, trace_save, trace_way
from netlab.view.escape import escape_line
from netlab.view.purposes import purpose
from netlab.view.rules import words

_WHICH = {
    "new": "first packet",
    "established": "a later packet of its flow",
    "reply": "the answer to the first packet",
}
MEND = "mend: "
"""Before a command that is to be typed as it is: no line of it is folded."""

_MOST_TURNS = 5
_MOST_STEPS = 8
_FEW = 2
"""So many misses are told one by one."""


def lines(story: Story, *, explain: bool = False, detailed: bool = False) -> Iterator[str]:
    """The story from its packet to whether kernel and rules agree; `detailed` with rules' own
    texts, and neighbours; with `explain` also the chains that did nothing, all misses, and what
    each chain is for."""
    for line in _lines(story, explain=explain, detailed=detailed or explain):
        yield escape_line(line)


def summary(story: Story) -> Iterator[str]:
    """A line for each place, with what was done to the packet there, and how it ended."""
    for line in _summary(story):
        yield escape_line(line)


def _summary(story: Story) -> Iterator[str]:
    yield _head(story)
    journey = story.journey
    for place in dict.fromkeys(hop.place for hop in journey.hops):
        dnats = [f"to {each.after}" for each in journey.dnats if each.place == place]
        snats = [f"from {each.after}" for each in journey.snats if each.place == place]
        ends = [
            f"{_ended(rule)} by rule {rule.number} of {visit.table} {visit.chain}"
            for visit in story.there
            for rule in visit.met
            if visit.place == place and rule.verdict in ("drop", "reject")
        ]
        yield ", ".join((f"{place}{_ways(journey.hops, place)}", *dnats, *snats, *ends))
    yield from _end(story)
    yield from _causes(story)
    yield from _turns(story)
    yield from trace_save.untold(story, explain=False)
    yield from _both(story)


def minimal(story: Story) -> Iterator[str]:
    """The verdict and what was rewritten, in words that stay from version to version: for tests."""
    journey = story.journey
    yield f"{story.verdict} {journey.delivered or '-'} {journey.delivered_at or '-'}"
    yield from (f"dnat {each.place} {each.before} {each.after}" for each in journey.dnats)
    # A masqueraded port is the kernel's to choose.
    yield from (f"masquerade {each.place} {split(each.after)[0]}" for each in journey.snats)


def ends(story: Story) -> Iterator[str]:
    """All ends that the rules leave open, the likeliest first."""
    yield "possible ends"
    yield from map(escape_line, _each_end(story))


def _each_end(story: Story) -> Iterator[str]:
    for end in story.ends:
        where = f"at {end.at}"
        if end.verdict == "delivered":
            where = f"{end.at} ({end.destination})" if end.at else end.destination
        yield f"  {end.share:>6.1%} {end.verdict} {where}"


def _ended(rule: MetRule) -> str:
    """The kernel tells a refusal as a drop."""
    refused = rule.verdict == "reject" or "reject" in rule.text.lower().split()
    return "refused" if refused else "dropped"


def _head(story: Story) -> str:
    probe = story.probe
    way = f"{story.sender} {probe.source} → {probe.destination} {probe.proto}".strip()
    return f"{way}, {_WHICH[story.ct]}"


def _lines(story: Story, *, explain: bool, detailed: bool) -> Iterator[str]:
    if story.lookup is not None:
        asked = story.probe.src if story.ct == "reply" else story.probe.dst
        yield from trace_names.lines(story.lookup, asked, explain=explain)
    yield _head(story)
    for place in dict.fromkeys(hop.place for hop in story.journey.hops):
        yield from _stay(story, place, explain=explain, detailed=detailed)
    yield from _end(story)
    yield from trace_way.way_back(story, detailed=detailed)
    yield from _causes(story)
    yield from _mattered(story)
    yield from _turns(story)
    yield from trace_save.untold(story, explain=explain)
    yield from _both(story)


def _causes(story: Story) -> Iterator[str]:
    """Why it was not answered, and what to do about it."""
    for cause in story.causes:
        yield f"  why: {cause}"
        if cause.remedy:
            yield f"  {MEND}{cause.remedy}"


def _both(story: Story) -> Iterator[str]:
    """Whether the stories agree; the rules' own where it is another one."""
    yield _agreed(story)
    if story.agreement.difference:
        yield from _parting(story.agreement)
        yield "above is what the kernel did; by the rules the packet ends so"
        yield from _each_end(story)


def _parting(found: Agreement) -> Iterator[str]:
    """The rules of both from where they part; none where their ends alone differ."""
    if not found.kernel and not found.simulator:
        return
    for who, steps in (("kernel", found.kernel), ("simulator", found.simulator)):
        yield f"{who} after {count(found.steps, 'rule')} alike{'' if steps else ': no more rules'}"
        yield from (f"  {step}: {step.rule}" for step in steps[:_MOST_STEPS])
        if len(steps) > _MOST_STEPS:
            yield f"  and {len(steps) - _MOST_STEPS} more"


def _agreed(story: Story) -> str:
    if story.agreement.difference:
        return f"kernel and simulator differ: {story.agreement.difference}"
    if story.files:
        return trace_save.told_by(story)
    if story.dry:
        return f"told by its {story.agreement.steps} rules alone: nothing was sent"
    if story.agreement.open:
        return f"the rules leave it open: {'; '.join(story.agreement.open)}"
    if not story.told:
        return "the packet ended where the rules send it; legacy iptables tells no more"
    if not story.agreement.steps:
        return "kernel and simulator agree: no rule met it"
    if story.agreement.steps == 1:
        return "kernel and simulator agree in the one rule that it met"
    return f"kernel and simulator agree in all {story.agreement.steps} rules"


def _stay(story: Story, place: str, *, explain: bool, detailed: bool) -> Iterator[str]:
    """What happened at one place: by which interfaces, the chains that mattered, what changed."""
    yield f"{place}{_ways(story.journey.hops, place)}"
    visits = [visit for visit in story.there if visit.place == place]
    for visit in visits:
        if explain or visit.matters:
            yield from _visit(visit, story, explain=explain, detailed=detailed)
    dnat, snat = ("DNAT", "masquerade") if story.ct == "new" else ("by conntrack",) * 2
    yield from (_rewrite(dnat, each) for each in story.journey.dnats if each.place == place)
    for each in story.journey.snats:
        if each.place == place:
            yield _rewrite(snat, each)
            yield from _sake(story, place)
    yield from trace_way.way_on(story, place, detailed=detailed)
    quiet = [visit for visit in visits if not visit.matters]
    if quiet and not explain:
        rules = sum(visit.size for visit in quiet)
        more = "more " if len(quiet) < len(visits) else ""
        yield f"  {count(len(quiet), f'{more}chain')} with {rules} rules let it pass"


def _ways(hops: Sequence[Hop], place: str) -> str:
    """`: in by eth0, out by cni0` of the interfaces at which it was seen."""
    names = list(dict.fromkeys(hop.ifname for hop in hops if hop.place == place and hop.ifname))
    return f": {' → '.join(names)}" if names else ""


def _visit(visit: ChainVisit, story: Story, *, explain: bool, detailed: bool) -> Iterator[str]:
    yield f"  {visit.table} {visit.chain}, {count(visit.size, 'rule')}"
    said = purpose(visit.table, visit.chain) if explain else ""
    if said:
        yield f"    {'is for':<8} {said}"
    yield from _missed(visit, explain=explain)
    if visit.draw is not None:
        yield f"    {'draw':<8} {visit.draw}"
    for rule, origin in zip_longest(visit.met, visit.origins):
        which = _which(visit, rule.number)
        yield f"    {'took':<8} {which}: {rule_words(rule, story.mode)}"
        if detailed and rule.text:
            handle = f"handle {rule.handle}: " if rule.handle else ""
            yield f"    {'':<8} {handle}{rule.text}"
        for change in story.marks:
            if (change.place, change.rule) == (visit.place, rule):
                yield f"    {'mark':<8} {change.before:#x} becomes {change.after:#x}"
        if origin is not None and (detailed or rule is visit.met[0]):
            yield f"    {'of':<8} {origin}{f', {origin.where}' if origin.where else ''}"


def _which(visit: ChainVisit, number: int) -> str:
    """`rule 3`, of a save `rule 3, node.save:88`."""
    where = visit.written.get(number)
    return f"rule {number}, {where}" if where else f"rule {number}"


def _missed(visit: ChainVisit, *, explain: bool) -> Iterator[str]:
    missed = visit.misses
    if explain or len(missed) <= _FEW:
        for miss in missed:
            yield f"    {'not':<8} {_which(visit, miss.number)}: {miss.said}"
        return
    near = nearest(missed)
    if near is not None:
        yield f"    {'nearest':<8} {_which(visit, near.number)}: {near.said}"
    others = Counter(miss.reason for miss in missed if miss is not near)
    for reason, number in others.most_common():
        yield f"    {'others':<8} {count(number, 'rule')}: {reason}"


def rule_words(rule: MetRule, mode: ModeName) -> str:
    """The rule in words; of one that is gone by now, what the kernel said it did."""
    if not rule.text:
        return f"{rule.verdict} {rule.to}".rstrip()
    if mode == "nftables" or rule.table not in HOOKS:  # somebody's own
        return nft_words.words(rule.text, rule.to, rule.verdict)
    return words(parse_rule(rule.text))


def _mattered(story: Story) -> Iterator[str]:
    if story.mattered is not None and story.there:
        ignored = ", ".join(story.mattered.ignored)
        nobody = f"; did not: {ignored}" if ignored else ""
        yield f"mattered: {', '.join(story.mattered.asked)}{nobody}"


def _turns(story: Story) -> Iterator[str]:
    if story.turns is None:
        return
    yield "why not" if story.turns else "why not: no rule that it could have met is about that"
    for turn in story.turns[:_MOST_TURNS]:
        yield f"  {turn.place} {turn.table} {turn.chain} rule {turn.number}: {turn.words}"
    if len(story.turns) > _MOST_TURNS:
        yield f"  and {len(story.turns) - _MOST_TURNS} more"


def _sake(story: Story, place: str) -> Iterator[str]:
    for sake in story.sakes:
        if sake.place == place:
            rule = sake.rule
            yield f"    for the sake of rule {rule.number} of {rule.table} {rule.chain}"


def _rewrite(kind: str, change: Rewrite) -> str:
    return f"  {kind}: {change.before} became {change.after}"


def _end(story: Story) -> Iterator[str]:
    journey = story.journey
    if story.files:
        yield f"{trace_save.end(story)}{_share(story)}"
    elif journey.delivered is not None:
        yield f"delivered to {journey.delivered_at} ({journey.delivered}){_share(story)}"
        if journey.outcome in ("refused", "unreachable"):
            yield f"  and refused there: {journey.note}"
    elif journey.outcome in ("refused", "unreachable"):
        yield f"refused {_until(story)}" + (f": {journey.note}" if journey.note else "")
    elif off := [cause for cause in story.causes if cause.reason == "HairpinOff"]:
        port = next(hop for hop in journey.hops if hop.place in off[0].nodes)
        yield f"lost at the bridge port {port.ifname} of {port.place}: hairpin is off"
    else:
        yield f"lost {_until(story)}" + (f": {journey.note}" if journey.note else "")
    if story.evidence.dropped:
        yield f"  the kernel's reason: {said(story.evidence.dropped)}"


def _until(story: Story) -> str:
    """Where it was seen last; nobody sees what finds no neighbour to go to."""
    journey = story.journey
    return f"after {journey.last}" if journey.hops else f"before it left {story.sender}"


def _share(story: Story) -> str:
    if story.ct != "new":
        return ""  # the draw was before
    ends = {end.destination for end in story.ends if end.verdict == "delivered"}
    return f", 1 of {len(ends)} possible ends" if len(ends) > 1 else ""
