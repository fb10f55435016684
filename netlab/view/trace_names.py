"""How a name came to its address, as lines. Pure; who prints them sees to escapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from netlab.trace.lookup import LookUp, Question, record_type
from netlab.trace.milliseconds import in_words


def lines(lookup: LookUp, address: str = "", *, explain: bool = False) -> Iterator[str]:
    """What was asked, of whom, and who answered; `address` is the one taken of several."""
    owner = f" ({lookup.owner})" if lookup.owner else ""
    if lookup.addresses:
        yield f"{lookup.name} is {address or lookup.addresses[0]}, says DNS{owner}"
    else:
        yield f"{lookup.name} has no address, says DNS"
    if explain and lookup.searches:
        yield f"  search   {' '.join(lookup.searches)}"
    width = max((len(_answer(each)) for each in lookup.questions), default=0)
    for (server, service, at), group in groupby(lookup.questions, key=_asked):
        of = f", Service {service}" if service else ""
        yield f"  asked    {server}{of}" + (f" → {at}" if at else "")
        for question in group:
            yield f"    {_answer(question):<{width}}  {_named(question)}"


def _asked(question: Question) -> tuple[str, str, str]:
    return question.asked.server, question.service, next(iter(question.way), "")


def _named(question: Question) -> str:
    """`web.default.svc.cluster.local (dnsmasq, 0.4 ms)`: who had the answer, where that is not the
    one who was asked."""
    asked = question.asked
    said = [] if len(question.way) < 2 else [_behind(question.way)]
    said += [in_words(asked.seconds)] if asked.answer else []
    aliases = "".join(f" → {alias}" for alias in asked.aliases)
    return f"{asked.name}{aliases}" + (f" ({', '.join(said)})" if said else "")


def _behind(way: Sequence[str]) -> str:
    """`dnsmasq → responder`: whom the one that was asked had answer; a place is named once."""
    words: list[str] = []
    before = way[0]
    for each in way[1:]:
        who, _, where = each.rpartition(" in ")
        words.append(who if who and where == before else each)
        before = where or each
    return " → ".join(words)


def _answer(question: Question) -> str:
    asked = question.asked
    if not asked.answer:
        return "no answer"
    if asked.answer == "NOERROR":
        return ", ".join(asked.addresses) or f"no {record_type(asked)}"
    return "no such name" if asked.answer == "NXDOMAIN" else asked.answer
