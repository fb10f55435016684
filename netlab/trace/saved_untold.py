"""What a trace by a save leaves open: facts that no save tells, and what comes of each. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from netlab.pathcheck.decode import endpoint
from netlab.saves.half_listed import is_half
from netlab.simulation.packet import Doubt, Outcome
from netlab.simulation.suppositions import END, SOURCE, Case, decisive
from netlab.trace.predicted import Verdict
from netlab.trace.saved_flow import MASQUERADED, STAND_INS, Sent
from netlab.trace.saved_rules import RulesOfSave
from netlab.trace.story import Untold


def verdict(outcome: Outcome) -> Verdict:
    """What an end is called; one that depends on what nobody understands is open."""
    if outcome.unknown:
        return "open"
    known: dict[str, Verdict] = {"ACCEPT": "delivered", "REJECT": "refused"}
    return known.get(outcome.verdict, "lost")


def untold(found: Sequence[Case], chosen: Case, rules: RulesOfSave) -> Iterator[Untold]:
    """Each fact that was asked for, and what comes of it."""
    deciding, hiding = decisive(found, END), decisive(found, SOURCE)
    asked, told_as = _asked(found), dict(chosen.supposed)
    undecided = any(each.unknown for case in found for each in case.outcomes)
    for fact in dict.fromkeys(fact for case in found for fact, _ in case.supposed):
        where = _where(asked.get(fact, Doubt(fact)), rules)
        if fact in deciding:
            so, not_so = (tuple(_ends(found, fact, so)) for so in (True, False))
            yield Untold(fact, where, True, so, not_so, told_as.get(fact))
        elif fact in hiding:
            so, not_so = (tuple(_sources(found, fact, so)) for so in (True, False))
            yield Untold(fact, where, False, so, not_so, told_as.get(fact))
        elif not undecided:
            yield Untold(fact, where, False)
    known = {fact for case in found for fact, _ in case.supposed}
    left = {doubt.fact: doubt for case in found if not case.whole for doubt in _doubts(case)}
    for fact, doubt in left.items():
        if fact not in known:
            yield Untold(fact, _where(doubt, rules), True)


def _asked(found: Sequence[Case]) -> dict[str, Doubt]:
    """Which rule asked for a fact."""
    return {doubt.fact: doubt for case in reversed(found) for doubt in case.asked}


def _doubts(case: Case) -> Iterator[Doubt]:
    for outcome in case.outcomes:
        yield from outcome.unsure


def _where(doubt: Doubt, rules: RulesOfSave) -> str:
    if not doubt.table:
        return "" if doubt.fact.startswith(MASQUERADED) else "routing"
    place = f"{doubt.table} {doubt.chain} rule {doubt.number}"
    return f"{rules.written(doubt.table, doubt.chain, doubt.number)}, {place}"


def _ends(found: Sequence[Case], fact: str, so: bool) -> Iterator[str]:
    """What may become of it in the cases where a fact is so, or not so."""
    these = [case for case in found if (fact, so) in case.supposed]
    yield from dict.fromkeys(_end(each) for case in these for each in case.outcomes)


def _end(outcome: Outcome) -> str:
    said = verdict(outcome)
    if said != "delivered":
        return {"lost": "dropped"}.get(said, said)
    return f"delivered to {endpoint(outcome.packet.destination, outcome.packet.dport)}"


def _sources(found: Sequence[Case], fact: str, so: bool) -> Iterator[str]:
    """What the receiver sees in the cases where a fact is so, or not so."""
    these = [case for case in found if (fact, so) in case.supposed]
    said = {True: "masqueraded", False: "with its own source"}
    yield from dict.fromkeys(said[each.masqueraded] for case in these for each in case.outcomes)


def not_understood(outcomes: Sequence[Outcome], rules: RulesOfSave) -> Iterator[Untold]:
    """Of what nobody here understands and cannot be tried: by which rule of those that have it."""
    for doubt in [each.cut_short for each in outcomes if each.cut_short is not None]:
        yield Untold(f"what it comes to: {doubt.fact}", _where(doubt, rules), True)
        return
    for text in dict.fromkeys(text for outcome in outcomes for text in outcome.unknown):
        at = next((rule for rule in rules.all() if text in rule.text), None)
        where = _where(Doubt(text, at.table, at.chain, at.number), rules) if at else ""
        half = ", which nft does not tell" if is_half(text) else ""
        yield Untold(f"what '{text}' does{half}", where, True)


_ASKS_ADDRESS = re.compile(r"(?:^| )-d |\bdaddr(?! type)|--match-set \S+ \S*dst")


def hidden(sent: Sent, rules: RulesOfSave) -> Iterator[Untold]:
    """Before connection tracking turns an answer back it is for an address that no save has: rules
    of raw and mangle may ask for it."""
    if sent.packet.destination not in STAND_INS or sent.first:
        return
    before = [one for one in rules.all() if one.table in ("raw", "mangle")]
    asking = next((one for one in before if _ASKS_ADDRESS.search(one.text)), None)
    fact = "the node's address on the link, which it was masqueraded as, is one that a rule names"
    if asking is not None:
        where = _where(Doubt(fact, asking.table, asking.chain, asking.number), rules)
        yield Untold(fact, where, True)
    else:
        yield Untold(fact, "", False)
